"""What posting and swapping cost, held against what was reviewed and against the floors."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .gas import floor, snapshot
from .gas.chain import private_chain
from .gas.compiler import Patch, PatchFailed, apply, committed, rivals, sources_of_all
from .gas.guards import Guard, check_patches
from .gas.items import Measured, measure_batches, measure_calls
from .gas.report import Report, as_json, as_text
from .gas.rivals import Rival, measure_rivals
from .gas.words import EARN, REDEMPTION, calldata_gas, earns, moves, word
from .gas.world import build_world

# At a hundred items, all guards on: what may be paid above the fixed floors.
TARGETS = {
    "first earn": 1.02 * 24_512,
    "repeat earn": 1.05 * 7_412,
    "redemption, part": 1.07 * 7_412,
    "swap, 1 hop": 1.07 * 14_457,
}
HOLDERS_SWAP_MAX = 85_000
REVIEW = "when this is right, `make bench-gas SNAPSHOT=1` writes the new numbers, to be reviewed and committed"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> list[Measured]:
    """Every item and every holder's call, on the committed bytecode."""
    with private_chain(tmp_path_factory.mktemp("gas")) as chain:
        world = build_world(chain, committed())
        return [*measure_batches(world, snapshot.SIZES), *measure_calls(world)]


@pytest.fixture
def one(measured: list[Measured]) -> Callable[[str, int], Measured]:
    """The one that was measured for an item in batches of a size."""
    found = {(it.item, it.size): it for it in measured}
    return lambda item, size: found[item, size]


def test_snapshot__gas_measured_now__is_what_was_reviewed(measured: list[Measured]) -> None:
    changed = snapshot.differences(snapshot.reviewed(), snapshot.snapshot_of(measured))
    assert changed == [], REVIEW


def test_differences__one_grew_one_shrank_one_is_new__names_each() -> None:
    before = {"earn": {"1": 100, "10": 900}, "release": {"1": 50}}
    now = {"earn": {"1": 101, "10": 890}, "release": {"1": 50}, "swap": {"1": 7}}

    assert snapshot.differences(before, now) == [
        "earn, 1 at once: grew from 100 to 101 (+1)",
        "earn, 10 at once: shrank from 900 to 890 (-10)",
        "swap, 1 at once: new",
    ]


def test_write__then_read__is_the_same_snapshot(tmp_path: Path) -> None:
    written = {"earn": {"1": 100}}

    snapshot.write(written, tmp_path / "snapshot.json")

    assert snapshot.reviewed(tmp_path / "snapshot.json") == written


@pytest.mark.parametrize(("item", "gas_max"), TARGETS.items())
def test_targets__a_hundred_items_with_all_guards_on__are_met(
    item: str, gas_max: float, one: Callable[[str, int], Measured]
) -> None:
    assert one(item, 100).per_item <= gas_max


def test_targets__a_holders_own_swap__is_below_its_maximum(one: Callable[[str, int], Measured]) -> None:
    assert one("swap alone, by transaction", 1).gas < HOLDERS_SWAP_MAX


@pytest.mark.parametrize("item", floor.FIXED)
def test_floor__a_hundred_items__is_the_fixed_one_within_a_hundredth(
    item: str, one: Callable[[str, int], Measured]
) -> None:
    computed = one(item, 100).floor.gas / 100
    assert computed == pytest.approx(floor.FIXED[item], rel=0.01)


def test_floor__any_item__is_never_undercut(measured: list[Measured]) -> None:
    assert [it.item for it in measured if it.gas < it.floor.gas] == []


def test_floor__of_an_earn__is_slot_log_word_and_share() -> None:
    words = [bytes([1]) * 32, bytes(31) + bytes([1])]
    word_gas = 32 * 16 + 31 * 4 + 16
    assert floor.earn(words, first=True).gas == 21_000 + word_gas + 2 * (22_100 + 1_756)
    assert floor.earn(words, first=False).gas == 21_000 + word_gas + 2 * (5_000 + 1_756)


def test_floor__of_redemptions_to_zero__gives_back_a_fifth_at_most() -> None:
    words = moves(range(100), REDEMPTION)
    spent = floor.redemption(words, to_zero=False).gas
    assert floor.redemption(words, to_zero=True).gas == spent - spent // 5
    alone = floor.redemption(words[:1], to_zero=False).gas
    assert floor.redemption(words[:1], to_zero=True).gas == alone - 4_800


def test_words__any_holder__have_three_bytes_of_amount_and_a_tag_when_asked() -> None:
    [tagged] = earns([7])
    [bare] = earns([7], tagged=False)
    assert tagged[:27] == bare[:27] and bare[27:] == bytes(5) and tagged[27:] != bytes(5)
    assert tagged[21:24] == bytes(3) and tagged[24] != 0
    assert word(7, EARN, 1) == word(7, EARN, 1)
    assert calldata_gas(b"\0\x01") == 4 + 16


def test_patches__of_every_guard__still_fit_the_sources() -> None:
    check_patches()


@pytest.mark.parametrize("text", ["no such text", "SPDX", "\n"])
def test_patch__text_that_does_not_stand_there_once__fails(text: str) -> None:
    sources = {**sources_of_all(), "twice.sol": "SPDX SPDX\n\n"}
    with pytest.raises(PatchFailed, match=r"twice\.sol has this"):
        apply([Patch("twice.sol", text, "")], sources)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Rival]]:
    with private_chain(tmp_path_factory.mktemp("rivals")) as chain:
        yield measure_rivals(chain, rivals())


@pytest.mark.parametrize("item", ["first earn", "repeat earn"])
def test_rivals__loops_of_the_libraries_without_guards__cost_more_than_ours_with_all(
    item: str, others: list[Rival], one: Callable[[str, int], Measured]
) -> None:
    # The trials that write straight into a library's storage guard nothing: they are what the guards are measured from.
    loops = {it.rival: it.per_item for it in others if it.item == item and "storage" not in it.rival}
    assert len(loops) == 5
    assert min(loops.values()) > one(item, 100).per_item


def test_report__what_was_measured__stands_in_text_and_json(measured: list[Measured], others: list[Rival]) -> None:
    some = replace(measured[0], gas=123_456_700, size=100)
    guard = Guard("tag", "it finds the operation", {"repeat earn": 60.25, "swap": 10.0}, "repeat earn", 0.06)
    report = Report([some], measured[-1:], others[:1], [guard])

    text, found = as_text(report), json.loads(json.dumps(as_json(report)))

    assert "1,234,567.0" in text and others[0].rival in text
    assert "Above 5% of an item: tag (6.0% of a repeat earn" in text
    assert [it["gas"] for it in found["items"]] == [1_234_567.0, measured[-1].per_item]
    assert found["rivals"][0]["gas"] == others[0].per_item
    assert found["guards"][0]["gas"]["repeat earn"] == 60.25 and found["guards"][0]["dear"]
