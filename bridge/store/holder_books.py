"""Booking what holders did: when its block is final, as an operation of the member whose wallet it is.

The books have no say in it: the chain has done it. Where they cannot follow, because they know nothing of points that
were moved, somebody posted with a stolen key: the breaker trips, and the audit shows what is missing.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import accounts, breaker, events, holder_calls, holder_events, lots, positions, programs, wallets
from bridge.store.breaker import Alarm
from bridge.store.holder_calls import HolderCall
from bridge.store.holder_events import Happening, Noted
from bridge.store.ids import new_id
from bridge.store.programs import Program
from bridge.store.schema import account, entry, lot, operation, swap
from bridge.store.swaps import DAY_MS
from exchange.lots import Take, draw
from exchange.operations import OperationKind, OperationState
from exchange.points import MICRO_UNITS_MAX, Points
from exchange.words import EntryKind

UNKNOWN_ORDER = "the holder redeemed under a number that this program gave out for no such order"


@dataclass(frozen=True, slots=True)
class _Side:
    """One account's part in a booking: so many points come to it, or leave it, against a contra account."""

    program: Program
    account_id: int
    contra_id: int
    credit: bool
    amount: int


class _CannotFollow(Exception):
    """The books lack what was moved on the chain."""


def book(connection: sa.Connection, final_number: int, now_ms: int) -> None:
    """Book everything that happened up to this block. To be called after that block's batches were posted."""
    for noted in holder_events.waiting(connection, final_number):
        operation_id = None
        try:
            operation_id = _BOOKINGS[noted.what.kind](connection, noted, now_ms)
        except _CannotFollow as gap:
            transaction = f"0x{noted.what.transaction_hash.hex()}"
            reason = f"transaction {transaction} of a holder: {gap}"
            breaker.trip(connection, Alarm.UNKNOWN_POINTS, reason, now_ms)
        holder_events.booked(connection, noted.id, operation_id, now_ms)


def _redeemed(connection: sa.Connection, noted: Noted, now_ms: int) -> str:
    what = noted.what
    program = _program(connection, what.contract)
    holding = accounts.wallet_account(connection, program.id, what.holder)
    takes = _takes(connection, holding, what)
    call = _call(connection, what, holder_calls.REDEEM)
    operation_id = _operation(
        connection,
        noted,
        OperationKind.REDEMPTION,
        program.id,
        wallets.member_of(connection, program.id, what.holder),
        None if call is not None else UNKNOWN_ORDER,
    )
    redeemed = accounts.system_account(connection, program.id, accounts.REDEEMED)
    _post(connection, operation_id, EntryKind.REDEMPTION, _Side(program, holding, redeemed, False, what.amount))
    lots.take(connection, operation_id, takes)
    _close(connection, what, call, operation_id)
    _tell(connection, operation_id, [program.id], now_ms)
    return operation_id


def _deposited(connection: sa.Connection, noted: Noted, now_ms: int) -> str:
    what = noted.what
    assert what.reference is not None
    program = _program(connection, what.contract)
    managed = accounts.by_reference(connection, program.id, what.reference)
    if managed is None:
        raise _CannotFollow(f"it deposited to reference 0x{what.reference.hex()}, which is nobody's here")
    member_id = connection.execute(sa.select(account.c.member_id).where(account.c.id == managed)).scalar_one()
    operation_id = _moved(
        connection, noted, OperationKind.DEPOSIT, EntryKind.DEPOSIT, program, managed, member_id=member_id
    )
    _close(connection, what, _call(connection, what, holder_calls.DEPOSIT), operation_id)
    _tell(connection, operation_id, [program.id], now_ms)
    return operation_id


def _transferred(connection: sa.Connection, noted: Noted, now_ms: int) -> str | None:
    what = noted.what
    assert what.other is not None
    program = _program(connection, what.contract)
    if what.other == what.holder:
        _require_held(connection, accounts.wallet_account(connection, program.id, what.holder), what)
        return None  # from a wallet to itself: nothing moved
    into = accounts.wallet_account(connection, program.id, what.other)
    member_id = wallets.member_of(connection, program.id, what.holder)
    operation_id = _moved(
        connection, noted, OperationKind.TRANSFER, EntryKind.TRANSFER, program, into, member_id=member_id
    )
    _tell(connection, operation_id, [program.id], now_ms)
    return operation_id


