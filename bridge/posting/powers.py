"""Powers of a program over its token: what it says now; pausing, unpausing, and changing limits.

Taking power away is the guardian's and happens at once. Giving it is the admin's, and is announced first. What takes
away also voids what was announced before it, on the chain as in the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.abi import split
from bridge.chain.contracts import Limit, LimitNow
from bridge.chain.rpc import Rpc
from bridge.posting import calls
from bridge.posting.setup import announce
from bridge.store import batches, limits, powers, programs
from bridge.store.batches import Batch, Control
from bridge.store.limits import Bounds
from bridge.store.programs import Program
from exchange.errors import Conflict, TooBusy

#: Transactions of one program's powers that may be under way, announcements and announced calls among them.
UNDER_WAY_MAX = 16

_SELECTOR_BYTES = 4


class PowersUnderWay(Conflict):
    """Raised when power is to be given while the call that took it away is in no block: it could void this one."""

    type = "powers-under-way"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a program's token, and the exchange about it, say as of block `block`.

    `standby` is None when nobody stands by. Limits are points by name, money is micro-units.
    """

    block: int
    paused: bool
    issuer: bytes
    standby: bytes | None
    guardian: bytes
    admin: bytes
    limits: Mapping[str, LimitNow]
    sequence: int
    position_micro: int
    credit_limit_micro: int


def look(rpc: Rpc, token: bytes, exchange: bytes) -> Standing:
    """What the contracts say at the newest block. Raises ChainError."""
    block = rpc.head_number()
    asked = [
        (token, contracts.encode_paused()),
        (token, contracts.encode_issuer()),
        (token, contracts.encode_standby()),
        (token, contracts.encode_guardian()),
        (token, contracts.encode_admin()),
        (token, contracts.encode_sequence()),
        (exchange, contracts.encode_position(token)),
        (exchange, contracts.encode_credit_limit(token)),
        *((token, contracts.encode_limit_of(limit)) for limit in Limit),
    ]
    paused, issuer, standby, guardian, admin, sequence, position, credit, *told = rpc.call_many(asked, block)
    by = contracts.decode_address(standby)
    return Standing(
        block=block,
        paused=bool(contracts.decode_uint(paused)),
        issuer=contracts.decode_address(issuer),
        standby=None if by == contracts.NOBODY else by,
        guardian=contracts.decode_address(guardian),
        admin=contracts.decode_address(admin),
        limits=dict(zip(limits.NAMES, map(contracts.decode_limit, told), strict=True)),
        sequence=contracts.decode_uint(sequence),
        position_micro=contracts.decode_int(position),
        credit_limit_micro=contracts.decode_uint(credit),
    )


def limit_of(call: Batch) -> tuple[str, Bounds] | None:
    """The limit that a call sets and to what; None for a call that sets none."""
    if call.purpose != powers.SET_LIMIT:
        return None
    limit, capacity, refill = (int.from_bytes(word, "big") for word in split(call.calldata[_SELECTOR_BYTES:]))
    return calls.limit_name(limit), Bounds(capacity, refill)


def pause(connection: sa.Connection, program_id: str, now_ms: int) -> Batch:
    """Queue the stop of posting and of swaps in managed accounts; an announced unpause is given up.

    Raises UnknownProgram, ProgramNotActive.
    """
    program = programs.by_id(connection, program_id)
    call = _control(powers.PAUSE, program, program.guardian_lane_id, contracts.encode_pause())
    for waiting in powers.under_way(connection, program.id):
        if waiting.purpose == powers.UNPAUSE:
            # The pause voids it on the chain, unless the announcement comes after it.
            announced = contracts.encode_announce(waiting.calldata)
            late = powers.on_its_way(connection, program.id, announced)
            _give_up(connection, program, waiting, now_ms, withdraw=late)
    return _under_way(connection, call) or _queued(connection, call, now_ms)


