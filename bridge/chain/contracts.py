"""Call data for the two contracts, and the answers of their views.

A batch is built by joining bytes: the generic ABI encoder needs 36 microseconds a word, which at 20,000
entries is most of a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from eth_hash.auto import keccak

from bridge.chain.artifacts import artifact

WORD = 32
PATH_PROGRAMS_MIN, PATH_PROGRAMS_MAX = 2, 5

POST = "post(uint64,uint64,bytes32[])"
SETTLE = "settle(address[],uint32[],uint64,uint64,bytes32[])"
ADMIT = "admit(address)"
PROPOSE = "propose(address,address,uint48,uint48,uint64)"
CONSENT = "consent(address,address,uint32)"
SUSPEND = "suspend(address,address)"
BALANCE_OF = "balanceOf(address)"
TOTAL_SUPPLY = "totalSupply()"
SEQUENCE = "sequence()"
SEQUENCE_OF = "sequenceOf(bytes32)"
POSITION = "position(address)"
ADMITTED = "admitted(address)"
IN_FORCE = "inForce(address,address)"
TERMS_OF = "termsOf(address,address,uint32)"


@dataclass(frozen=True, slots=True)
class TermsOnChain:
    """One version of a direction's terms as the exchange keeps them.

    `price` is micro-units of the settlement currency for one destination point; `effective_at` is unix
    seconds, 0 while nobody has consented.
    """

    from_units: int
    to_units: int
    price: int
    effective_at: int


@cache
def selector(signature: str) -> bytes:
    """The four bytes by which call data names a function."""
    return bytes(keccak(signature.encode()))[:4]


# -- a program's token ------------------------------------------------------------------------


def token_init_code(name: str, symbol: str, issuer: bytes, admin: bytes, exchange: bytes, transferable: bool) -> bytes:
    """What creates a program's token: bytecode, then the constructor's arguments."""
    name_tail, symbol_tail = _text(name), _text(symbol)
    head_length = 6 * WORD
    return (
        artifact("PointsToken").bytecode
        + _uint(head_length)
        + _uint(head_length + len(name_tail))
        + _address(issuer)
        + _address(admin)
        + _address(exchange)
        + _uint(int(transferable))
        + name_tail
        + symbol_tail
    )


def encode_post(sequence: int, valid_until: int, words: bytes) -> bytes:
    """Posts a batch of entry words as number `sequence`, unless the chain's clock is past `valid_until`."""
    return selector(POST) + _uint(sequence) + _uint(valid_until) + _uint(3 * WORD) + _words(words)


def encode_balance_of(account: bytes) -> bytes:
    """Asks for an account's points: `decode_uint`."""
    return selector(BALANCE_OF) + _address(account)


def encode_total_supply() -> bytes:
    """Asks for all points of the program: `decode_uint`."""
    return selector(TOTAL_SUPPLY)


def encode_sequence() -> bytes:
    """Asks for the number of the token's last batch, 0 before the first: `decode_uint`."""
    return selector(SEQUENCE)


# -- the exchange -----------------------------------------------------------------------------


def exchange_init_code(admin: bytes, operator: bytes, notice: int) -> bytes:
    """What creates the exchange; `notice` is the seconds between consent to changed terms and their start."""
    return artifact("PointsExchange").bytecode + _address(admin) + _address(operator) + _uint(notice)


def path_id(path: Sequence[bytes]) -> bytes:
    """The name of a swap path's stream: keccak of its token addresses, each filled to a word."""
    assert PATH_PROGRAMS_MIN <= len(path) <= PATH_PROGRAMS_MAX, f"a path of {len(path)} programs"
    return bytes(keccak(b"".join(_address(program) for program in path)))


