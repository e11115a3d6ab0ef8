"""Accepting reversals: an earn or a redemption is taken back, whole or in part, and never more of it than it was.

A redemption is reversed once it is final, and not before. Until then the chain may still skip its burning, because it
holds fewer points there than the ledger says; what a reversal gives back is a credit, which the chain never skips, and
so both together would make points of nothing. That holds in whatever batch either of them stands, and also while the
redemption stands in none yet: nothing says that the chain will take it. Whoever may call a sale off within seconds
takes a hold, which is captured or voided.

A reversed redemption gives its lots back what it took, as old as it was: what expired meanwhile comes back expired. A
reversed earn is burned: its own points first, then the member's others, and what is spent already becomes a debt, where
the program lets members owe. `exchange.reversals` has the arithmetic.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from bridge.store import (
    adoption,
    debts,
    earns,
    entries,
    events,
    expired_earns,
    limits,
    lots,
    operations,
    pending_earns,
    programs,
    repayments,
    spending,
    streams,
)
from bridge.store.adoption import Asked
from bridge.store.entries import Leg
from bridge.store.ids import new_id, request_hash
from bridge.store.operations import NOTHING_POSTED, Operation
from bridge.store.programs import Program
from bridge.store.repayments import Credit
from bridge.store.schema import entry, lot, operation
from exchange.errors import CannotSplit, NotReversible
from exchange.legs import ACCOUNTS_MAX
from exchange.lots import Take, expired
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.reversals import TakenBack, give_back, part_at, part_of, take_back
from exchange.words import EntryKind, entry_tag

REVERSIBLE = (OperationKind.EARN.value, OperationKind.REDEMPTION.value)


@dataclass(frozen=True, slots=True)
class ReversalRequest:
    """A reversal as it was asked for; `points` None: all that is left."""

    key: str
    operation_id: str
    points: int | None

    def fingerprint(self) -> bytes:
        """What a repeat must have in common with the first request."""
        return request_hash("reversal", self.operation_id, self.points)


def accept(connection: sa.Connection, program_id: str, request: ReversalRequest, now_ms: int) -> tuple[str, bool]:
    """Take an operation back. Answers the reversal's id and whether it was accepted before.

    Raises IdempotencyKeyReused, UnknownOperation, NotReversible, MoreThanOriginal, PointsSpent, CannotSplit, OverLimit,
    InvalidAmount, ProgramNotActive.
    """
    before = operations.known(connection, program_id, [request.key]).get(request.key)
    if before is not None:
        before.require_same(request.fingerprint())
        return before.id, True
    program = programs.by_id(connection, program_id)
    assert program.deployed_token
    original = operations.by_id(connection, request.operation_id, program_id)
    if original.pending and pending_earns.release_in_time(connection, original.id, now_ms):
        original = operations.by_id(connection, request.operation_id, program_id)
    _require_reversible(original)
    restored = _adopt(connection, program_id, original, request, now_ms)
    if restored is not None:
        return restored, True
    wanted = part_of(original.points, taken_back(connection, original.id), request.points)
    if original.kind == OperationKind.EARN:
        return _reverse_earn(connection, program, original, request, wanted, now_ms), False
    return _reverse_redemption(connection, program, original, request, wanted, now_ms), False


def taken_back(connection: sa.Connection, operation_id: str) -> int:
    """How many points of an operation are reversed already.

    Of a reversal that failed counts what came of it all the same: what it made a debt, and what the chain did carry.
    """
    asked = sa.select(sa.func.coalesce(sa.func.sum(operation.c.points), 0)).where(
        operation.c.reverses_id == operation_id
    )
    void = (
        sa.select(sa.func.coalesce(sa.func.sum(entry.c.amount), 0))
        .join(operation, operation.c.id == entry.c.operation_id)
        .where(operation.c.reverses_id == operation_id, entry.c.state == "void")
    )
    return int(connection.scalar(asked) or 0) - int(connection.scalar(void) or 0)


def _require_reversible(original: Operation) -> None:
    why = _bar(original)
    if why is not None:
        raise NotReversible(f"operation {original.id} {why}", field="operation_id")


def _bar(original: Operation) -> str | None:
    """Why an operation cannot be reversed, or None where it can."""
    if original.kind == OperationKind.REVERSAL:
        return "is a reversal itself: earn or redeem the points again instead"
    if original.kind not in REVERSIBLE:
        return f"is of kind {original.kind}: only earns and redemptions are reversed"
    if original.state in (OperationState.FAILED, OperationState.CANCELLED):
        return f"{original.state}: there is nothing to take back"
    if original.points == 0:
        return "earned nothing: there is nothing to take back"
    if original.tag is None:
        return "was done by the holder of a wallet, and not by the program"
    if original.member_id is None:
        return "is known from the chain alone, and nobody knows whose it is"
    if original.pending:
        return "has not brought its points yet: cancel it instead"
    if original.kind == OperationKind.REDEMPTION and original.state != OperationState.FINAL:
        return f"is {original.state}, and not final yet; try again when it is"
    return None


def _adopt(
    connection: sa.Connection, program_id: str, original: Operation, request: ReversalRequest, now_ms: int
) -> str | None:
    """The restored reversal that the request was accepted as by a ledger that knew more, or None.

    The chain knows what was burned or came back. What was owed beyond it, the request tells again, if it says how many
    points; and it is owed again. Raises IdempotencyKeyReused and MoreThanOriginal.
    """
    asked = Asked(request.key, OperationKind.REVERSAL, request.fingerprint(), None, original.member_id)
    known = adoption.adopt(connection, program_id, asked)
    if known is None:
        return None
    moved, back = known.points, original.kind == OperationKind.REDEMPTION
    total = moved if request.points is None else request.points
    if _is_credit(connection, known.id) != back or total < moved or (back and total > moved):
        replace(known, request_hash=b"").require_same(request.fingerprint())
    part_of(original.points, taken_back(connection, original.id), total)
    gone = 0
    if back:
        gone = _rejoin(connection, original.id, known.id, now_ms)
    elif total > moved:
        gone = min(total - moved, expired_earns.uncounted(connection, original.id))
        assert original.member_id is not None
        if total > moved + gone:
            debts.change(connection, known.id, original.member_id, total - moved - gone)
    connection.execute(
        operation.update()
        .where(operation.c.id == known.id)
        .values(points=total, reverses_id=original.id, expired_points=gone)
    )
    return known.id


def _is_credit(connection: sa.Connection, operation_id: str) -> bool:
    """Whether a restored reversal brought points back."""
    return bool(connection.scalar(sa.select(entry.c.credit).where(entry.c.operation_id == operation_id).limit(1)))


# -- redemptions ------------------------------------------------------------------------------


def _reverse_redemption(
    connection: sa.Connection,
    program: Program,
    original: Operation,
    request: ReversalRequest,
    wanted: Points,
    now_ms: int,
) -> str:
    limits.require(limits.capacity(connection, program.id, limits.ISSUANCE), wanted, limits.ISSUANCE)
    earns.require_countable(earns.left_to_issue(connection, program.id), wanted)
    taken = lots.taken_by(connection, original.id)
    each = [one for held in taken.values() for one in held]
    back = give_back(each, wanted)
    gone = {one.id for one in expired(each, now_ms // 1000)}
    reversal_id = _add(
        connection,
        program.id,
        original,
        request,
        wanted,
        sum(one.amount for one in back if one.lot_id in gone),
        now_ms,
    )
    owner = {one.id: account_id for account_id, held in taken.items() for one in held}
    _enter(connection, program.id, reversal_id, EntryKind.REINSTATEMENT, owner, back)
    lots.put_back(connection, original.id, back)
    alive = [(owner[one.lot_id], [one]) for one in reversed(back) if one.lot_id not in gone]
    assert original.member_id is not None
    credit = Credit(reversal_id, entry_tag(program.id, request.key), original.member_id, alive)
    repayments.pay_off(connection, program.id, [credit], now_ms)
    return reversal_id


def _rejoin(connection: sa.Connection, redemption_id: str, reversal_id: str, now_ms: int) -> int:
    """What a restored reversal brought back is as old again as it was; how much of it is expired.

    Of what was spent since, nobody knows from which lots: as always, those that expire first.
    """
    taken = lots.taken_by(connection, redemption_id)
    gone = 0
    for row in connection.execute(sa.select(lot).where(lot.c.operation_id == reversal_id)).all():
        held = taken.get(row.account_id, [])
        back = give_back(held, Points(min(row.amount, sum(one.remaining for one in held))))
        late = {one.id for one in expired(held, now_ms // 1000)}
        gone += sum(one.amount for one in back if one.lot_id in late)
        there, spent = part_at(back, row.remaining)
        if there:
            lots.put_back(connection, redemption_id, there)
        if spent:
            lots.forget_taken(connection, redemption_id, spent)
        left = row.remaining - sum(one.amount for one in there)
        connection.execute(lot.update().where(lot.c.id == row.id).values(remaining=left))
    return gone


# -- earns ------------------------------------------------------------------------------------


def _reverse_earn(
    connection: sa.Connection,
    program: Program,
    original: Operation,
    request: ReversalRequest,
    wanted: Points,
    now_ms: int,
) -> str:
    assert original.member_id is not None
    purse = spending.purse(connection, original.member_id, now_ms)
    there = [one for held in purse.lots.values() for one in held]
    own_ids = set(connection.execute(sa.select(lot.c.id).where(lot.c.operation_id == original.id)).scalars())
    came_to = take_back(
        wanted,
        expired=expired_earns.uncounted(connection, original.id),
        own=[one for one in there if one.id in own_ids],
        others=[one for one in there if one.id not in own_ids],
        debt=debts.of_member(connection, original.member_id),
        debt_limit=program.debt_limit,
        now=now_ms // 1000,
    )
    burned = sum(one.amount for one in came_to.takes)
    limits.require(limits.capacity(connection, program.id, limits.REDEMPTION), burned, limits.REDEMPTION)
    owner = {one.id: account_id for account_id, held in purse.lots.items() for one in held}
    _require_few(owner, came_to)
    reversal_id = _add(
        connection, program.id, original, request, wanted, came_to.expired, now_ms, posted=bool(came_to.takes)
    )
    if came_to.takes:
        _enter(connection, program.id, reversal_id, EntryKind.REVERSAL, owner, came_to.takes)
        lots.take(connection, reversal_id, came_to.takes)
    if came_to.debt_change:
        debts.change(connection, reversal_id, original.member_id, came_to.debt_change)
    return reversal_id


def _require_few(owner: dict[int, int], came_to: TakenBack[int]) -> None:
    found = list(dict.fromkeys(owner[one.lot_id] for one in came_to.takes))
    if len(found) > ACCOUNTS_MAX:
        first = sum(one.amount for one in came_to.takes if owner[one.lot_id] in found[:ACCOUNTS_MAX])
        raise CannotSplit(
            f"the points lie in {len(found)} accounts, and one operation takes from {ACCOUNTS_MAX} at the most",
            field="points",
            limit=ACCOUNTS_MAX,
            nearest=came_to.expired + came_to.ahead + first,
        )


# -- rows -------------------------------------------------------------------------------------


def _add(
    connection: sa.Connection,
    program_id: str,
    original: Operation,
    request: ReversalRequest,
    wanted: Points,
    expired_points: int,
    now_ms: int,
    *,
    posted: bool = True,
) -> str:
    """The reversal's operation; one that has nothing to post is final as soon as it is remembered."""
    reversal_id = new_id("operation")
    state = OperationState.ACCEPTED if posted else OperationState.FINAL
    connection.execute(
        operation.insert().values(
            id=reversal_id,
            kind=OperationKind.REVERSAL.value,
            program_id=program_id,
            member_id=original.member_id,
            points=wanted,
            state=state.value,
            reason=None if posted else NOTHING_POSTED,
            idempotency_key=request.key,
            request_hash=request.fingerprint(),
            tag=entry_tag(program_id, request.key),
            stream_id=streams.for_program(connection, program_id).id if posted else None,
            reverses_id=original.id,
            expired_points=expired_points,
            created_ms=now_ms,
        )
    )
    events.operations_changed(connection, [(program_id, reversal_id)], OperationState.ACCEPTED, now_ms)
    if not posted:
        events.operations_changed(connection, [(program_id, reversal_id)], state, now_ms)
    return reversal_id


def _enter(
    connection: sa.Connection,
    program_id: str,
    operation_id: str,
    kind: EntryKind,
    owner: dict[int, int],
    takes: Sequence[Take[int]],
) -> None:
    amounts = Counter[int]()
    for one in takes:
        amounts[owner[one.lot_id]] += one.amount
    legs = [Leg(operation_id, account_id, amount) for account_id, amount in amounts.items()]
    entries.enter(connection, program_id, kind, legs)
