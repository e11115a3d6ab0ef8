"""Call data for the two contracts, and the answers of their views."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import NamedTuple

from eth_hash.auto import keccak

from bridge.chain.abi import WORD, encode_call, encode_values, selector, split
from bridge.chain.artifacts import artifact
from exchange import words as named

PATH_PROGRAMS_MIN, PATH_PROGRAMS_MAX = 2, 5
#: Nobody: as standby, as the wallet of a binding that is taken away.
NOBODY = bytes(20)

# The token.
POST = "post(uint64,uint64,bytes32[])"
BALANCE_OF = "balanceOf(address)"
TOTAL_SUPPLY = "totalSupply()"
SEQUENCE = "sequence()"
NAME = "name()"
SYMBOL = "symbol()"
LIMIT_OF = "limitOf(uint8)"
WALLET_OF = "walletOf(bytes20)"
IS_WALLET = "isWallet(address)"
PAUSED = "paused()"
ISSUER = "issuer()"
GUARDIAN = "guardian()"
TRANSFERABLE = "transferable()"
PAUSE = "pause()"
UNPAUSE = "unpause()"
SET_LIMIT = "setLimit(uint8,uint48,uint48)"
RETIRE_ISSUER = "retireIssuer()"
SET_GUARDIAN = "setGuardian(address)"
UNBIND = "unbind(bytes20)"
REDEEM = "redeem(uint256,uint256)"
REDEEM_FOR = "redeemFor(address,uint256,uint256,uint256,bytes)"
DEPOSIT = "deposit(bytes20,uint256)"
DEPOSIT_FOR = "depositFor(address,bytes20,uint256,uint256,uint256,bytes)"

# The exchange.
SETTLE = "settle(address[],uint32[],uint64,uint64,bytes32[])"
SWAP = "swap(address[],uint256,uint256,uint256)"
SWAP_FOR = "swapFor(address,address[],uint256,uint256,uint256,uint256,bytes)"
ADMIT = "admit(address,uint120)"
REQUEST_CREDIT = "requestCredit(address,uint120)"
GRANT_CREDIT = "grantCredit(address,uint120)"
LOWER_CREDIT = "lowerCredit(address,uint120)"
PROPOSE = "propose(address,address,(uint48,uint48,uint48,uint48,uint48))"
CONSENT = "consent(address,address,uint32)"
SUSPEND = "suspend(address,address)"
LOWER_CAPS = "lowerCaps(address,address,uint32,uint48,uint48)"
RETIRE_OPERATOR = "retireOperator()"
SEQUENCE_OF = "sequenceOf(bytes32)"
POSITION = "position(address)"
CREDIT_LIMIT = "creditLimit(address)"
CREDIT_REQUESTED = "creditRequested(address)"
ADMITTED = "admitted(address)"
IN_FORCE = "inForce(address,address)"
TERMS_OF = "termsOf(address,address,uint32)"
USED_OF = "usedOf(address,address)"
OPERATOR = "operator()"
NOTICE = "notice()"
LONGEST_QUOTE = "longestQuote()"
LONGEST_BATCH = "longestBatch()"
CAP_PERIOD = "capPeriod()"

# Both.
ANNOUNCE = "announce(bytes)"
WITHDRAW = "withdraw(bytes)"
SET_STANDBY = "setStandby(address)"
READY_AT = "readyAt(bytes32)"
ADMIN = "admin()"
STANDBY = "standby()"
DELAY = "delay()"
CANCEL = "cancel(uint256)"
IS_SPENT = "isSpent(address,uint256)"
DOMAIN_SEPARATOR = "DOMAIN_SEPARATOR()"

BOUNDS = "(uint48,uint48)"
TOKEN_SETUP = f"((string,string,address,address,address,address,address,bool,uint40,{BOUNDS},{BOUNDS},{BOUNDS}))"
EXCHANGE_SETUP = "(address,address,address,(uint40,uint40,uint40,uint40,uint40))"


class Limit(IntEnum):
    """What a token's limit bounds: all credits; all debits of managed accounts; releases to wallets."""

    ISSUANCE = 0
    REDEMPTION = 1
    RELEASE = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """A limit's two numbers: so many points at once (capacity), so many come back each second (refill)."""

    capacity: int
    refill: int


@dataclass(frozen=True, slots=True)
class LimitNow:
    """A limit as the token tells it; `available` is what it lets through right now, in points."""

    capacity: int
    refill: int
    available: int