def _swapped(connection: sa.Connection, noted: Noted, now_ms: int) -> str:
    what = noted.what
    assert what.source is not None and what.other is not None
    source, destination = _program(connection, what.source), _program(connection, what.other)
    out_of = accounts.wallet_account(connection, source.id, what.holder)
    into = accounts.wallet_account(connection, destination.id, what.holder)
    takes = _takes(connection, out_of, what)
    moved = {_program(connection, bytes.fromhex(token)).id: int(micro) for token, micro in what.positions or []}
    member_id = wallets.member_of(connection, source.id, what.holder)
    operation_id = _operation(connection, noted, OperationKind.SWAP, source.id, member_id, None)
    connection.execute(
        swap.insert().values(
            operation_id=operation_id,
            to_program_id=destination.id,
            to_member_id=wallets.member_of(connection, destination.id, what.holder),
            points_out=what.amount_out,
            settlement_micro=_owed(-moved.get(source.id, 0)),
        )
    )
    gone, came = (
        accounts.system_account(connection, program.id, accounts.SWAPPED) for program in (source, destination)
    )
    _post(
        connection,
        operation_id,
        EntryKind.SWAP,
        _Side(source, out_of, gone, False, what.amount),
        _Side(destination, into, came, True, what.amount_out),
    )
    lots.take(connection, operation_id, takes)
    _new_lot(connection, operation_id, noted, destination, into)
    positions.move(connection, moved)
    _close(connection, what, _call(connection, what, holder_calls.SWAP), operation_id)
    _tell(connection, operation_id, [source.id, destination.id], now_ms)
    return operation_id


def _bound(connection: sa.Connection, noted: Noted, _now_ms: int) -> None:
    what = noted.what
    assert what.reference is not None
    program = _program(connection, what.contract)
    managed = accounts.by_reference(connection, program.id, what.reference)
    if managed is None:
        raise _CannotFollow(f"a wallet was bound to reference 0x{what.reference.hex()}, which is nobody's here")
    if any(what.holder):
        assert what.effective_ms is not None
        wallets.bound(connection, managed, what.holder, what.effective_ms)
    else:
        wallets.unbound(connection, managed)


def _nonce_used(connection: sa.Connection, noted: Noted, _now_ms: int) -> None:
    what = noted.what
    call = holder_calls.by_number(connection, what.contract, what.holder, what.number)
    if call is not None and call.state != holder_calls.FINAL:
        holder_calls.void(connection, call, holder_calls.CANCELLED_ON_CHAIN)


_BOOKINGS = {
    holder_events.REDEEMED: _redeemed,
    holder_events.DEPOSITED: _deposited,
    holder_events.TRANSFERRED: _transferred,
    holder_events.SWAPPED: _swapped,
    holder_events.BOUND: _bound,
    holder_calls.NONCE_USED: _nonce_used,
}
assert set(_BOOKINGS) == set(holder_events.KINDS)


# -- parts ------------------------------------------------------------------------------------


def _program(connection: sa.Connection, token: bytes) -> Program:
    found = programs.by_token(connection, token)
    if found is None:
        raise _CannotFollow(f"token 0x{token.hex()} is no program's here")
    return found


def _takes(connection: sa.Connection, holding: int, what: Happening) -> list[Take[int]]:
    """The lots that the holder moved, the first to expire first."""
    _require_held(connection, holding, what)
    return draw(lots.spendable(connection, [holding])[holding], Points(what.amount))


def _require_held(connection: sa.Connection, holding: int, what: Happening) -> None:
    held = accounts.posted(connection, holding)
    if held < what.amount:
        raise _CannotFollow(f"it moved {what.amount} points of wallet 0x{what.holder.hex()}, which holds {held} here")


