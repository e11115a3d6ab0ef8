"""Entry words: the bytes that stand on chain; the hashes come from another implementation, `cast`."""

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.points import POINTS_MAX, Points
from exchange.words import (
    EntryKind,
    EntryWord,
    PostedWord,
    account_address,
    binding_words,
    capture_tag,
    digest,
    entry_tag,
    is_captured_from,
    path_id,
    read_words,
)
from tests.exchange.strategies import amounts

TOKEN = b"\x11" * 20
REFERENCE = b"\x22" * 20
WALLET = b"\x33" * 20
TAG = bytes([1, 2, 3, 4, 5])

references, tags = st.binary(min_size=20, max_size=20), st.binary(min_size=5, max_size=5)
words = st.builds(EntryWord, reference=references, kind=st.sampled_from(EntryKind), amount=amounts(), tag=tags)


posted = words.filter(lambda one: one.kind is not EntryKind.BIND).map(
    lambda one: PostedWord(0, one.reference, one.kind, one.amount, one.tag)
)
bindings = st.builds(
    PostedWord,
    place=st.just(0),
    reference=references,
    kind=st.just(EntryKind.BIND),
    amount=st.just(0),
    tag=tags,
    wallet=st.none() | st.binary(min_size=20, max_size=20).filter(any),
)


def packed(one: PostedWord) -> bytes:
    if one.kind is EntryKind.BIND:
        return binding_words(one.reference, one.wallet, one.tag)
    return EntryWord(one.reference, one.kind, Points(one.amount), one.tag).pack()


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


def test_pack__of_the_most_points__fills_the_amount() -> None:
    assert EntryWord(REFERENCE, EntryKind.EARN, Points(POINTS_MAX), TAG).pack()[21:27] == b"\xff" * 6


@pytest.mark.parametrize(("wallet", "second"), [(WALLET, "00" * 12 + "33" * 20), (None, "00" * 32)])
def test_binding_words__of_a_wallet_or_none__are_an_entry_without_amount_and_its_address(
    wallet: bytes | None, second: str
) -> None:
    assert binding_words(REFERENCE, wallet, TAG).hex() == "22" * 20 + "32" + "000000000000" + "0102030405" + second


@pytest.mark.parametrize(
    ("reference", "wallet", "tag"),
    [(REFERENCE[1:], WALLET, TAG), (REFERENCE, WALLET[1:], TAG), (REFERENCE, b"", TAG), (REFERENCE, WALLET, TAG[1:])],
)
def test_binding_words__of_wrong_sizes__are_a_bug(reference: bytes, wallet: bytes, tag: bytes) -> None:
    with pytest.raises(AssertionError):
        binding_words(reference, wallet, tag)


@given(st.lists(posted | bindings, max_size=6))
def test_read_words__of_any_batch__tells_each_at_its_place(batch: list[PostedWord]) -> None:
    places = accumulate((len(packed(one)) // 32 for one in batch), initial=0)
    expected = [replace(one, place=place) for one, place in zip(batch, places, strict=False)]
    assert read_words(b"".join(map(packed, batch))) == expected


@pytest.mark.parametrize("words", [b"\x01" * 33, binding_words(REFERENCE, WALLET, TAG)[:32]])
def test_read_words__of_what_no_contract_takes__is_a_bug(words: bytes) -> None:
    with pytest.raises(AssertionError):
        read_words(words)


def test_path_id__of_tokens__is_the_hash_of_their_words() -> None:
    assert path_id([TOKEN, REFERENCE]).hex() == "1bbe365357fe28ec15df954baa1b29fb309dd0e8a21208d768bce9ab1c0c4fd0"
    assert path_id([REFERENCE, TOKEN]) != path_id([TOKEN, REFERENCE])


def test_path_id__of_no_address__is_a_bug() -> None:
    with pytest.raises(AssertionError):
        path_id([TOKEN, REFERENCE[1:]])


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