@dataclass(frozen=True, slots=True)
class TokenSetup:
    """What is chosen when a program's token is deployed. `delay` is seconds; `standby` may be NOBODY."""

    name: str
    symbol: str
    issuer: bytes
    standby: bytes
    guardian: bytes
    admin: bytes
    exchange: bytes
    transferable: bool
    delay: int
    issuance: Bounds
    redemption: Bounds
    release: Bounds


@dataclass(frozen=True, slots=True)
class Times:
    """The exchange's times, fixed at deployment, in seconds."""

    delay: int
    notice: int
    longest_quote: int
    longest_batch: int
    cap_period: int


@dataclass(frozen=True, slots=True)
class TermsOnChain:
    """One version of a direction's terms as the exchange keeps them.

    `price` is micro-units of the settlement currency for one destination point; the caps are source points that
    managed accounts, and holders of wallets, may swap in a period.
    """

    from_units: int
    to_units: int
    price: int
    managed_cap: int
    wallet_cap: int


class Binding(NamedTuple):
    """The wallet of a reference, NOBODY without one; releases reach it from `effective_at` on, in unix seconds."""

    wallet: bytes
    effective_at: int


class PostCall(NamedTuple):
    """A program's batch as it was called for; `valid_until` is unix seconds, `words` are joined."""

    sequence: int
    valid_until: int
    words: bytes


class SettleCall(NamedTuple):
    """A batch of swaps as it was called for; `valid_until` is unix seconds, `words` are joined."""

    path: tuple[bytes, ...]
    versions: tuple[int, ...]
    sequence: int
    valid_until: int
    words: bytes


class Used(NamedTuple):
    """Source points swapped in the current period of caps."""

    managed: int
    wallet: int


# -- a program's token ------------------------------------------------------------------------


def token_init_code(setup: TokenSetup) -> bytes:
    """What creates a program's token: bytecode, then the constructor's arguments."""
    return artifact("PointsToken").bytecode + encode_values(TOKEN_SETUP, [astuple(setup)])


def encode_post(sequence: int, valid_until: int, words: bytes) -> bytes:
    """Posts a batch of entry words as number `sequence`, unless the chain's clock is past `valid_until`."""
    assert words, "an empty batch is never sent"
    return encode_call(POST, sequence, valid_until, words)


def encode_balance_of(account: bytes) -> bytes:
    """Asks for an account's points: `decode_uint`."""
    return encode_call(BALANCE_OF, account)


def encode_total_supply() -> bytes:
    """Asks for all points of the program: `decode_uint`."""
    return encode_call(TOTAL_SUPPLY)


def encode_sequence() -> bytes:
    """Asks for the number of the token's last batch, 0 before the first: `decode_uint`."""
    return encode_call(SEQUENCE)


def encode_name() -> bytes:
    """Asks what a program is called: `decode_text`."""
    return encode_call(NAME)


def encode_symbol() -> bytes:
    """Asks for the symbol of a program's points: `decode_text`."""
    return encode_call(SYMBOL)


def encode_limit_of(limit: Limit) -> bytes:
    """Asks what a limit is and lets through now: `decode_limit`."""
    return encode_call(LIMIT_OF, limit)


def encode_wallet_of(reference: bytes) -> bytes:
    """Asks for the wallet of a reference: `decode_binding`."""
    return encode_call(WALLET_OF, reference)


def encode_is_wallet(holder: bytes) -> bytes:
    """Asks whether points may be transferred to an address: `decode_uint`, 1 or 0."""
    return encode_call(IS_WALLET, holder)


def encode_paused() -> bytes:
    """Asks whether posting and swaps of managed accounts are stopped: `decode_uint`, 1 or 0."""
    return encode_call(PAUSED)


def encode_issuer() -> bytes:
    """Asks who may post: `decode_address`."""
    return encode_call(ISSUER)


def encode_guardian() -> bytes:
    """Asks who may pause and lower: `decode_address`."""
    return encode_call(GUARDIAN)


def encode_transferable() -> bytes:
    """Asks whether holders may transfer points to other members' wallets: `decode_uint`, 1 or 0."""
    return encode_call(TRANSFERABLE)


def encode_pause() -> bytes:
    """Stops posting and swaps of managed accounts. Guardian or admin."""
    return encode_call(PAUSE)


