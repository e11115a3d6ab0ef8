"""Repayments: how what comes in pays off what its member owes.

A repayment is an operation of its own that burns points of the credit that it comes behind in the program's stream.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import debts, entries, events, limits, lots, streams
from bridge.store.database import IN_LIST_MAX
from bridge.store.entries import Leg
from bridge.store.ids import new_id
from bridge.store.schema import lot, operation
from exchange.lots import Take
from exchange.operations import OperationKind, OperationState
from exchange.points import Points
from exchange.reversals import paid_off, part_at
from exchange.words import EntryKind, entry_tag

#: What pays off a debt: an earn, and what a reversed redemption gives back.
PAYING = (OperationKind.EARN.value, OperationKind.REVERSAL.value)
#: Credits of one account among which the one is looked for that a repayment on the chain is made of. It stands right
#: behind it in the stream.
LOOKED_BACK_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Credit:
    """Points that came in, by an operation that stands in its program's stream."""

    operation_id: str
    tag: bytes
    member_id: str
    #: for each account that they came into, in which lots
    lots: Sequence[tuple[int, Sequence[Take[int]]]]


@dataclass(frozen=True, slots=True)
class Earned:
    """An earn that stands in its program's stream: its points are one lot."""

    operation_id: str
    tag: bytes
    member_id: str
    account_id: int
    points: int


def pay_off_earned(connection: sa.Connection, program_id: str, earned: Sequence[Earned], now_ms: int) -> None:
    """Pay off with earns what their members owe, in the order in which the earns stand in the stream.

    One statement where nobody owes anything.
    """
    owed = debts.of_members(connection, {one.member_id for one in earned})
    owing = [one for one in earned if one.points and owed.get(one.member_id, 0) > 0]
    if not owing:
        return
    lot_ids: dict[str, int] = {}
    ids = [one.operation_id for one in owing]
    for start in range(0, len(ids), IN_LIST_MAX):
        chosen = lot.c.operation_id.in_(ids[start : start + IN_LIST_MAX])
        rows = connection.execute(sa.select(lot.c.operation_id, lot.c.id).where(chosen))
        lot_ids.update({row[0]: row[1] for row in rows})
    credits = [
        Credit(
            one.operation_id,
            one.tag,
            one.member_id,
            [(one.account_id, [Take(lot_ids[one.operation_id], Points(one.points))])],
        )
        for one in owing
    ]
    pay_off(connection, program_id, credits, now_ms)


def pay_off(connection: sa.Connection, program_id: str, credits: Sequence[Credit], now_ms: int) -> None:
    """Pay off with these credits what their members owe: each as much of it as it can, by an operation behind it.

    No repayment is more than one batch can burn: what is then still owed waits for the next credit.
    """
    owed = debts.of_members(connection, {one.member_id for one in credits})
    most = limits.capacity(connection, program_id, limits.REDEMPTION)
    payments: list[_Payment] = []
    for one in credits:
        brought = sum(each.amount for _, takes in one.lots for each in takes)
        paid = paid_off(brought, owed.get(one.member_id, 0), most)
        if paid:
            owed[one.member_id] -= paid
            payments.append(_Payment(new_id("operation"), one, paid))
    if payments:
        _write(connection, program_id, payments, now_ms)


def restore(connection: sa.Connection, operation_id: str, of: str, member_id: str | None, points: int) -> None:
    """A restored operation is what this credit paid off; of nobody's account: once it is a member's (`debts.adopt`)."""
    connection.execute(
        operation.update().where(operation.c.id == operation_id).values(kind=OperationKind.REPAYMENT.value, after_id=of)
    )
    if member_id is not None:
        debts.change(connection, operation_id, member_id, -points)


def repayment_tag(program_id: str, tag: bytes) -> bytes:
    """The tag of what the credit of this tag pays off.

    It is made of the credit's tag, which the chain keeps, so that a ledger that knows neither tells a repayment from
    the reversal of an earn.
    """
    return entry_tag(program_id, f"{tag.hex()}:{OperationKind.REPAYMENT.value}")


@dataclass(frozen=True, slots=True)
class _Payment:
    operation_id: str
    of: Credit
    points: Points

    def takes(self) -> list[tuple[int, Take[int]]]:
        """What it takes of the lots that the credit brought, each with its account."""
        owner = {each.lot_id: account_id for account_id, brought in self.of.lots for each in brought}
        takes, _ = part_at([each for _, brought in self.of.lots for each in brought], self.points)
        return [(owner[each.lot_id], each) for each in takes]


def _write(connection: sa.Connection, program_id: str, payments: Sequence[_Payment], now_ms: int) -> None:
    stream_id = streams.for_program(connection, program_id).id
    connection.execute(
        operation.insert(),
        [
            {
                "id": one.operation_id,
                "kind": OperationKind.REPAYMENT.value,
                "program_id": program_id,
                "member_id": one.of.member_id,
                "points": one.points,
                "state": OperationState.ACCEPTED.value,
                "tag": repayment_tag(program_id, one.of.tag),
                "after_id": one.of.operation_id,
                "stream_id": stream_id,
                "created_ms": now_ms,
            }
            for one in payments
        ],
    )
    legs: Counter[tuple[str, int]] = Counter()
    takes: list[tuple[str, Take[int]]] = []
    for one in payments:
        for account_id, each in one.takes():
            legs[one.operation_id, account_id] += each.amount
            takes.append((one.operation_id, each))
    entries.enter(connection, program_id, EntryKind.REVERSAL, [Leg(*leg, amount) for leg, amount in legs.items()])
    lots.take_each(connection, takes)
    debts.change_each(connection, [(one.operation_id, one.of.member_id, -one.points) for one in payments])
    told = [(program_id, one.operation_id) for one in payments]
    events.operations_changed(connection, told, OperationState.ACCEPTED, now_ms)