def encode_settle(
    path: Sequence[bytes], versions: Sequence[int], sequence: int, valid_until: int, words: bytes
) -> bytes:
    """Settles a batch of swap legs along `path`, each hop under the terms version named for it."""
    assert len(versions) == len(path) - 1, f"{len(versions)} versions for {len(path)} programs"
    path_tail = _uint(len(path)) + b"".join(_address(program) for program in path)
    versions_tail = _uint(len(versions)) + b"".join(_uint(version) for version in versions)
    path_offset = 5 * WORD
    versions_offset = path_offset + len(path_tail)
    return (
        selector(SETTLE)
        + _uint(path_offset)
        + _uint(versions_offset)
        + _uint(sequence)
        + _uint(valid_until)
        + _uint(versions_offset + len(versions_tail))
        + path_tail
        + versions_tail
        + _words(words)
    )


def encode_admit(program: bytes) -> bytes:
    """Admits a program's token to the exchange."""
    return selector(ADMIT) + _address(program)


def encode_propose(source: bytes, destination: bytes, from_units: int, to_units: int, price: int) -> bytes:
    """Proposes terms for one direction: ratio, and price in micro-units of currency per destination point."""
    return (
        selector(PROPOSE)
        + _address(source)
        + _address(destination)
        + _uint(from_units)
        + _uint(to_units)
        + _uint(price)
    )


def encode_consent(source: bytes, destination: bytes, version: int) -> bytes:
    """Agrees, as the other side, to the terms that were proposed as `version`."""
    return selector(CONSENT) + _address(source) + _address(destination) + _uint(version)


def encode_suspend(source: bytes, destination: bytes) -> bytes:
    """Closes one direction at once."""
    return selector(SUSPEND) + _address(source) + _address(destination)


def encode_sequence_of(path: bytes) -> bytes:
    """Asks for the number of the last batch of the path with this id, 0 before the first: `decode_uint`."""
    assert len(path) == WORD, "a path id has 32 bytes"
    return selector(SEQUENCE_OF) + path


def encode_position(program: bytes) -> bytes:
    """Asks what a program is owed (negative: owes), in micro-units of currency: `decode_int`."""
    return selector(POSITION) + _address(program)


def encode_admitted(program: bytes) -> bytes:
    """Asks whether the exchange knows the program: `decode_uint`, 1 or 0."""
    return selector(ADMITTED) + _address(program)


def encode_in_force(source: bytes, destination: bytes) -> bytes:
    """Asks for the version of a direction's terms in force, 0 when none is: `decode_uint`."""
    return selector(IN_FORCE) + _address(source) + _address(destination)


def encode_terms_of(source: bytes, destination: bytes, version: int) -> bytes:
    """Asks for one version of a direction's terms: `decode_terms`."""
    return selector(TERMS_OF) + _address(source) + _address(destination) + _uint(version)


# -- answers ----------------------------------------------------------------------------------


def decode_uint(answer: bytes) -> int:
    """A single unsigned number."""
    return int.from_bytes(_one_word(answer), "big")


def decode_int(answer: bytes) -> int:
    """A single number that may be negative."""
    return int.from_bytes(_one_word(answer), "big", signed=True)


def decode_terms(answer: bytes) -> TermsOnChain:
    """The four numbers of a version of terms."""
    assert len(answer) == 4 * WORD, f"an answer of {len(answer)} bytes is no terms"
    return TermsOnChain(*(int.from_bytes(answer[at : at + WORD], "big") for at in range(0, 4 * WORD, WORD)))


def _one_word(answer: bytes) -> bytes:
    assert len(answer) == WORD, f"an answer of {len(answer)} bytes is no single value: is there a contract?"
    return answer


def _uint(value: int) -> bytes:
    return value.to_bytes(WORD, "big")


def _address(value: bytes) -> bytes:
    assert len(value) == 20, f"an address has 20 bytes, not {len(value)}"
    return value.rjust(WORD, b"\0")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _uint(len(encoded)) + encoded.ljust(-(-len(encoded) // WORD) * WORD, b"\0")


def _words(words: bytes) -> bytes:
    count, rest = divmod(len(words), WORD)
    assert count > 0, "an empty batch is never sent"
    assert rest == 0, f"{len(words)} bytes are not whole words"
    return _uint(count) + words
