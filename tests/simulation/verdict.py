"""The verdict at rest: all that was asked has its one effect on the chain, or none, and nothing else is there."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.store import extras, repayments
from bridge.store.schema import adjustment, debt_change, hold, operation, request
from exchange.words import EntryKind, entry_tag
from tests.simulation.causes import amounts_of
from tests.simulation.chain import Effect, Network
from tests.simulation.ground import AGING, Ground
from tests.simulation.reckoning import Reckoning
from tests.simulation.request import EARNS, OPERATIONS, Request
from tests.simulation.violation import Violation

_KINDS = {
    "earn": EntryKind.EARN,
    "pending": EntryKind.EARN,
    "redemption": EntryKind.REDEMPTION,
    "capture": EntryKind.REDEMPTION,
    "release": EntryKind.RELEASE,
}


class Verdict:
    """Holds everything that was asked against the chain and the ledger, once."""

    def __init__(
        self,
        ground: Ground,
        network: Network,
        reckoning: Reckoning,
        connection: sa.Connection,
        requests: Sequence[Request],
    ) -> None:
        self._ground = ground
        self._reckoning = reckoning
        self._connection = connection
        self._requests = requests
        #: what the chain carried and nothing has accounted for yet, by tag
        self._done: dict[bytes, list[Effect]] = defaultdict(list)
        for effects in network.effects[ground.final_number + 1 :]:
            for one in effects:
                self._done[one.tag].append(one)
        self._expired = Counter[bytes]()
        self._swapped_in = Counter[bytes]()
        for each in self._done.values():
            for one in each:
                self._expired[one.token] += -one.change if one.kind is EntryKind.EXPIRY else 0
                self._swapped_in[one.token] += max(0, one.change) if one.kind is EntryKind.SWAP else 0

    def pass_it(self) -> None:
        """Raises Violation."""
        self._as_much_is_captured_as_was_held()
        self._as_much_is_taken_back_as_there_was()
        for asked in self._requests:
            if asked.kind == "proposal":
                self._one_adjustment(asked)
            elif asked.kind in OPERATIONS:
                self._one_outcome(asked)
            else:
                self._one_change(asked)
        self._debts_are_paid()
        self._expiries()
        if self._reckoning.restored:
            self._set_restored_extras_aside()
            self._set_reversals_of_the_unknown_aside()
        for left in self._done.values():
            if left:
                raise Violation("B", f"nobody asked for what the chain carried: {left[0]}")

    # -- one request --------------------------------------------------------------------------------

    def _one_outcome(self, asked: Request) -> None:
        told = _told(asked)
        row = self._row(asked)
        if asked.kind == "approval":
            return self._approved(asked, row, told)
        effects = self._done.pop(asked.tag, []) if asked.tag is not None and self._is_to_be_there(asked) else []
        if asked.operation_id is None:
            if effects or row is not None:
                raise Violation("B", f"{told} was refused ({asked.refused}), and is there: {row and row.id}, {effects}")
            return None
        row = self._the_one(row, asked, told)
        if row.state in ("failed", "cancelled"):
            if effects:
                raise Violation("B", f"{told} is {row.state}, and the chain carried it")
            return None
        self._only_the_members_own(asked, told, effects)
        if asked.kind == "swap":
            self._swapped_as_quoted(asked, told, effects, lossy=bool(row.restored))
        elif asked.kind == "reversal":
            self._taken_back(asked, row, told, effects)
        else:
            sign = 1 if asked.kind in EARNS else -1
            carried = {one.kind for one in effects}, sum(one.change for one in effects)
            if carried != ({_KINDS[asked.kind]}, sign * row.points):
                raise Violation("B", f"{told} is final, and the chain carried {carried}")
        return None

    def _is_to_be_there(self, asked: Request) -> bool:
        """Not so: an earn that a lost ledger changed, or what was about it: it cannot be asked about any more."""
        return not (self._reckoning.restored and asked.operation_id is None and _is_of_changed(asked))

    def _row(self, asked: Request) -> sa.Row[Any] | None:
        own = operation.c
        return self._connection.execute(
            sa.select(operation).where(own.program_id == asked.program.id, own.idempotency_key == asked.key)
        ).one_or_none()

    def _the_one(self, row: sa.Row[Any] | None, asked: Request, told: str) -> sa.Row[Any]:
        """The operation is the one that was answered, and what was asked for."""
        if row is None or row.id != asked.operation_id or row.kind != OPERATIONS[asked.kind]:
            raise Violation("B", f"{told} was accepted as {asked.operation_id}, and the ledger has {row and row.id}")
        if row.points not in self._amounts(asked):
            raise Violation("B", f"{told} is there with {row.points} points")
        if row.member_id != asked.member_id:
            raise Violation("B", f"{told} was asked for {asked.member_id}, and is of {row.member_id}")
        return row

    def _amounts(self, asked: Request) -> Iterable[int]:
        """How many points a request may have come to."""
        if asked.kind == "pending":
            changes = [each for each in self._requests if each.kind == "change" and each.of is asked and each.may_stand]
            if len(changes) == 1 and not self._reckoning.restored:
                return {changes[0].points}
            return amounts_of(self._requests, asked)
        return range(1, asked.points + 1) if asked.whole else {asked.points}

    def _one_change(self, asked: Request) -> None:
        """A hold, a void, what happens to a pending earn, a rejection: no operations, and known under their keys."""
        found = self._connection.scalar(
            sa.select(request.c.subject).where(
                request.c.program_id == asked.program.id, request.c.idempotency_key == asked.key
            )
        )
        if found != asked.operation_id:
            raise Violation("B", f"{_told(asked)} was answered by {asked.operation_id}, and the ledger has {found}")
        if asked.operation_id is None:
            return
        if asked.kind == "cancellation":
            state = self._connection.scalar(sa.select(operation.c.state).where(operation.c.id == found))
            if state != "cancelled":
                raise Violation("B", f"{_told(asked)} was accepted, and the earn is {state}")
        if asked.kind == "void" and not self._reckoning.restored:
            state = self._connection.scalar(sa.select(hold.c.state).where(hold.c.id == found))
            if state != "voided":
                raise Violation("K", f"{_told(asked)} was accepted, and the hold is {state}")
        if asked.kind == "rejection":
            state = self._connection.scalar(sa.select(adjustment.c.state).where(adjustment.c.id == found))
            if state != "rejected":
                raise Violation("P", f"{_told(asked)} was accepted, and the proposal is {state}")

    # -- holds --------------------------------------------------------------------------------------

    def _as_much_is_captured_as_was_held(self) -> None:
        """No hold gave more than it was authorised for, whatever ledgers were lost on the way."""
        captured, held = Counter[str](), dict[str, int]()
        for one in self._requests:
            if one.kind == "capture" and one.tag is not None:
                assert one.hold_id is not None and one.of is not None
                captured[one.hold_id] -= sum(each.change for each in self._done.get(one.tag, ()))
                held[one.hold_id] = one.of.points
        for hold_id, points in captured.items():
            if points > held[hold_id]:
                raise Violation("K", f"of hold {hold_id} of {held[hold_id]} points the chain burned {points}")

    # -- reversals ----------------------------------------------------------------------------------

    def _as_much_is_taken_back_as_there_was(self) -> None:
        """What the chain burned or gave back of each operation is no more than the chain knows that it was."""
        back = Counter[Request]()
        for one in self._requests:
            if one.kind == "reversal":
                assert one.of is not None and one.tag is not None
                back[one.of] += abs(sum(each.change for each in self._done.get(one.tag, ())))
        for of, points in back.items():
            assert of.tag is not None
            was = abs(sum(each.change for each in self._done.get(of.tag, ())))
            if points > was:
                raise Violation("O", f"{_told(of)} was {was} on the chain, and the chain took back {points}")

    def _taken_back(self, asked: Request, row: sa.Row[Any], told: str, effects: Sequence[Effect]) -> None:
        """All of a redemption comes back; of an earn what did not expire is burned or owed."""
        assert asked.of is not None
        of_earn = asked.of.kind in EARNS
        kinds = {one.kind for one in effects}
        if kinds - {EntryKind.REVERSAL if of_earn else EntryKind.REINSTATEMENT}:
            raise Violation("B", f"{told} was carried as {kinds}")
        moved = abs(sum(one.change for one in effects))
        if not of_earn:
            if moved != row.points:
                raise Violation("O", f"{told} is of {row.points} points, and the chain gave back {moved}")
            return
        owed = self._connection.scalar(sa.select(debt_change.c.points).where(debt_change.c.operation_id == row.id)) or 0
        if moved + owed + row.expired_points != row.points:
            raise Violation("O", f"{told}: {moved} burned, {owed} owed, {row.expired_points} expired, of {row.points}")

    def _debts_are_paid(self) -> None:
        """What pays off a debt comes behind a credit of the member's, and no more of it than the debts were."""
        owed, paid = Counter[str](), Counter[str]()
        for one in self._requests:
            if one.tag is None or one.kind not in (*EARNS, "reversal"):
                continue
            if one.kind == "reversal" and one.of is not None and one.of.kind in EARNS:
                owed[one.member_id] += one.points if one.may_stand else 0
            tag = repayments.repayment_tag(one.program.id, one.tag)
            effects = self._done.pop(tag, [])
            moved = -sum(each.change for each in effects)
            if {each.kind for each in effects} - {EntryKind.REVERSAL} or moved > self._most(one):
                raise Violation("O", f"behind {_told(one)} a debt was paid off by {effects}")
            if {each.reference for each in effects} - self._reckoning.references(one.member_id):
                raise Violation("O", f"behind {_told(one)} another member's points were taken")
            paid[one.member_id] += moved
        for who, points in paid.items():
            if points > owed[who]:
                raise Violation("O", f"member {who} paid off {points} at the most {owed[who]} of which were owed")

    def _most(self, one: Request) -> int:
        """So many points a request brings at most: a pending earn may have been changed."""
        return max(one.points, *(each.points for each in self._requests if each.kind == "change" and each.of is one), 0)

    def _set_reversals_of_the_unknown_aside(self) -> None:
        """What was about an earn that a lost ledger had changed: the partner cannot ask about it any more."""
        for one in self._requests:
            if one.tag is not None and one.operation_id is None and _is_of_changed(one):
                self._done.pop(one.tag, None)

    # -- adjustments --------------------------------------------------------------------------------

    def _one_adjustment(self, asked: Request) -> None:
        """Points move if another person approved, once, and by as many as were proposed."""
        assert asked.tag is not None
        effects = self._done.pop(asked.tag, [])
        row = self._connection.execute(
            sa.select(adjustment).where(adjustment.c.program_id == asked.program.id, adjustment.c.tag == asked.tag)
        ).one_or_none()
        told = _told(asked)
        approving = [one for one in self._requests if one.kind == "approval" and one.of is asked and one.asked]
        if row is None or row.state != "approved":
            if effects and not (self._reckoning.restored and approving):
                raise Violation("P", f"{told} is {row and row.state}, and the chain carried it")
            return
        if row.proposed_by == row.decided_by or all(one.person == asked.person for one in approving):
            raise Violation("P", f"{told} was approved by who proposed it")
        kind = EntryKind.ADJUSTMENT_UP if asked.points > 0 else EntryKind.ADJUSTMENT_DOWN
        carried = {one.kind for one in effects}, sum(one.change for one in effects)
        if carried != ({kind}, asked.points):
            raise Violation("P", f"{told} was approved, and the chain carried {carried}")
        self._only_the_members_own(asked, told, effects)

    def _approved(self, asked: Request, row: sa.Row[Any] | None, told: str) -> None:
        if asked.operation_id is None and row is None:
            return
        if row is None or row.id != asked.operation_id or (row.kind, row.points) != ("adjustment", abs(asked.points)):
            raise Violation("P", f"{told} was answered by {asked.operation_id}, and the ledger has {row and row.id}")

    # -- expiry -------------------------------------------------------------------------------------

    def _expiries(self) -> None:
        """Nobody asks for them. Each that the chain carried is one operation, and no more expired than could."""
        for tag, effects in list(self._done.items()):
            if {one.kind for one in effects} != {EntryKind.EXPIRY}:
                continue
            rows = self._connection.execute(
                sa.select(operation.c.points, operation.c.state).where(
                    operation.c.tag == tag, operation.c.kind == "expiry"
                )
            ).all()
            moved = -sum(one.change for one in effects)
            if [tuple(one) for one in rows] != [(moved, "final")]:
                raise Violation("X", f"an expiry burned {moved} points, and the ledger has {rows}")
            del self._done[tag]
        aging = {one.member_id: AGING for one in self._ground.held if one.expires_ms is not None}
        token = self._ground.programs[0].deployed_token
        if self._expired[token] > sum(aging.values()) + self._swapped_in[token]:
            raise Violation("X", f"{self._expired[token]} points expired, and {sum(aging.values())} could")

    # -- swaps --------------------------------------------------------------------------------------

    def _only_the_members_own(self, asked: Request, told: str, effects: Sequence[Effect]) -> None:
        """It moved the points of the member who asked, and of nobody else."""
        own = self._reckoning.member(asked.member_id).reference
        theirs = {own} if asked.kind in (*EARNS, "release") else self._reckoning.references(asked.member_id)
        others = {one.reference for one in effects} - theirs
        if others:
            raise Violation("B", f"{told} moved points of others: {sorted(each.hex()[:8] for each in others)}")

    def _swapped_as_quoted(self, asked: Request, told: str, effects: Sequence[Effect], *, lossy: bool) -> None:
        """`lossy`: the swap was known from the chain alone."""
        offer = asked.offer
        assert offer is not None and asked.operation_id is not None
        landed = {one.reference for one in effects if one.change > 0}
        if landed != {one.reference for one in effects if one.change < 0}:
            raise Violation("B", f"{told} took points under other references than it gave")
        moved: Counter[bytes] = Counter()
        for one in effects:
            moved[one.token] += one.change
        tokens = {one.id: one.deployed_token for one in self._ground.programs}
        quoted = {tokens[offer.program_id]: -offer.amount_in, tokens[offer.to_program_id]: offer.base_out}
        if dict(moved) != quoted:
            raise Violation("D", f"{told} was quoted {offer.amount_in} for {offer.base_out}, and moved {dict(moved)}")
        for kind, program_id, points in (
            ("bonus", offer.to_program_id, offer.bonus),
            ("fee", offer.program_id, -offer.fee_points),
        ):
            tag = self._tag_of_extra(asked.operation_id, kind, program_id)
            found = self._done.pop(tag, [])
            whose = self._reckoning.references(offer.member_id)
            if kind == "bonus":
                whose = {self._reckoning.member(offer.to_member_id).reference}
            if {one.reference for one in found} - whose:
                raise Violation("B", f"the {kind} of {told} is another member's")
            carried = sum(one.change for one in found)
            # What comes after a swap reaches the chain after it: of a swap that only the chain told of, it may be lost.
            if carried != points and not (lossy and carried == 0):
                raise Violation("D", f"{told} was quoted a {kind} of {points}, and the chain carried {carried}")

    def _set_restored_extras_aside(self) -> None:
        """A bonus or a fee whose swap has another id now is an operation of its own in a restored ledger."""
        rows = self._connection.execute(
            sa.select(operation.c.tag, sa.func.sum(operation.c.points))
            .where(operation.c.kind.in_(("bonus", "fee")), operation.c.state == "final", operation.c.restored)
            .group_by(operation.c.tag)
        )
        for tag, points in rows:
            if abs(sum(one.change for one in self._done.get(tag, []))) == points:
                self._done.pop(tag, None)

    def _tag_of_extra(self, swap_id: str, kind: str, program_id: str) -> bytes:
        """The tag under which a swap's extra is posted: as it is named, or as it came back with a restored ledger."""
        for each in extras.of_swap(self._connection, swap_id):
            row = self._connection.execute(
                sa.select(operation.c.kind, operation.c.tag).where(operation.c.id == each)
            ).one()
            if row.kind == kind:
                return bytes(row.tag)
        return entry_tag(program_id, f"{swap_id}:{kind}")


def _told(asked: Request) -> str:
    return f"{asked.kind} {asked.key} of {asked.points} {asked.program.symbol}"


def _is_of_changed(asked: Request) -> bool:
    """Whether a request is about an earn that was refused when it was asked for again, or is that earn."""
    of = asked if asked.of is None else asked.of
    return of.kind == "pending" and of.refused == "idempotency-key-reused"
