"""Legs: sums, floors, order and feasibility, against every split there is."""

from collections import defaultdict
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.errors import CannotSplit, NothingOut
from exchange.legs import ACCOUNTS_MAX, path_block, path_least, plan_legs
from exchange.path import Hop, Path
from exchange.points import POINTS_MAX, Points
from exchange.pricing import price
from exchange.ratio import Ratio
from tests.exchange.strategies import make_terms, ratios

held_strategy = st.lists(st.integers(0, 9), min_size=1, max_size=3)


def named(held: list[int]) -> list[tuple[str, int]]:
    return [(f"account {index}", there) for index, there in enumerate(held)]


def holds(legs: tuple[int, ...], block: int, leg_min: int) -> bool:
    """Whether a split may be posted: said leg by leg, as the contract sees it."""
    paid = [leg for leg in legs if leg]
    if len(paid) == 1 and paid[0] < block:
        return True
    return sum(leg % block != 0 for leg in paid) <= 1 and all(leg >= leg_min for leg in paid)


def all_splits(held: list[int], block: int, leg_min: int) -> dict[int, tuple[int, ...]]:
    """For every amount that can be split, the split that takes most from the first accounts."""
    best: defaultdict[int, tuple[int, ...]] = defaultdict(tuple)
    for legs in product(*(range(there + 1) for there in held)):
        if sum(legs) and holds(legs, block, leg_min):
            best[sum(legs)] = max(best[sum(legs)], legs)
    return dict(best)


@given(held_strategy, st.integers(1, 5), st.data())
def test_plan_legs__for_every_amount__is_the_best_of_all_splits(
    held: list[int], block: int, data: st.DataObject
) -> None:
    leg_min = data.draw(st.integers(1, block))
    splits = all_splits(held, block, leg_min)
    for amount in range(1, sum(held) + 2):
        if amount in splits:
            legs = dict(plan_legs(named(held), amount, block, leg_min=leg_min))
            assert tuple(legs.get(key, 0) for key, _ in named(held)) == splits[amount]
            assert 0 not in legs.values()
        else:
            with pytest.raises(CannotSplit) as refusal:
                plan_legs(named(held), amount, block, leg_min=leg_min)
            nearest = max((each for each in splits if each < amount), default=None)
            assert (refusal.value.nearest, refusal.value.limit) == (nearest, nearest)


@given(held_strategy, st.integers(1, 5), st.integers(1, 30))
def test_plan_legs__without_a_least_leg__never_goes_below_a_block(held: list[int], block: int, amount: int) -> None:
    splits = all_splits(held, block, block)
    if amount not in splits:
        with pytest.raises(CannotSplit):
            plan_legs(named(held), amount, block)
        return
    legs = dict(plan_legs(named(held), amount, block))
    assert tuple(legs.get(key, 0) for key, _ in named(held)) == splits[amount]


@given(ratios(40), st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(1, 500))
def test_plan_legs__of_a_priced_swap__converts_leg_by_leg_to_what_was_promised(
    ratio: Ratio, held: list[int], offered: int
) -> None:
    try:
        priced = price(make_terms(ratio), offered)
        legs = plan_legs(
            named(held),
            priced.amount_in,
            ratio.reduced().from_units,
            leg_min=ratio.needed_for(Points(1)),
        )
    except (NothingOut, CannotSplit):
        return
    outs = [ratio.convert(Points(leg)) for _, leg in legs]
    assert sum(leg for _, leg in legs) == priced.amount_in
    assert sum(outs) == priced.amount_out
    assert all(out > 0 for out in outs)


def along(path: list[Ratio], amount: int) -> list[int]:
    """What stands after each hop, rounded down hop by hop as the contract does."""
    amounts = [amount]
    for ratio in path:
        amounts.append(ratio.convert(Points(amounts[-1])))
    return amounts[1:]


def is_exact(path: list[Ratio], amount: int) -> bool:
    """Whether nothing is rounded at any hop."""
    befores = [amount, *along(path, amount)]
    return all(before * ratio.to_units % ratio.from_units == 0 for before, ratio in zip(befores, path, strict=False))


paths = st.lists(ratios(9), min_size=1, max_size=4)


@given(paths, st.integers(1, 3))
def test_path_block__of_any_path__is_the_least_that_is_never_rounded(path: list[Ratio], times: int) -> None:
    block = path_block(path)
    assert is_exact(path, times * block)
    assert not any(is_exact(path, amount) for amount in range(1, min(block, 2_000)))


@given(st.lists(ratios(), min_size=1, max_size=4), st.integers(0, 10**6), st.integers(0, POINTS_MAX))
def test_path_block__in_front_of_a_rest__lets_floors_add_up(path: list[Ratio], times: int, rest: int) -> None:
    block = path_block(path)
    whole = [a + b for a, b in zip(along(path, times * block), along(path, rest), strict=True)]
    assert along(path, times * block + rest) == whole


