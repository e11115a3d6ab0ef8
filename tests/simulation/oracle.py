"""The oracle: what must always hold, counted from the chain's own words and from what the partners were answered."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.store import blocks, breaker, chainstate, extras
from bridge.store.database import Database
from bridge.store.schema import account, attempt, batch, entry, lot, operation, quote
from exchange.words import EntryKind, entry_tag
from tests.simulation.chain import Effect, Network
from tests.simulation.ground import Ground
from tests.simulation.history import History
from tests.simulation.reckoning import Reckoning
from tests.simulation.request import Request

#: Which invariant is broken when an assertion of that letter fails.
LETTERS = {
    "A": "conservation",
    "B": "exactly once",
    "C": "no overdraft",
    "D": "firm",
    "F": "consent",
    "I": "integer",
    "L": "liveness: everything comes to rest",
    "R": "a refusal or a failure has a cause",
    "T": "no false alarm: the breaker trips only for theft",
}
_KINDS = {"earn": EntryKind.EARN, "redemption": EntryKind.REDEMPTION, "release": EntryKind.RELEASE}
_AMOUNTS = ((entry.c.amount,), (lot.c.amount, lot.c.remaining), (operation.c.points,))


class Violation(Exception):
    """Raised when something that must always hold does not. The first letter says what."""

    def __init__(self, letter: str, told: str) -> None:
        super().__init__(f"{letter} ({LETTERS[letter]}): {told}")
        self.letter = letter


class Oracle:
    """Watches one run."""

    def __init__(self, ground: Ground, network: Network, history: History) -> None:
        self.resting = False
        #: the ledger was restored from a copy
        self.restored = False
        self.theft = False
        #: everything that was ever asked
        self.requests: list[Request] = []
        self._ground = ground
        self._network = network
        self._history = history
        self._answers: dict[Request, str] = {}
        tokens = {one.id: one.deployed_token for one in ground.programs}
        self.reckoning = Reckoning(ground, network, self.requests, self._answers)
        self._wallets = [(tokens[one.program_id], one.address) for one in ground.wallets]

    # -- what the partners are answered -------------------------------------------------------------

    def accepted(self, one: Request, operation_id: str) -> None:
        """A partner was answered that the request is accepted."""
        before = self._answers.setdefault(one, operation_id)
        if before != operation_id:
            raise Violation("B", f"{one.kind} {one.key} was answered by {before}, and now by {operation_id}")

    def refused(self, one: Request, why: str, now_ms: int) -> None:
        """A partner was answered that the request is refused."""
        if one in self._answers:
            raise Violation("B", f"{one.kind} {one.key} was accepted as {self._answers[one]}, and now refused: {why}")
        if any(each.tag == one.tag for made in self._network.effects[self._ground.final_number + 1 :] for each in made):
            raise Violation("B", f"{one.kind} {one.key} is on the chain, and is refused: {why}")
        if not self.reckoning.may_refuse(one, why, now_ms):
            raise Violation("R", f"{one.kind} {one.key} of {one.points} was refused without a cause: {why}")

    def no_offer(self, member_id: str, path: Sequence[str], amount: int, why: str, now_ms: int) -> None:
        """A partner was answered that there is no offer."""
        if not self.reckoning.may_refuse_quote(member_id, path, amount, why, now_ms):
            raise Violation("R", f"no offer for {amount} over {len(path) - 1} hops, without a cause: {why}")

    def clash_answered(self, one: Request, answer: str) -> None:
        """Something else was asked under a key that was used, and that was not said."""
        raise Violation("B", f"another request under {one.key} was answered {answer}")

    def put_back(self, connection: sa.Connection) -> None:
        """The ledger was put back to a copy: what the copy holds must be answered as before.

        What it lacks must be found again if it is on the chain, and may be accepted anew if it is not.
        """
        self.restored = self.reckoning.restored = True
        own = operation.c
        rows = connection.execute(sa.select(own.program_id, own.idempotency_key, own.id)).all()
        held = {(row.program_id, row.idempotency_key): row.id for row in rows}
        answers = {one: held[key] for one in self.requests if (key := (one.program.id, one.key)) in held}
        self._answers.clear()
        self._answers.update(answers)
        self.reckoning.put_back(set(connection.execute(sa.select(quote.c.id)).scalars()))

    # -- after every block --------------------------------------------------------------------------

    def block_made(self) -> None:
        """The newest block did nothing twice, and skipped nothing."""
        network = self._network
        if self.theft:
            return
        for one in network.effects[-1]:
            times = network.counted[one.tag, one.token, one.kind, one.reference, one.change > 0]
            if times > 1:
                raise Violation("B", f"the chain carried {self._named(one)} {times} times")
        if network.short[-1]:
            raise Violation("C", f"block {network.head} was short of points for {network.short[-1]} debits")
        for holder in self._wallets:
            if network.state.balances[holder] < network.blocks[-2].state.balances[holder]:
                raise Violation("F", f"points left wallet 0x{holder[1].hex()} without its holder")
        if sum(network.state.positions.values()):
            raise Violation("A", f"the exchange's positions sum to {sum(network.state.positions.values())}")

    def _named(self, one: Effect) -> str:
        asked = next((each for each in self._answers if each.tag == one.tag), None)
        what = "something that nobody was promised" if asked is None else f"{asked.kind} {asked.key}"
        return f"{what} ({one.kind.name}, {one.change} {self._ground.program_of(one.token).symbol})"

    # -- between steps ------------------------------------------------------------------------------

    def look(self, database: Database) -> None:
        """The ledger agrees with the chain at its final block, and with itself."""
        with database.read() as connection:
            reason = breaker.reason(connection)
            if reason is not None and not self.theft:
                raise Violation("T", f"the breaker is tripped: {reason}")
            if chainstate.last_recovery(connection) is not None and not (self.restored or self.theft):
                raise Violation("T", "the ledger believes to be older than the chain, and was never restored")
            if reason is None:
                self._ledger_is_the_chain(connection)
            self._nobody_is_overdrawn(connection)
            self._answers_stand(connection)
            self._failures_have_a_cause(connection)

    def _ledger_is_the_chain(self, connection: sa.Connection) -> None:
        final = blocks.newest_final(connection)
        assert final is not None
        there = self._network.blocks[final.number].block if final.number <= self._network.head else None
        if there is None or there.hash != final.hash:
            raise Violation("A", f"block {final.number} is final in the ledger, and not on the chain")
        tokens = {one.id: one.deployed_token for one in self._ground.programs}
        posted = account.c.credits_posted - account.c.debits_posted
        rows = connection.execute(
            sa.select(account.c.program_id, account.c.address, posted).where(account.c.address.is_not(None))
        )
        ours = {(tokens[row[0]], row[1]): row[2] for row in rows if row[2]}
        theirs = self._network.held(final.number)
        if ours != theirs:
            apart = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
            told = "; ".join(
                f"{self._ground.program_of(key[0]).symbol} 0x{key[1].hex()[:8]}: {ours.get(key, 0)} in the ledger,"
                f" {theirs.get(key, 0)} on the chain"
                for key in sorted(apart)
            )
            raise Violation("A", f"at final block {final.number}: {told}")

    def _nobody_is_overdrawn(self, connection: sa.Connection) -> None:
        available = account.c.credits_posted + account.c.credits_pending - account.c.debits_posted
        query = sa.select(account.c.id).where(
            account.c.address.is_not(None),
            sa.or_(available - account.c.debits_pending < 0, account.c.frozen.is_(True)),
        )
        over = list(connection.execute(query).scalars())
        if over and not self.theft:
            raise Violation("C", f"accounts {over} are overdrawn or frozen")

    def _answers_stand(self, connection: sa.Connection) -> None:
        found = set(connection.execute(sa.select(operation.c.id)).scalars())
        gone = [one.key for one, answer in self._answers.items() if answer not in found]
        if gone:
            raise Violation("B", f"{gone} were accepted, and the ledger has them no longer")

    def _failures_have_a_cause(self, connection: sa.Connection) -> None:
        """Nothing that was accepted has failed, but for swaps that became impossible."""
        rows = connection.execute(sa.select(operation.c.id, operation.c.reason).where(operation.c.state == "failed"))
        failed = {row.id: row.reason for row in rows}
        for one, answer in self._answers.items():
            if answer in failed and (one.offer is None or not self.reckoning.may_fail(one.offer)):
                raise Violation("R", f"{one.kind} {one.key} failed without a cause: {failed[answer]}")

    # -- at rest ------------------------------------------------------------------------------------

    def unrest(self, database: Database, requests: Sequence[Request]) -> str | None:
        """What is not at rest yet, or None."""
        with database.read() as connection:
            states = connection.execute(
                sa.select(operation.c.state, sa.func.count())
                .where(operation.c.state.not_in(("final", "failed", "cancelled")))
                .group_by(operation.c.state)
            ).all()
            unmined = connection.scalar(
                sa.select(sa.func.count()).where(batch.c.state.in_(("frozen", "submitted", "confirmed")))
            )
        unanswered = sum(1 for one in requests if one.open)
        if not states and not unmined and not unanswered:
            return None
        return f"operations {dict(map(tuple, states))}, {unmined} batches, {unanswered} requests without an answer"

    def verdict(self, database: Database, requests: Sequence[Request]) -> None:
        """Everything that was asked has one effect, or none and a recorded failure; and nothing else happened."""
        done: dict[bytes, list[Effect]] = defaultdict(list)
        for effects in self._network.effects[self._ground.final_number + 1 :]:
            for one in effects:
                done[one.tag].append(one)
        with database.read() as connection:
            for asked in requests:
                self._one_outcome(connection, asked, done)
            self._amounts_are_integers(connection)
            if self.restored:
                self._set_restored_extras_aside(connection, done)
        for left in done.values():
            if left:
                raise Violation("B", f"nobody asked for what the chain carried: {self._named(left[0])}")

    def _one_outcome(self, connection: sa.Connection, asked: Request, done: dict[bytes, list[Effect]]) -> None:
        effects = done.pop(asked.tag, [])
        told = f"{asked.kind} {asked.key} of {asked.points} {asked.program.symbol}"
        row = connection.execute(
            sa.select(operation).where(
                operation.c.program_id == asked.program.id, operation.c.idempotency_key == asked.key
            )
        ).one_or_none()
        if asked.operation_id is None:
            if effects or row is not None:
                raise Violation("B", f"{told} was refused ({asked.refused}), and is there: {row and row.id}, {effects}")
            return
        self._is_the_one(row, asked, told)
        if row.state == "failed":
            if effects:
                raise Violation("B", f"{told} failed, and the chain carried it")
            return
        self._only_the_members_own(asked, told, effects)
        if asked.kind == "swap":
            self._swapped_as_quoted(connection, asked, told, effects, done, lossy=bool(row.restored))
        else:
            sign = 1 if asked.kind == "earn" else -1
            carried = {one.kind for one in effects}, sum(one.change for one in effects)
            if carried != ({_KINDS[asked.kind]}, sign * asked.points):
                raise Violation("B", f"{told} is final, and the chain carried {carried}")

    @staticmethod
    def _is_the_one(row: sa.Row[Any] | None, asked: Request, told: str) -> None:
        """The operation is the one that was answered, and what was asked for."""
        if row is None or row.id != asked.operation_id or (row.points, row.kind) != (asked.points, asked.kind):
            raise Violation("B", f"{told} was accepted as {asked.operation_id}, and the ledger has {row and row.id}")
        if row.member_id != asked.member_id:
            raise Violation("B", f"{told} was asked for {asked.member_id}, and is of {row.member_id}")

    def _only_the_members_own(self, asked: Request, told: str, effects: Sequence[Effect]) -> None:
        """It moved the points of the member who asked, and of nobody else."""
        own = self.reckoning.member(asked.member_id).reference
        theirs = {own} if asked.kind in ("earn", "release") else self.reckoning.references(asked.member_id)
        others = {one.reference for one in effects} - theirs
        if others:
            raise Violation("B", f"{told} moved points of others: {sorted(each.hex()[:8] for each in others)}")

    def _swapped_as_quoted(
        self,
        connection: sa.Connection,
        asked: Request,
        told: str,
        effects: Sequence[Effect],
        done: dict[bytes, list[Effect]],
        *,
        lossy: bool,
    ) -> None:
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
            tag = self._tag_of_extra(connection, asked.operation_id, kind, program_id)
            found = done.pop(tag, [])
            whose = self.reckoning.references(offer.member_id)
            if kind == "bonus":
                whose = {self.reckoning.member(offer.to_member_id).reference}
            if {one.reference for one in found} - whose:
                raise Violation("B", f"the {kind} of {told} is another member's")
            carried = sum(one.change for one in found)
            # What comes after a swap reaches the chain after it: of a swap that only the chain told of, it may be lost.
            if carried != points and not (lossy and carried == 0):
                raise Violation("D", f"{told} was quoted a {kind} of {points}, and the chain carried {carried}")

    def _set_restored_extras_aside(self, connection: sa.Connection, done: dict[bytes, list[Effect]]) -> None:
        """A bonus or a fee whose swap has another id now is an operation of its own in a restored ledger."""
        rows = connection.execute(
            sa.select(operation.c.tag, sa.func.sum(operation.c.points))
            .where(operation.c.kind.in_(("bonus", "fee")), operation.c.state == "final", operation.c.restored)
            .group_by(operation.c.tag)
        )
        for tag, points in rows:
            if abs(sum(one.change for one in done.get(tag, []))) == points:
                done.pop(tag, None)

    def _tag_of_extra(self, connection: sa.Connection, swap_id: str, kind: str, program_id: str) -> bytes:
        """The tag under which a swap's extra is posted: as it is named, or as it came back with a restored ledger."""
        for each in extras.of_swap(connection, swap_id):
            row = connection.execute(sa.select(operation.c.kind, operation.c.tag).where(operation.c.id == each)).one()
            if row.kind == kind:
                return bytes(row.tag)
        return entry_tag(program_id, f"{swap_id}:{kind}")

    def _amounts_are_integers(self, connection: sa.Connection) -> None:
        for columns in _AMOUNTS:
            for column in columns:
                kinds = connection.execute(sa.select(sa.func.typeof(column)).distinct()).scalars()
                others = set(kinds) - {"integer"}
                if others:
                    raise Violation("I", f"{column} holds {sorted(others)}")

    # -- counts -------------------------------------------------------------------------------------

    def counts(self, database: Database) -> Counter[str]:
        """How much a run did."""
        counted: Counter[str] = Counter()
        with database.read() as connection:
            for table, name in ((operation, "operations"), (batch, "batches"), (attempt, "attempts")):
                counted[name] = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            query = sa.select(sa.func.count()).where(batch.c.state == "dissolved")
            counted["dissolved"] = connection.scalar(query) or 0
            own = operation.c
            since = own.created_ms > self._ground.now_ms
            query = sa.select(own.kind, own.state, sa.func.count()).where(since).group_by(own.kind, own.state)
            for kind, state, number in connection.execute(query):
                counted[f"{kind} {state}"] = number
        counted["blocks"] = self._network.head
        return counted
