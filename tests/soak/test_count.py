"""The count at the end finds what it is there to find."""

import pytest

from exchange.words import EntryKind, PostedWord, entry_tag
from tests.soak.record import CAPTURE, EARN, REDEMPTION, REVERSAL, SWAP, Asked, Record
from tests.soak.verdict import wrong_of

ANN, BEN = b"a" * 20, b"b" * 20


def asked(kind: str = EARN, of: str = "") -> Asked:
    return Asked(kind, "prg", "ann", "key", 10, of=of)


def word(kind: EntryKind = EntryKind.EARN, amount: int = 10, reference: bytes = ANN) -> PostedWord:
    return PostedWord(0, reference, kind, amount, entry_tag("prg", "key"))


@pytest.mark.parametrize(
    ("kind", "state", "words"),
    [
        (EARN, "submitted", [word()]),
        (EARN, "final", []),
        (EARN, "final", [word(), word()]),
        (EARN, "final", [word(amount=5), word(amount=5)]),
        (EARN, "final", [word(amount=9)]),
        (EARN, "final", [word(EntryKind.BONUS)]),
        (REDEMPTION, "failed", []),
        (CAPTURE, "final", [word(EntryKind.REDEMPTION), word(EntryKind.REDEMPTION)]),
        (SWAP, "final", [word(EntryKind.SWAP, 4), word(EntryKind.SWAP, 4)]),
    ],
)
def test_request__with_another_effect_than_its_own__is_told(kind: str, state: str, words: list[PostedWord]) -> None:
    assert wrong_of(asked(kind), state, words) is not None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (EARN, [word()]),
        (REDEMPTION, [word(EntryKind.REDEMPTION, 4), word(EntryKind.REDEMPTION, 6, BEN)]),
        (SWAP, [word(EntryKind.SWAP, 4), word(EntryKind.SWAP, 6)]),
    ],
)
def test_request__with_one_effect__is_right(kind: str, words: list[PostedWord]) -> None:
    assert wrong_of(asked(kind), "final", words) is None


@pytest.mark.parametrize(
    ("of", "carried", "other"),
    [
        (EARN, EntryKind.REVERSAL, EntryKind.REINSTATEMENT),
        (REDEMPTION, EntryKind.REINSTATEMENT, EntryKind.REVERSAL),
        (CAPTURE, EntryKind.REINSTATEMENT, EntryKind.REDEMPTION),
    ],
)
def test_reversal__of_what_gave_or_took_points__goes_the_other_way(
    of: str, carried: EntryKind, other: EntryKind
) -> None:
    assert wrong_of(asked(REVERSAL, of), "final", [word(carried)]) is None
    assert wrong_of(asked(REVERSAL, of), "final", [word(other)]) is not None


def test_record__of_answers_that_contradict_each_other__keeps_them() -> None:
    record = Record()
    record.accept(asked(), "op_1")
    record.accept(asked(), "op_1")
    assert record.wrong == []
    record.accept(asked(), "op_2")
    record.refuse(asked(), "insufficient-points")
    assert len(record.wrong) == 2