def encode_unpause() -> bytes:
    """Lets posting and swaps of managed accounts go on. Admin, announced."""
    return encode_call(UNPAUSE)


def encode_set_limit(limit: Limit, bounds: Bounds) -> bytes:
    """Changes a limit. When neither number grows: guardian or admin; else admin, announced."""
    return encode_call(SET_LIMIT, limit, bounds.capacity, bounds.refill)


def encode_retire_issuer() -> bytes:
    """Makes the standby the issuer. Guardian or admin."""
    return encode_call(RETIRE_ISSUER)


def encode_set_guardian(guardian: bytes) -> bytes:
    """Names the guardian. Admin, announced."""
    return encode_call(SET_GUARDIAN, guardian)


def encode_unbind(reference: bytes) -> bytes:
    """Takes a reference's binding away. Guardian, admin or the bound wallet."""
    return encode_call(UNBIND, reference)


# -- the exchange -----------------------------------------------------------------------------


def exchange_init_code(admin: bytes, operator: bytes, standby: bytes, times: Times) -> bytes:
    """What creates the exchange: bytecode, then the constructor's arguments. `standby` may be NOBODY."""
    arguments = encode_values(EXCHANGE_SETUP, [admin, operator, standby, astuple(times)])
    return artifact("PointsExchange").bytecode + arguments


def path_id(path: Sequence[bytes]) -> bytes:
    """The name of a swap path's stream: keccak of its token addresses, each filled to a word."""
    assert PATH_PROGRAMS_MIN <= len(path) <= PATH_PROGRAMS_MAX, f"a path of {len(path)} programs"
    return named.path_id(path)


def encode_settle(
    path: Sequence[bytes], versions: Sequence[int], sequence: int, valid_until: int, words: bytes
) -> bytes:
    """Settles a batch of swap legs along `path`, each hop under the terms version named for it."""
    assert len(versions) == len(path) - 1, f"{len(versions)} versions for {len(path)} programs"
    assert words, "an empty batch is never sent"
    return encode_call(SETTLE, path, versions, sequence, valid_until, words)


def encode_admit(program: bytes, credit_limit: int) -> bytes:
    """Admits a program's token, which may owe up to `credit_limit` micro-units. Exchange admin, announced."""
    return encode_call(ADMIT, program, credit_limit)


def encode_request_credit(program: bytes, limit: int) -> bytes:
    """Asks that a program may owe up to `limit` micro-units. The program's admin."""
    return encode_call(REQUEST_CREDIT, program, limit)


def encode_grant_credit(program: bytes, limit: int) -> bytes:
    """Grants what a program asked for, in micro-units. Exchange admin, announced."""
    return encode_call(GRANT_CREDIT, program, limit)


def encode_lower_credit(program: bytes, limit: int) -> bytes:
    """Lowers what a program may owe, in micro-units. The program's admin or guardian."""
    return encode_call(LOWER_CREDIT, program, limit)


def encode_propose(source: bytes, destination: bytes, terms: TermsOnChain) -> bytes:
    """Proposes terms for one direction. Admin of either program."""
    return encode_call(PROPOSE, source, destination, astuple(terms))


def encode_consent(source: bytes, destination: bytes, version: int) -> bytes:
    """Agrees, as the other side, to the terms that were proposed as `version`."""
    return encode_call(CONSENT, source, destination, version)


def encode_suspend(source: bytes, destination: bytes) -> bytes:
    """Closes one direction at once. Admin or guardian of either program."""
    return encode_call(SUSPEND, source, destination)


def encode_lower_caps(source: bytes, destination: bytes, version: int, managed_cap: int, wallet_cap: int) -> bytes:
    """Lowers the caps of one version of terms, in source points. Admin or guardian of either program."""
    return encode_call(LOWER_CAPS, source, destination, version, managed_cap, wallet_cap)


def encode_retire_operator() -> bytes:
    """Makes the standby the operator. Exchange admin."""
    return encode_call(RETIRE_OPERATOR)


def encode_sequence_of(path: bytes) -> bytes:
    """Asks for the number of the last batch of the path with this id, 0 before the first: `decode_uint`."""
    return encode_call(SEQUENCE_OF, path)


def encode_position(program: bytes) -> bytes:
    """Asks what a program is owed (negative: owes), in micro-units of currency: `decode_int`."""
    return encode_call(POSITION, program)


