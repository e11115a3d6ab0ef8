"""Markets for benchmarks: the same each time, of the size asked for, and none in which anybody gains."""

from collections import Counter
from dataclasses import replace

import pytest

from exchange.gate import Gate
from exchange.rules import PLAIN
from market_maker import RULED_PERCENT, make_even_market, make_market, make_ruled_market, program_id


@pytest.mark.parametrize("hubs", [0, 3])
@pytest.mark.parametrize("make", [make_market, make_even_market])
def test_market__of_any_kind__lets_nobody_gain_and_is_the_same_again(make: type, hubs: int) -> None:
    market = make(60, 20, hubs, seed=7)
    assert len(market) == 60 * 20 == len({(each.source, each.destination) for each in market})
    assert market == make(60, 20, hubs, seed=7) != make(60, 20, hubs, seed=8)
    Gate.from_rates((each.source, each.destination, each.ratio.exact) for each in market)


def test_market__with_hubs__joins_each_with_every_program_both_ways() -> None:
    market = make_market(60, hubs=2)
    for ends in (Counter(each.source for each in market), Counter(each.destination for each in market)):
        assert [ends[program_id(hub)] for hub in range(2)] == [59, 59]
        assert max(ends[program_id(other)] for other in range(2, 60)) < 40


def test_market__of_few_programs__has_all_directions_that_there_are() -> None:
    assert len(make_market(10, directions_each=20)) == 90


@pytest.mark.parametrize("hubs", [0, 3])
def test_market__with_rules__has_them_on_its_share_of_the_same_directions(hubs: int) -> None:
    market = make_ruled_market(60, 20, hubs, seed=7)
    assert market == make_ruled_market(60, 20, hubs, seed=7)
    assert [replace(each, rules=PLAIN) for each in market] == make_market(60, 20, hubs, seed=7)
    ruled = [each.rules for each in market if each.rules != PLAIN]
    assert RULED_PERCENT - 10 < 100 * len(ruled) // len(market) <= RULED_PERCENT + 3
    for some in ("caps", "bonuses", "minimums"):
        assert any(getattr(each, some) for each in ruled)