@given(st.lists(ratios(), min_size=1, max_size=4))
def test_path_least__of_any_path__is_the_least_that_arrives_everywhere(path: list[Ratio]) -> None:
    least = path_least(path)
    assert all(along(path, least))
    assert not all(along(path, least - 1))
    assert least <= path_block(path)


def test_path_block__of_one_hop__is_what_its_lowest_terms_say() -> None:
    assert (path_block([Ratio(Points(250), Points(200))]), path_least([Ratio(Points(250), Points(200))])) == (5, 2)
    assert path_block([]) == path_least([]) == 1


@given(paths, st.lists(st.integers(0, 200), min_size=1, max_size=5), st.integers(1, 500))
def test_plan_legs__along_a_path__converts_leg_by_leg_to_what_the_whole_gives(
    path: list[Ratio], held: list[int], amount: int
) -> None:
    if amount < path_least(path):
        return
    try:
        legs = plan_legs(named(held), amount, path_block(path), leg_min=path_least(path))
    except CannotSplit:
        return
    outs = [along(path, leg) for _, leg in legs]
    assert [sum(each) for each in zip(*outs, strict=True)] == along(path, amount)
    assert all(out > 0 for each in outs for out in each)


def test_plan_legs__at_one_to_one__empties_the_first_accounts_first() -> None:
    assert plan_legs([("a", 7), ("b", 0), ("c", 9)], 10, 1) == [("a", 7), ("c", 3)]


def test_plan_legs__where_the_first_accounts_are_no_whole_blocks__leaves_the_odd_parts() -> None:
    assert plan_legs([("a", 7), ("b", 7)], 8, 4) == [("a", 4), ("b", 4)]


def test_plan_legs__where_the_odd_part_would_give_nothing__puts_it_beside_a_block() -> None:
    available = [("a", 5), ("b", 5)]
    assert plan_legs(available, 5, 3, leg_min=3) == [("a", 5)]
    assert plan_legs([("a", 3), ("b", 4)], 7, 3, leg_min=3) == [("a", 3), ("b", 4)]


def test_plan_legs__below_one_block__goes_as_one_leg() -> None:
    assert plan_legs([("a", 2), ("b", 3)], 3, 5) == [("b", 3)]


def test_plan_legs__that_cannot_be__names_the_nearest_amount_below() -> None:
    with pytest.raises(CannotSplit) as refusal:
        plan_legs([("a", 5), ("b", 6)], 11, 4)
    assert (refusal.value.field, refusal.value.nearest) == ("points", 10)


@given(
    ratios(12),
    st.integers(1, 12),
    st.integers(1, 12),
    st.lists(st.integers(0, 60), min_size=2, max_size=4),
    st.integers(1, 150),
)
def test_plan_legs__that_cannot_be__names_the_nearest_amount_that_a_quote_burns(
    ratio: Ratio, minimum: int, increment: int, held: list[int], offered: int
) -> None:
    path = Path([Hop(make_terms(ratio, minimum, increment))])
    block, least = path_block([ratio]), path_least([ratio])

    def plan(amount: int) -> list[tuple[str, int]]:
        return plan_legs(named(held), amount, block, leg_min=least, burned=path.burned)

    def goes(amount: int) -> bool:
        try:
            return path.burned(amount) == amount and bool(plan(amount))
        except CannotSplit:
            return False

    amount = path.burned(offered)
    if amount is None:
        return
    try:
        plan(amount)
    except CannotSplit as refusal:
        nearest = refusal.nearest
    else:
        return
    assert nearest == max((each for each in range(1, amount) if goes(each)), default=None)


def test_plan_legs__whose_nearest_is_no_valid_amount__goes_on_to_one_that_is() -> None:
    path = Path([Hop(make_terms(Ratio(Points(9), Points(4)), 8, 4))])
    with pytest.raises(CannotSplit) as refusal:
        plan_legs(named([5, 18]), 24, 9, leg_min=3, burned=path.burned)
    assert refusal.value.nearest == 16  # 23 can be split, but 20 would be burned, which cannot


@pytest.mark.parametrize("held", [[], [0], [0, 0]])
def test_plan_legs__with_nothing_there__names_no_amount(held: list[int]) -> None:
    with pytest.raises(CannotSplit) as refusal:
        plan_legs(named(held), 1, 1)
    assert refusal.value.nearest is None


@pytest.mark.parametrize(
    ("held", "amount", "block", "leg_min"),
    [([5], 0, 1, 1), ([-1], 1, 1, 1), ([5], 1, 1, 2), ([5], 1, 2, 0), ([1] * (ACCOUNTS_MAX + 1), 1, 1, 1)],
)
def test_plan_legs__called_wrongly__is_a_bug(held: list[int], amount: int, block: int, leg_min: int) -> None:
    with pytest.raises(AssertionError):
        plan_legs(named(held), amount, block, leg_min=leg_min)