def encode_credit_limit(program: bytes) -> bytes:
    """Asks what a program may owe, in micro-units of currency: `decode_uint`."""
    return encode_call(CREDIT_LIMIT, program)


def encode_credit_requested(program: bytes) -> bytes:
    """Asks what a program asked to be allowed to owe, in micro-units, 0 for nothing: `decode_uint`."""
    return encode_call(CREDIT_REQUESTED, program)


def encode_admitted(program: bytes) -> bytes:
    """Asks whether the exchange knows the program: `decode_uint`, 1 or 0."""
    return encode_call(ADMITTED, program)


def encode_in_force(source: bytes, destination: bytes) -> bytes:
    """Asks for the version of a direction's terms in force, 0 when none is: `decode_uint`."""
    return encode_call(IN_FORCE, source, destination)


def encode_terms_of(source: bytes, destination: bytes, version: int) -> bytes:
    """Asks for one version of a direction's terms: `decode_terms`."""
    return encode_call(TERMS_OF, source, destination, version)


def encode_used_of(source: bytes, destination: bytes) -> bytes:
    """Asks how many source points were swapped in the current period of caps: `decode_used`."""
    return encode_call(USED_OF, source, destination)


def encode_operator() -> bytes:
    """Asks who may settle: `decode_address`."""
    return encode_call(OPERATOR)


def encode_times() -> list[bytes]:
    """Asks for each of the exchange's times in seconds, in the order of `Times`: `decode_uint`."""
    return [encode_call(each) for each in (DELAY, NOTICE, LONGEST_QUOTE, LONGEST_BATCH, CAP_PERIOD)]


# -- powers, at both contracts ----------------------------------------------------------------


def encode_announce(call: bytes) -> bytes:
    """Announces a call of the same contract. Admin."""
    return encode_call(ANNOUNCE, call)


def encode_withdraw(call: bytes) -> bytes:
    """Takes an announcement back. Admin."""
    return encode_call(WITHDRAW, call)


def encode_set_standby(standby: bytes) -> bytes:
    """Names who takes over when issuer or operator is retired. Admin, announced; NOBODY at once."""
    return encode_call(SET_STANDBY, standby)


def announcement_id(call: bytes) -> bytes:
    """What names an announced call."""
    return bytes(keccak(call))


def encode_ready_at(call: bytes) -> bytes:
    """Asks from when an announced call can be made, in unix seconds, 0 when it is not announced: `decode_uint`."""
    return encode_call(READY_AT, announcement_id(call))


def encode_admin() -> bytes:
    """Asks who the contract's admin is: `decode_address`."""
    return encode_call(ADMIN)


def encode_standby() -> bytes:
    """Asks who stands by to become issuer or operator: `decode_address`."""
    return encode_call(STANDBY)


def encode_delay() -> bytes:
    """Asks for the seconds between announcing a call and making it: `decode_uint`."""
    return encode_call(DELAY)


# -- holders' calls, and what anybody relays for them -----------------------------------------


def encode_redeem(amount: int, order: int) -> bytes:
    """Burns the sender's points for an order. Token."""
    return encode_call(REDEEM, amount, order)


def encode_redeem_for(holder: bytes, amount: int, order: int, deadline: int, signature: bytes) -> bytes:
    """The same with a holder's signature; `deadline` is unix seconds. Token."""
    return encode_call(REDEEM_FOR, holder, amount, order, deadline, signature)


def encode_deposit(reference: bytes, amount: int) -> bytes:
    """Brings the sender's points to the managed account of a reference that is bound to the sender. Token."""
    return encode_call(DEPOSIT, reference, amount)


def encode_deposit_for(
    holder: bytes, reference: bytes, amount: int, nonce: int, deadline: int, signature: bytes
) -> bytes:
    """The same with a holder's signature; `deadline` is unix seconds. Token."""
    return encode_call(DEPOSIT_FOR, holder, reference, amount, nonce, deadline, signature)


def encode_swap(path: Sequence[bytes], amount_in: int, min_out: int, deadline: int) -> bytes:
    """Swaps the sender's points along a path at the terms in force; `deadline` is unix seconds. Exchange."""
    return encode_call(SWAP, path, amount_in, min_out, deadline)


def encode_swap_for(
    holder: bytes, path: Sequence[bytes], amount_in: int, min_out: int, nonce: int, deadline: int, signature: bytes
) -> bytes:
    """The same with a holder's signature. Exchange."""
    return encode_call(SWAP_FOR, holder, path, amount_in, min_out, nonce, deadline, signature)


