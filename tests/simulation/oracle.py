"""The oracle: what must always hold, counted from the chain's own words and from what the partners were answered."""

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from bridge.posting import keeper
from bridge.store import blocks, breaker, chainstate
from bridge.store.database import Database
from bridge.store.schema import (
    account,
    adjustment,
    attempt,
    batch,
    debt,
    debt_change,
    entry,
    expiry_notice,
    hold,
    lot,
    operation,
    quote,
    request,
)
from tests.simulation import books
from tests.simulation.causes import release_at_least
from tests.simulation.chain import Effect, Network
from tests.simulation.ground import Ground
from tests.simulation.history import History
from tests.simulation.reckoning import Reckoning
from tests.simulation.request import Request
from tests.simulation.verdict import Verdict
from tests.simulation.violation import Violation

_AMOUNTS = (
    (entry.c.amount,),
    (lot.c.amount, lot.c.remaining),
    (operation.c.points,),
    (hold.c.points, hold.c.captured),
    (debt.c.points,),
    (adjustment.c.points,),
)
#: In what states an operation rests.
RESTING = ("final", "failed", "cancelled")


class Oracle:
    """Watches one run."""

    def __init__(self, ground: Ground, network: Network, history: History) -> None:
        self.resting = False
        #: the ledger was restored from a copy
        self.restored = False
        self.theft = self.careful_thief = False
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
        if self._is_on_chain(one) and not (
            why == "idempotency-key-reused" and self.reckoning.may_refuse(one, why, now_ms)
        ):
            raise Violation("B", f"{one.kind} {one.key} is on the chain, and is refused: {why}")
        if not self.reckoning.may_refuse(one, why, now_ms):
            raise Violation("R", f"{one.kind} {one.key} of {one.points} was refused without a cause: {why}")

    def _is_on_chain(self, one: Request) -> bool:
        """Whether words of this request are in canonical blocks; those of a proposal it is approvals that made."""
        if one.tag is None or one.kind == "proposal":
            return False
        made = self._network.effects[self._ground.final_number + 1 :]
        return any(each.tag == one.tag for effects in made for each in effects)

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
        self.restored = True
        own, other = operation.c, request.c
        rows = connection.execute(
            sa.select(own.program_id, own.idempotency_key, own.id).union_all(
                sa.select(other.program_id, other.idempotency_key, other.subject)
            )
        ).all()
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
            self._is_not_early(one)
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

    def _is_not_early(self, one: Effect) -> None:
        """No pending earn has come before its time. Blocks are dated by their miners, so what counts is when it is."""
        asked = self._pending.get(one.tag)
        if asked is None or self.reckoning.clock_jumped:
            return
        if self._history.now_ms < release_at_least(self.requests, asked):
            raise Violation("B", f"the points of {asked.key} came before their time")

    @property
    def _pending(self) -> dict[bytes, Request]:
        return {one.tag: one for one in self.requests if one.kind == "pending" and one.tag is not None}

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
            if reason is None:
                books.look(connection, restored=self.restored)
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
            sa.or_(available - account.c.debits_pending - account.c.held < 0, account.c.frozen.is_(True)),
        )
        over = list(connection.execute(query).scalars())
        if over and not self.theft:
            raise Violation("C", f"accounts {over} are overdrawn or frozen")

    def _answers_stand(self, connection: sa.Connection) -> None:
        found = {
            each
            for table in (operation, hold, adjustment)
            for each in connection.execute(sa.select(table.c.id)).scalars()
        }
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
                .where(operation.c.state.not_in(RESTING))
                .group_by(operation.c.state)
            ).all()
            unmined = connection.scalar(
                sa.select(sa.func.count()).where(batch.c.state.in_(("frozen", "submitted", "confirmed")))
            )
            holding = connection.scalar(sa.select(sa.func.count()).where(hold.c.state == "open"))
            behind_ms = keeper.behind_ms(connection, self.reckoning.latest_ms)
        unanswered = sum(1 for one in requests if one.open)
        if not states and not unmined and not unanswered and not holding and not behind_ms:
            return None
        return (
            f"operations {dict(map(tuple, states))}, {unmined} batches, {unanswered} requests without an answer,"
            f" {holding} open holds, the keeper {behind_ms} ms behind"
        )

    def verdict(self, database: Database, requests: Sequence[Request]) -> None:
        """Everything that was asked has one effect, or none and a recorded failure; and nothing else happened."""
        with database.read() as connection:
            Verdict(self._ground, self._network, self.reckoning, connection, requests).pass_it()
            books.at_rest(connection, self.reckoning.latest_ms)
            self._amounts_are_integers(connection)

    def _amounts_are_integers(self, connection: sa.Connection) -> None:
        """Columns of PostgreSQL have a type; in SQLite each value has one."""
        kind = sa.func.typeof if connection.dialect.name == "sqlite" else sa.func.pg_typeof
        for columns in _AMOUNTS:
            for column in columns:
                kinds = connection.execute(sa.select(sa.cast(kind(column), sa.Text)).distinct()).scalars()
                others = set(kinds) - {"integer", "bigint"}
                if others:
                    raise Violation("I", f"{column} holds {sorted(others)}")

    # -- counts -------------------------------------------------------------------------------------

    def counts(self, database: Database) -> Counter[str]:
        """How much a run did."""
        counted: Counter[str] = Counter()
        with database.read() as connection:
            for table, name in ((operation, "operations"), (batch, "batches"), (attempt, "attempts")):
                counted[name] = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for name, of in (("hold", hold.c.state), ("adjustment", adjustment.c.state)):
                for state, number in connection.execute(sa.select(of, sa.func.count()).group_by(of)):
                    counted[f"{name} {state}"] = number
            counted["captures"] = self._number(connection, operation.c.hold_id.is_not(None))
            counted["notices"] = connection.scalar(sa.select(sa.func.count()).select_from(expiry_notice)) or 0
            counted["debts made"] = self._number(connection, debt_change.c.points > 0)
            released = sa.and_(operation.c.release_ms.is_not(None), operation.c.stream_id.is_not(None))
            counted["pending earns released"] = self._number(connection, released)
            query = sa.select(sa.func.count()).where(batch.c.state == "dissolved")
            counted["dissolved"] = connection.scalar(query) or 0
            own = operation.c
            since = own.created_ms > self._ground.now_ms
            by_kind = sa.select(own.kind, own.state, sa.func.count()).where(since).group_by(own.kind, own.state)
            for kind, state, number in connection.execute(by_kind):
                counted[f"{kind} {state}"] = number
        counted["blocks"] = self._network.head
        return counted

    @staticmethod
    def _number(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
        return connection.scalar(sa.select(sa.func.count()).where(which)) or 0