def _operation(
    connection: sa.Connection,
    noted: Noted,
    kind: OperationKind,
    program_id: str,
    member_id: str | None,
    reason: str | None,
) -> str:
    operation_id = new_id("operation")
    connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=kind.value,
            program_id=program_id,
            member_id=member_id,
            points=noted.what.amount,
            state=OperationState.FINAL.value,
            reason=reason,
            occurred_ms=noted.block_ms,
            created_ms=noted.seen_ms,
        )
    )
    return operation_id


def _moved(
    connection: sa.Connection,
    noted: Noted,
    kind: OperationKind,
    entry_kind: EntryKind,
    program: Program,
    into: int,
    *,
    member_id: str | None,
) -> str:
    """Points went from the holder's wallet to another account of the same program, where they are as old as before."""
    holding = accounts.wallet_account(connection, program.id, noted.what.holder)
    takes = _takes(connection, holding, noted.what)
    operation_id = _operation(connection, noted, kind, program.id, member_id, None)
    _post(connection, operation_id, entry_kind, _Side(program, into, holding, True, noted.what.amount))
    lots.move(connection, operation_id, takes, into)
    return operation_id


def _post(connection: sa.Connection, operation_id: str, kind: EntryKind, *sides: _Side) -> None:
    changes = accounts.Changes()
    for one in sides:
        changes.add(one.account_id, "credits_posted" if one.credit else "debits_posted", one.amount)
        changes.add(one.contra_id, "debits_posted" if one.credit else "credits_posted", one.amount)
    connection.execute(
        entry.insert(),
        [
            {
                "operation_id": operation_id,
                "program_id": one.program.id,
                "leg": 0,
                "kind": kind.value,
                "credit": one.credit,
                "amount": one.amount,
                "account_id": one.account_id,
                "contra_id": one.contra_id,
                "state": "posted",
            }
            for one in sides
        ],
    )
    changes.apply(connection)


def _new_lot(connection: sa.Connection, operation_id: str, noted: Noted, destination: Program, into: int) -> None:
    days = destination.expiry_days
    connection.execute(
        lot.insert().values(
            account_id=into,
            operation_id=operation_id,
            amount=noted.what.amount_out,
            remaining=noted.what.amount_out,
            pending=False,
            received=True,
            earned_ms=noted.block_ms,
            expires_ms=None if days is None else noted.block_ms + days * DAY_MS,
        )
    )


def _owed(micro: int) -> int | None:
    """What the source of a swap came to owe, where a database can count to it."""
    return micro if abs(micro) <= MICRO_UNITS_MAX else None


def _call(connection: sa.Connection, what: Happening, kind: str) -> HolderCall | None:
    """The call that this carried out: of the same number, and what it said."""
    found = holder_calls.by_number(connection, what.contract, what.holder, what.number)
    if found is None or (found.kind, found.points) != (kind, what.amount):
        return None
    return found if _led_there(connection, what, found) else None


def _led_there(connection: sa.Connection, what: Happening, call: HolderCall) -> bool:
    """Whether the points went where the call said: a swap's with what it asked for, a deposit's to its account."""
    if call.kind == holder_calls.SWAP:
        assert call.min_out is not None
        ends = (programs.by_id(connection, one).token for one in (call.programs[0], call.programs[-1]))
        return tuple(ends) == (what.source, what.other) and what.amount_out >= call.min_out
    if call.kind == holder_calls.DEPOSIT:
        return wallets.by_id(connection, call.wallet_id).reference == what.reference
    return True


def _close(connection: sa.Connection, what: Happening, call: HolderCall | None, operation_id: str) -> None:
    if call is not None:
        holder_calls.used(connection, call, operation_id)
        return
    other = holder_calls.by_number(connection, what.contract, what.holder, what.number)
    if other is not None:
        holder_calls.void(connection, other, holder_calls.NUMBER_MISUSED)


def _tell(connection: sa.Connection, operation_id: str, program_ids: list[str], now_ms: int) -> None:
    told = [(program_id, operation_id) for program_id in dict.fromkeys(program_ids)]
    events.operations_changed(connection, told, OperationState.FINAL, now_ms)