def encode_cancel(nonce: int) -> bytes:
    """Makes one of the sender's nonces unusable. Token or exchange."""
    return encode_call(CANCEL, nonce)


def encode_is_spent(holder: bytes, nonce: int) -> bytes:
    """Asks whether a nonce was used or cancelled: `decode_uint`, 1 or 0. Token or exchange."""
    return encode_call(IS_SPENT, holder, nonce)


def encode_domain_separator() -> bytes:
    """Asks for the hash of the contract's EIP-712 domain. Token or exchange."""
    return encode_call(DOMAIN_SEPARATOR)


# -- answers ----------------------------------------------------------------------------------


def decode_uint(answer: bytes) -> int:
    """A single unsigned number."""
    return int.from_bytes(_words(answer, 1)[0], "big")


def decode_int(answer: bytes) -> int:
    """A single number that may be negative."""
    return int.from_bytes(_words(answer, 1)[0], "big", signed=True)


def decode_address(answer: bytes) -> bytes:
    """A single address."""
    return _words(answer, 1)[0][12:]


def decode_text(answer: bytes) -> str:
    """A single text."""
    offset, rest = divmod(int.from_bytes(answer[:WORD], "big"), WORD)
    words = split(answer)
    assert not rest and offset < len(words), f"an answer of {len(answer)} bytes is no text: is there a contract?"
    length = int.from_bytes(words[offset], "big")
    return answer[(offset + 1) * WORD :][:length].decode(errors="replace")


def decode_terms(answer: bytes) -> TermsOnChain:
    """The five numbers of a version of terms."""
    return TermsOnChain(*_numbers(answer, 5))


def decode_limit(answer: bytes) -> LimitNow:
    """A limit's capacity, refill and what it lets through."""
    return LimitNow(*_numbers(answer, 3))


def decode_used(answer: bytes) -> Used:
    """What managed accounts and wallets swapped in the period."""
    return Used(*_numbers(answer, 2))


def decode_post(calldata: bytes) -> PostCall | None:
    """What `encode_post` wrote, or None for any other call."""
    arguments = _arguments(POST, calldata)
    words = None if arguments is None else _array(arguments, 2)
    if arguments is None or words is None:
        return None
    sequence, valid_until = (int.from_bytes(word, "big") for word in arguments[:2])
    return PostCall(sequence, valid_until, b"".join(words))


def decode_settle(calldata: bytes) -> SettleCall | None:
    """What `encode_settle` wrote, or None for any other call."""
    arguments = _arguments(SETTLE, calldata)
    if arguments is None:
        return None
    path, versions, words = (_array(arguments, place) for place in (0, 1, 4))
    if path is None or versions is None or words is None:
        return None
    sequence, valid_until = (int.from_bytes(word, "big") for word in arguments[2:4])
    return SettleCall(
        tuple(word[12:] for word in path),
        tuple(int.from_bytes(word, "big") for word in versions),
        sequence,
        valid_until,
        b"".join(words),
    )


def _arguments(signature: str, calldata: bytes) -> list[bytes] | None:
    """The words behind the name of a function, where it is this one that is called."""
    if calldata[:4] != selector(signature) or len(calldata) % WORD != 4:
        return None
    arguments = split(calldata[4:])
    return arguments if len(arguments) > signature.count(",") + 1 else None


def _array(arguments: Sequence[bytes], place: int) -> Sequence[bytes] | None:
    """The words of the array whose offset stands at this place, None where they are not all there."""
    at, rest = divmod(int.from_bytes(arguments[place], "big"), WORD)
    if rest or at >= len(arguments):
        return None
    end = at + 1 + int.from_bytes(arguments[at], "big")
    return arguments[at + 1 : end] if end <= len(arguments) else None


def decode_binding(answer: bytes) -> Binding:
    """The wallet of a reference and from when releases reach it."""
    wallet, effective_at = _words(answer, 2)
    return Binding(wallet[12:], int.from_bytes(effective_at, "big"))


def _numbers(answer: bytes, count: int) -> list[int]:
    return [int.from_bytes(word, "big") for word in _words(answer, count)]


def _words(answer: bytes, count: int) -> list[bytes]:
    assert len(answer) == count * WORD, f"an answer of {len(answer)} bytes is not {count} values: is there a contract?"
    return split(answer)
