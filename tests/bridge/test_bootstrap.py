"""The wiring of the service: what a start makes, and what it leaves alone."""

from pathlib import Path

import pytest

from bridge.bootstrap import OPERATOR_KEY_FILE, DataInUse, Running, SettingsIncomplete
from bridge.posting.setup import TimesTooLong
from bridge.settings import Settings
from bridge.store import keys


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
