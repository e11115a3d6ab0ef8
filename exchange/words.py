"""Entry words: what one posted entry looks like on chain, and the hashes that name things there.

A word is 32 bytes: 20 of the reference, 1 of the kind, 6 of the amount (big endian), 5 of the tag.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from eth_hash.auto import keccak

from exchange.points import POINTS_MAX, Points

WORD_BYTES = 32
REFERENCE_BYTES = 20
ADDRESS_BYTES = 20
AMOUNT_BYTES = 6
TAG_BYTES = 5

_KIND_AT = REFERENCE_BYTES
_AMOUNT_AT = _KIND_AT + 1
_TAG_AT = _AMOUNT_AT + AMOUNT_BYTES


class EntryKind(IntEnum):
    """Why an entry was posted.

    Below 16 stand a program's credits, from 17 to 32 its debits; a swap's legs, releases to wallets and bindings of
    wallets have kinds of their own. A binding moves no points and is two words; see `binding_words`. What stands above
    64 is never posted: holders do it themselves on the chain, and the books follow.
    """

    EARN = 1
    BONUS = 2
    REINSTATEMENT = 3
    ADJUSTMENT_UP = 4
    REDEMPTION = 17
    EXPIRY = 18
    REVERSAL = 19
    FEE = 20
    ADJUSTMENT_DOWN = 21
    SWAP = 33
    RELEASE = 49
    BIND = 50
    DEPOSIT = 65
    TRANSFER = 66

    @property
    def is_credit(self) -> bool:
        """Whether the entry adds to the account it names; all others but a binding take from it."""
        return self.value < 16


@dataclass(frozen=True, slots=True)
class EntryWord:
    """One posted entry: whose account, why, how many points, and the tag that finds the operation again."""

    reference: bytes
    kind: EntryKind
    amount: Points
    tag: bytes

    def __post_init__(self) -> None:
        assert len(self.reference) == REFERENCE_BYTES, "a reference has 20 bytes"
        assert 0 < self.amount <= POINTS_MAX, "an entry's amount is from 1 to POINTS_MAX"
        assert len(self.tag) == TAG_BYTES, "a tag has 5 bytes"

    def pack(self) -> bytes:
        """The word's 32 bytes."""
        return b"".join((self.reference, self.kind.to_bytes(1), self.amount.to_bytes(AMOUNT_BYTES, "big"), self.tag))

    @classmethod
    def unpack(cls, word: bytes) -> "EntryWord":
        """The entry that `word` says; a word that no contract would have accepted is a bug."""
        assert len(word) == WORD_BYTES, "a word has 32 bytes"
        return cls(
            reference=bytes(word[:_KIND_AT]),
            kind=EntryKind(word[_KIND_AT]),
            amount=Points(int.from_bytes(word[_AMOUNT_AT:_TAG_AT], "big")),
            tag=bytes(word[_TAG_AT:]),
        )


@dataclass(frozen=True, slots=True)
class PostedWord:
    """One of a batch's words as it stands on the chain, at its `place`.

    Of a binding, which is two words, it is the first: without amount, and with the `wallet` that the second names (None
    where the binding ends).
    """

    place: int
    reference: bytes
    kind: EntryKind
    amount: int
    tag: bytes
    wallet: bytes | None = None


def read_words(words: bytes) -> list[PostedWord]:
    """What a batch that a contract took says, word by word; anything that no contract takes is a bug."""
    count, rest = divmod(len(words), WORD_BYTES)
    assert rest == 0, "a batch has whole words"
    found: list[PostedWord] = []
    place = 0
    while place < count:
        word = words[place * WORD_BYTES : (place + 1) * WORD_BYTES]
        if word[_KIND_AT] == EntryKind.BIND:
            assert place + 2 <= count, "a binding has two words"
            wallet = words[(place + 2) * WORD_BYTES - ADDRESS_BYTES : (place + 2) * WORD_BYTES]
            bound = wallet if any(wallet) else None
            found.append(PostedWord(place, word[:_KIND_AT], EntryKind.BIND, 0, word[_TAG_AT:], bound))
            place += 2
            continue
        entry = EntryWord.unpack(word)
        found.append(PostedWord(place, entry.reference, entry.kind, entry.amount, entry.tag))
        place += 1
    return found


def binding_words(reference: bytes, wallet: bytes | None, tag: bytes) -> bytes:
    """The 64 bytes that bind `reference` to a wallet's address, or to none."""
    assert len(reference) == REFERENCE_BYTES, "a reference has 20 bytes"
    assert wallet is None or len(wallet) == ADDRESS_BYTES, "a wallet's address has 20 bytes"
    assert len(tag) == TAG_BYTES, "a tag has 5 bytes"
    word = b"".join((reference, EntryKind.BIND.to_bytes(1), bytes(AMOUNT_BYTES), tag))
    return word + (wallet or b"").rjust(WORD_BYTES, b"\0")


def account_address(token: bytes, reference: bytes) -> bytes:
    """The 20-byte managed account that `reference` owns in the program of `token`; nobody holds its key."""
    assert len(token) == ADDRESS_BYTES, "a token's address has 20 bytes"
    assert len(reference) == REFERENCE_BYTES, "a reference has 20 bytes"
    return keccak(token + reference)[-ADDRESS_BYTES:]


def entry_tag(program_id: str, idempotency_key: str) -> bytes:
    """The 5 bytes that name an operation on chain, so that a ledger older than the chain finds it again."""
    assert "\0" not in program_id, "the separator must not occur in a program's id"
    return keccak(program_id.encode() + b"\0" + idempotency_key.encode())[:TAG_BYTES]


def capture_tag(program_id: str, hold_id: str, idempotency_key: str) -> bytes:
    """The 5 bytes that name a capture on chain: one half of them says from which hold, the other under which key.

    So a ledger that is older than the chain knows which of its holds a redemption was captured from, and captures
    nothing twice. Of one hold two keys meet in one pair of 2^20, and any two requests in one pair of 2^40.
    """
    halves = (entry_tag(program_id, each).hex()[:TAG_BYTES] for each in (hold_id, idempotency_key))
    return bytes.fromhex("".join(halves))


def is_captured_from(tag: bytes, program_id: str, hold_id: str) -> bool:
    """Whether a redemption's tag says that it was captured from this hold; one of another tag does in 1 of 2^20."""
    return tag.hex()[:TAG_BYTES] == capture_tag(program_id, hold_id, "").hex()[:TAG_BYTES]


def path_id(tokens: Sequence[bytes]) -> bytes:
    """The 32 bytes that name a swap path on chain: the keccak of its tokens' addresses, each filled to a word."""
    assert all(len(token) == ADDRESS_BYTES for token in tokens), "a token's address has 20 bytes"
    return keccak(b"".join(token.rjust(WORD_BYTES, b"\0") for token in tokens))


def digest(words: bytes) -> bytes:
    """The 32-byte keccak of a batch's words one after another, as the contract reports it."""
    return keccak(words)
