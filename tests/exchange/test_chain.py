"""Chains: the nearest valid amount against trying all of them, by leaps and by the lattice."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange import chain as chains
from exchange.amounts import Amounts, Listed, Steps
from exchange.chain import Chain, runs_of
from exchange.errors import NoRoute
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio

TRIED_MAX = 400

Hops = tuple[list[Amounts], list[Ratio]]


@st.composite
def hops_of(draw: st.DrawFn) -> Hops:
    """One to four hops whose increments meet now and then; some of them with a list."""
    most = draw(st.sampled_from([3, 8, 20]))
    sides = st.integers(1, most).map(Points)
    steps = st.builds(Steps, st.integers(1, most), st.integers(1, most))
    lists = st.sets(st.integers(1, 300).map(Points), min_size=1, max_size=9).map(
        lambda each: Listed(tuple(sorted(each)))
    )
    count = draw(st.integers(1, 4))
    amounts: list[Amounts] = [draw(st.one_of(steps, steps, steps, lists)) for _ in range(count)]
    return amounts, [Ratio(draw(sides), draw(sides)) for _ in range(count)]


def is_valid(hops: Hops, amount: int) -> bool:
    for amounts, ratio in zip(*hops, strict=True):
        count = amounts.count_up_to(amount)
        if not count or amounts[count - 1] != amount:
            return False
        amount = ratio.convert(Points(amount))
    return True


@pytest.mark.parametrize("leaps", [0, 2, chains.LEAPS_MAX])
@settings(max_examples=60)
@given(hops_of(), st.integers(1, TRIED_MAX), st.integers(1, TRIED_MAX))
def test_chain__of_any_hops__finds_the_nearest_as_trying_does(leaps: int, hops: Hops, amount: int, bound: int) -> None:
    valid = [each for each in range(1, TRIED_MAX + 1) if is_valid(hops, each)]
    below = [each for each in valid if each <= amount]
    above = [each for each in valid if each >= amount]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chains, "LEAPS_MAX", leaps)  # with none, all is left to the lattice
        chain = Chain(*hops)
        assert chain.at_most(amount) == max(below, default=None)
        assert chain.at_most(amount, bound) == max((each for each in below if each >= bound), default=None)
        found = chain.at_least(amount)
        assert found == min(above, default=None) or (not above and found is not None and found > TRIED_MAX)
        assert chain.at_least(amount, bound) == min((each for each in above if each <= bound), default=None)


@pytest.mark.parametrize("seed", range(60))
def test_chain__of_great_primes__finds_the_nearest_and_tells_when_there_is_none(seed: int) -> None:
    random = Random(seed)
    count = random.choice((2, 3, 4))
    most = 10 ** random.choice((3, 4, 6))
    amounts: list[Amounts] = [Steps(step, step) for step in (random.randrange(most // 2, most) for _ in range(count))]
    ratios = [Ratio(Points(random.randrange(most // 2, most)), Points(random.randrange(1, most))) for _ in range(count)]
    chain, hops = Chain(amounts, ratios), (amounts, ratios)
    asked = random.randrange(POINTS_MAX // 2, POINTS_MAX)
    below = chain.at_most(asked)
    assert chain.searched <= 1
    if below is None:
        assert chain.at_least(1, asked) is None
        return
    assert is_valid(hops, below)
    assert chain.at_most(asked, below + 1) is None
    assert chain.at_least(below) == chain.at_least(below + 1 - amounts[0][0]) == below
    assert chain.at_least(below + 1, asked) is None


def test_chain__whose_increments_never_meet__says_so_without_a_search() -> None:
    chain = Chain([Steps(5, 10), Steps(10, 10)], [Ratio(Points(1), Points(1))] * 2)
    for amount in (1, 999, 10**9 + 7, POINTS_MAX):
        assert chain.at_most(amount) is chain.at_least(amount) is None
    assert chain.searched == 0


def test_chain__of_whole_conversions__is_one_run_and_needs_no_search() -> None:
    amounts: list[Amounts] = [Steps(1_000, 1_000), Steps(2_835, 2_835), Steps(550, 550), Steps(625, 5)]
    sides = [(5, 4), (3, 1), (1, 2), (1, 1)]
    ratios = [Ratio(Points(one), Points(other)) for one, other in sides]
    (run,) = runs_of([(each[0], each[1] - each[0]) for each in amounts], [(to, of) for of, to in sides]) or []
    chain = Chain(amounts, ratios)
    assert chain.at_least(1) == run.step == 6_237_000
    assert is_valid((amounts, ratios), 6_237_000)
    assert chain.at_most(3 * 6_237_000 - 1) == 2 * 6_237_000
    assert chain.searched == 0


def test_chain__with_more_listed_amounts_than_it_searches__says_that_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Listed(tuple(Points(10**9 + each) for each in range(200)))
    ratios = [Ratio(Points(101), Points(103)), Ratio(Points(107), Points(10)), Ratio(Points(1), Points(1))]
    amounts: list[Amounts] = [Steps(99_991, 99_991), Steps(99_989, 99_989), listed]
    monkeypatch.setattr(chains, "LEAPS_MAX", 0)
    with pytest.raises(NoRoute, match="meet too rarely"):
        Chain(amounts, ratios).at_most(POINTS_MAX)
    monkeypatch.setattr(chains, "WINDOWS_MAX", 200)
    assert Chain(amounts, ratios).at_most(POINTS_MAX) is None