def unpause(connection: sa.Connection, program_id: str, now_ms: int) -> Batch:
    """Announce that posting goes on, and queue the call for then. Announced already: answers that call.

    Raises UnknownProgram, ProgramNotActive, PowersUnderWay, TooBusy.
    """
    program = programs.by_id(connection, program_id)
    call = _control(powers.UNPAUSE, program, program.admin_lane_id, contracts.encode_unpause())
    found = _under_way(connection, call)
    if found is not None:
        return found
    if any(one.purpose == powers.PAUSE for one in powers.under_way(connection, program.id)):
        raise PowersUnderWay("the pause is in no block yet, and would void this; try again in some seconds")
    return _announced(connection, call, now_ms)


def set_limits(connection: sa.Connection, program_id: str, wanted: Mapping[str, Bounds], now_ms: int) -> list[Batch]:
    """Queue changes of limits: at once where neither number grows, announced where one does.

    A change gives up what was announced for the same limit before. Raises UnknownProgram, ProgramNotActive,
    PowersUnderWay, TooBusy.
    """
    program = programs.by_id(connection, program_id)
    return [_set_limit(connection, program, name, bounds, now_ms) for name, bounds in wanted.items()]


def _set_limit(connection: sa.Connection, program: Program, name: str, bounds: Bounds, now_ms: int) -> Batch:
    now = limits.of_program(connection, program.id)[name]
    grows = bounds.capacity > now.capacity or bounds.refill_per_second > now.refill_per_second
    limit = Limit(limits.NAMES.index(name))
    lane_id = program.admin_lane_id if grows else program.guardian_lane_id
    calldata = contracts.encode_set_limit(limit, contracts.Bounds(bounds.capacity, bounds.refill_per_second))
    call = _control(powers.SET_LIMIT, program, lane_id, calldata)
    found = _under_way(connection, call)
    if found is not None:
        return found
    for other in _of_limit(connection, program, name):
        if other.lane_id == program.admin_lane_id:
            _give_up(connection, program, other, now_ms, withdraw=True)
        elif grows:
            raise PowersUnderWay(
                f"a lowering of the {name} limit is in no block yet, and would void this; try again in some seconds",
                field=name,
            )
    return _announced(connection, call, now_ms) if grows else _queued(connection, call, now_ms)


def _of_limit(connection: sa.Connection, program: Program, name: str) -> list[Batch]:
    found = ((one, limit_of(one)) for one in powers.under_way(connection, program.id))
    return [one for one, of in found if of is not None and of[0] == name]


def _control(purpose: str, program: Program, lane_id: int, calldata: bytes) -> Control:
    return Control(purpose, program.id, lane_id, program.deployed_token, calldata, calls.GAS_CALL)


def _under_way(connection: sa.Connection, call: Control) -> Batch | None:
    assert call.subject is not None
    for one in powers.under_way(connection, call.subject):
        if (one.lane_id, one.calldata) == (call.lane_id, call.calldata):
            return one
    return None


def _queued(connection: sa.Connection, call: Control, now_ms: int) -> Batch:
    if call.purpose != powers.PAUSE:  # of which there is never more than one
        _require_room(connection, call)
    return batches.by_id(connection, batches.add_control(connection, call, now_ms))


def _announced(connection: sa.Connection, call: Control, now_ms: int) -> Batch:
    _require_room(connection, call)
    announce(connection, call, now_ms)
    made = _under_way(connection, call)
    assert made is not None
    return made


def _require_room(connection: sa.Connection, call: Control) -> None:
    assert call.subject is not None
    if powers.count_under_way(connection, call.subject) >= UNDER_WAY_MAX:
        raise TooBusy("too many calls of the program's guardian and admin are under way", limit=UNDER_WAY_MAX)


def _give_up(connection: sa.Connection, program: Program, waiting: Batch, now_ms: int, *, withdraw: bool) -> None:
    """An announced call is not to be made any more. One that is signed already is left to the chain's order."""
    if powers.take_back(connection, waiting.id, "given up for a later call") and withdraw:
        # Else the same call could not be announced anew for as long as it could be made.
        call = _control(powers.WITHDRAW, program, program.admin_lane_id, contracts.encode_withdraw(waiting.calldata))
        batches.add_control(connection, call, now_ms)
