"""Entry words: the bytes that stand on chain; the hashes come from another implementation, `cast`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.points import POINTS_MAX, Points
from exchange.words import EntryKind, EntryWord, account_address, capture_tag, digest, entry_tag, is_captured_from
from tests.exchange.strategies import amounts

TOKEN = b"\x11" * 20
REFERENCE = b"\x22" * 20
TAG = bytes([1, 2, 3, 4, 5])

words = st.builds(
    EntryWord,
    reference=st.binary(min_size=20, max_size=20),
    kind=st.sampled_from(EntryKind),
    amount=amounts(),
    tag=st.binary(min_size=5, max_size=5),
)


def test_pack__of_an_entry__lays_its_parts_side_by_side() -> None:
    word = EntryWord(TOKEN, EntryKind.SWAP, Points(2500), TAG)
    assert word.pack().hex() == "11" * 20 + "21" + "0000000009c4" + "0102030405"


@given(words)
def test_unpack__of_a_packed_entry__is_the_entry(word: EntryWord) -> None:
    packed = word.pack()
    assert len(packed) == 32
    assert EntryWord.unpack(packed) == word


@pytest.mark.parametrize("kind", [EntryKind.EARN, EntryKind.BONUS, EntryKind.REINSTATEMENT, EntryKind.ADJUSTMENT_UP])
def test_is_credit__of_what_adds_points__is_true(kind: EntryKind) -> None:
    assert kind.is_credit


@pytest.mark.parametrize("kind", [kind for kind in EntryKind if kind >= 16])
def test_is_credit__of_what_takes_points__is_false(kind: EntryKind) -> None:
    assert not kind.is_credit


def test_entry_kinds__as_numbers__are_what_the_contracts_know() -> None:
    assert [kind.value for kind in EntryKind] == [1, 2, 3, 4, 17, 18, 19, 20, 21, 33, 49, 50, 65, 66]


@pytest.mark.parametrize(
    ("reference", "amount", "tag"),
    [
        (REFERENCE[1:], 1, TAG),
        (REFERENCE, 0, TAG),
        (REFERENCE, POINTS_MAX + 1, TAG),
        (REFERENCE, 1, TAG[1:]),
    ],
)
def test_entry_word__of_wrong_size__is_a_bug(reference: bytes, amount: int, tag: bytes) -> None:
    with pytest.raises(AssertionError):
        EntryWord(reference, EntryKind.EARN, Points(amount), tag)


def test_unpack__of_a_wrong_length__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        EntryWord.unpack(b"\x01" * 31)


def test_account_address__of_token_and_reference__is_what_solidity_derives() -> None:
    assert account_address(TOKEN, REFERENCE).hex() == "c73d2cd9e6b24d5e789a4106eca975c86ec900e1"


@pytest.mark.parametrize(("token", "reference"), [(TOKEN[1:], REFERENCE), (TOKEN, REFERENCE + b"\x00")])
def test_account_address__of_wrong_sizes__is_a_bug(token: bytes, reference: bytes) -> None:
    with pytest.raises(AssertionError):
        account_address(token, reference)


def test_entry_tag__of_program_and_key__starts_their_hash() -> None:
    assert entry_tag("prg_1", "ordre-é").hex() == "16f07bd4ec"


def test_entry_tag__of_another_division_of_the_same_letters__differs() -> None:
    assert entry_tag("prg_1", "2a") != entry_tag("prg_12", "a")


def test_capture_tag__of_hold_and_key__has_a_half_of_each() -> None:
    tag = capture_tag("prg_1", "hld_1", "ordre-é")
    assert tag.hex() == entry_tag("prg_1", "hld_1").hex()[:5] + entry_tag("prg_1", "ordre-é").hex()[:5]
    assert is_captured_from(tag, "prg_1", "hld_1")
    assert not is_captured_from(tag, "prg_1", "hld_2")
    assert not is_captured_from(tag, "prg_2", "hld_1")


def test_entry_tag__of_a_program_with_the_separator__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        entry_tag("prg\0", "1")


def test_digest__of_words__is_their_keccak() -> None:
    assert digest(b"\xab" * 64).hex() == "1326a3abf3dcddf671522549daabcd806131ee546c4a03530fa3075b3ef5a399"
    assert digest(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
