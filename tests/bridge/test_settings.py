"""Settings: times that follow from one another, and what they must not contradict."""

import pytest
from pydantic import ValidationError

from bridge.settings import BATCH_SLACK_S, DELAY_S, NOTICE_S, Settings

NODE = "http://127.0.0.1:1"


def test_times__on_the_embedded_chain__let_announced_calls_be_made_at_once() -> None:
    settings = Settings()
    assert (settings.delay, settings.notice) == (0, NOTICE_S)
    assert settings.longest_batch_s == settings.batch_life_s + BATCH_SLACK_S


def test_times__on_another_chain__warn_for_two_days() -> None:
    settings = Settings(rpc_url=NODE)
    assert settings.delay == settings.notice == DELAY_S


def test_times__that_were_chosen__are_kept() -> None:
    settings = Settings(rpc_url=NODE, delay_s=0, notice_s=800)
    assert (settings.delay, settings.notice) == (0, 800)


def test_notice__that_was_not_chosen__is_as_long_as_quotes_and_batches_need() -> None:
    settings = Settings(quote_life_s=300, batch_life_s=3_600)
    assert settings.notice == settings.notice_least == 300 + 3_600 + BATCH_SLACK_S


@pytest.mark.parametrize(
    "chosen",
    [
        {"notice_s": 719},
        {"notice_s": 1_000, "delay_s": 1_001},
        {"notice_s": 1_000, "rpc_url": NODE},
        {"notice_s": 1_000, "batch_life_s": 900},
        {"cap_period_s": 3_599},
    ],
)
def test_times__that_contradict_one_another__are_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**chosen)  # type: ignore[arg-type]


def test_money__by_default__is_settled_in_dollars_with_rates_of_any_age() -> None:
    settings = Settings()
    assert (settings.settlement_currency, settings.fx_file, settings.fx_age_max_days) == ("USD", None, None)


@pytest.mark.parametrize(
    "chosen", [{"settlement_currency": "usd"}, {"settlement_currency": "USD\n"}, {"fx_age_max_days": -1}]
)
def test_money__that_cannot_be__is_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**chosen)  # type: ignore[arg-type]


def test_notice__too_short__names_the_least_that_is_not() -> None:
    with pytest.raises(ValidationError, match="the least valid value is 720"):
        Settings(notice_s=719)
    assert Settings(notice_s=720).notice == 720
