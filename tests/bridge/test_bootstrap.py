"""The wiring of the service: what a start makes, and what it leaves alone."""

import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge import bootstrap
from bridge.bootstrap import OPERATOR_KEY_FILE, DataInUse, Running, SettingsIncomplete
from bridge.fx.ecb import EcbRates
from bridge.fx.fixed import InvalidFxFile
from bridge.posting.setup import SettlementCurrencyFixed, TimesTooLong
from bridge.settings import Settings
from bridge.store import chainstate, keys

WAIT_S_MAX = 30


def test_operator_key__moved_away__is_not_made_again(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    file = settings.data / OPERATOR_KEY_FILE
    with Running(settings):
        text = file.read_text().strip()
        assert file.stat().st_mode & 0o077 == 0, "only its owner reads it"
        with pytest.raises(DataInUse), Running(settings):
            pass
    file.unlink()
    for _ in range(2):
        with Running(settings) as service:
            assert not file.exists()
            assert service.read(lambda connection: keys.authenticate(connection, text)).program_id is None


def test_finality__that_the_embedded_chain_never_meets__is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsIncomplete) as refused, Running(Settings(data=tmp_path, finality="depth:3")):
        pass
    assert refused.value.nearest == "depth:0"


def test_batches__that_would_last_longer_than_the_exchange_allows__are_refused_at_the_start(tmp_path: Path) -> None:
    with Running(Settings(data=tmp_path)):
        pass
    with Running(Settings(data=tmp_path, batch_life_s=300)):
        pass
    with pytest.raises(TimesTooLong) as refused, Running(Settings(data=tmp_path, batch_life_s=601)):
        pass
    assert refused.value.limit == 660


def test_settlement_currency__that_the_exchange_was_not_deployed_with__is_refused_at_the_start(tmp_path: Path) -> None:
    with Running(Settings(data=tmp_path, settlement_currency="EUR")) as service:
        bound = service.read(chainstate.get)
        assert bound is not None and bound.settlement_currency == "EUR"
    with pytest.raises(SettlementCurrencyFixed) as refused, Running(Settings(data=tmp_path)):
        pass
    assert (refused.value.field, refused.value.nearest) == ("SARRAF_SETTLEMENT_CURRENCY", "EUR")


def test_fx_file__that_cannot_be_used__stops_the_start_before_anything_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(InvalidFxFile), Running(Settings(data=data, fx_file=tmp_path / "none.toml")):
        pass
    assert not data.exists()


def test_rates_of_exchange__after_the_start__are_read_without_anybody_asking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    load = EcbRates.load

    def slow(bank: EcbRates) -> object:
        begun.set()
        assert go_on.wait(WAIT_S_MAX)
        return load(bank)

    monkeypatch.setattr(EcbRates, "load", slow)
    with Running(Settings(data=tmp_path)) as service:
        assert begun.wait(WAIT_S_MAX), "and the start did not wait for it"
        bank = service.rates
        assert isinstance(bank, EcbRates) and not bank.is_loaded
        go_on.set()
    assert bank.is_loaded, "a stop waits for what was begun"
    assert not any(thread.name == "rates-of-exchange" for thread in threading.enumerate())


def test_running__that_leaves_posting_to_others_where_there_are_none__then_refuses(tmp_path: Path) -> None:
    alone: list[dict[str, Any]] = [
        {"rpc_url": "http://127.0.0.1:9"},
        {"database_url": SecretStr(f"sqlite:///{tmp_path}/ledger")},
    ]
    for missing in alone:
        with pytest.raises(SettingsIncomplete), Running(Settings(data=tmp_path, posting=False, **missing)):
            pass


def test_running__on_a_ledger_that_another_runs_on_its_own_chain__then_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "CHAIN_TRIES_MAX", 1)
    url = SecretStr(f"sqlite:///{tmp_path}/ledger.sqlite3")
    with Running(Settings(data=tmp_path / "first", database_url=url)):
        other = Settings(data=tmp_path / "second", database_url=url)
        with pytest.raises(DataInUse) as refused, Running(other):
            pass
    assert refused.value.field == "SARRAF_RPC_URL"
