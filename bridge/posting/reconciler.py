"""The reconciler: holds the ledger against the chain at one final block.

For each program the sum of the posted balances must be the token's total supply, each account's posted balance its
`balanceOf`, and its position what the exchange says; over all programs the positions must sum to zero.

It goes on all the time: what was moved is compared as soon as it is final, everything now and then.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from bridge.chain import contracts
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock, passed
from bridge.posting.fenced import Writer
from bridge.posting.nonces import MAKING_MS
from bridge.store import accounts, audit, blocks, breaker, chainstate
from bridge.store.audit import Books, HeldAccount, Settlement
from bridge.store.blocks import KnownBlock
from bridge.store.breaker import Alarm
from bridge.store.database import Database
from bridge.store.thaws import Seen
from exchange.errors import Unavailable

#: Differing accounts that one report names; all are counted.
DIFFERING_NAMED_MAX = 100
#: How often everything is compared, whether it was moved or not.
WHOLE_EVERY_MS = 300_000
#: How often a difference is looked at before it counts, at the newest block a while apart. A node that makes the next
#: block meanwhile may answer of that one (anvil does, for a moment), and what really differs differs at each look.
LOOKS_MAX = 3

_log = logging.getLogger(__name__)


class NothingToAudit(Unavailable):
    """Raised when no block is final yet."""

    type = "nothing-to-audit"


@dataclass(frozen=True, slots=True)
class Difference:
    """One account about which ledger and chain disagree, in points."""

    account: HeldAccount
    chain: int


@dataclass(frozen=True, slots=True)
class ProgramVerdict:
    """One program's books beside what the chain says of them."""

    books: Books
    supply: int
    position_micro: int
    differing: list[Difference]

    @property
    def differences(self) -> int:
        """How many statements of the ledger the chain contradicts: accounts, the supply, the position."""
        return (
            len(self.differing)
            + (self.supply != self.books.ledger)
            + (self.position_micro != self.books.position_micro)
        )

    def named(self) -> str:
        """The differences as a line for the alarm."""
        parts = [
            f"account 0x{one.account.address.hex()} holds {one.chain} on the chain, {one.account.posted} in the ledger"
            for one in self.differing[:DIFFERING_NAMED_MAX]
        ]
        if self.supply != self.books.ledger:
            parts.append(f"supply {self.supply} on the chain, {self.books.ledger} in the ledger")
        if self.position_micro != self.books.position_micro:
            parts.append(f"position {self.position_micro} on the chain, {self.books.position_micro} in the ledger")
        return f"{self.books.program.symbol}: " + "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict at one final block."""

    block: KnownBlock
    programs: list[ProgramVerdict]
    settlements: list[Settlement]
    checked_ms: int
    duration_ms: int
    #: whether the chain had another block above this one before it was asked, so that it cannot have told of the next
    certain: bool

    @property
    def positions_sum(self) -> int:
        """What the exchange's positions sum to, which must be zero."""
        return sum(one.position_micro for one in self.programs)

    @property
    def differences(self) -> int:
        """All differences, a sum of positions other than zero included."""
        return sum(one.differences for one in self.programs) + (self.positions_sum != 0)

    def named(self) -> str:
        """The differences as text for the alarm: programs, accounts and amounts."""
        parts = [one.named() for one in self.programs if one.differences]
        if self.positions_sum:
            parts.append(f"the positions of all programs sum to {self.positions_sum} micro-units, not to zero")
        return f"ledger and chain differ at block {self.block.number}: {'; '.join(parts)}"

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0


@dataclass
class Findings:
    """What this process found when it compared."""

    #: when everything was last compared
    whole_ms: int | None = None
    #: the newest comparison that was made by `step` or `reconcile`
    last: Report | None = None
    #: the newest one that found something, until everything is compared and found to be equal
    differing: Report | None = None


class Reconciler:
    """Audits on demand, and by itself, step by step; several of one process can share their findings."""

    def __init__(
        self,
        *,
        database: Database,
        writer: Writer,
        rpc: Rpc,
        clock: Clock,
        found: Findings | None = None,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._database = database
        self._writer = writer
        self._rpc = rpc
        self._clock = clock
        self._found = found or Findings()
        self._rest = rest

    @property
    def last(self) -> Report | None:
        """The newest comparison that was made by `step` or `reconcile`."""
        return self._found.last

    @property
    def differing(self) -> Report | None:
        """The newest one that found something, until everything is compared and found to be equal."""
        return self._found.differing

    def step(self) -> bool:
        """Compare what was moved since the last comparison, or everything where that is due.

        A difference trips the breaker. Answers whether anything was compared. Raises ChainError.
        """
        with self._database.read() as connection:
            final = blocks.newest_final(connection)
        whole = self._found.whole_ms is None or passed(self._found.whole_ms, self._clock(), WHOLE_EVERY_MS)
        if final is None or (not whole and self.last is not None and self.last.block.number >= final.number):
            return False
        try:
            self.reconcile(since=None if whole or self.last is None else self.last.block.number)
        except NothingToAudit:
            return False
        return True

    def reconcile(self, *, since: int | None = None) -> Report:
        """Audit, and trip the breaker where anything differs. Raises NothingToAudit, ChainError."""
        report = self.audit(since=since)
        if since is None:
            self._found.whole_ms = self._clock()
        self._found.last = report
        if not report.is_equal or since is None:
            self._found.differing = None if report.is_equal else report
        if not report.is_equal:
            _log.critical("%s", report.named())
            self._writer.run(
                partial(breaker.trip, alarm=Alarm.BOOKS_DIFFER, reason=report.named(), now_ms=self._clock())
            )
        return report

    def audit(self, *, program_id: str | None = None, since: int | None = None) -> Report:
        """Compare everything at the newest final block; or one program; or only accounts moved in blocks above `since`.

        Supplies and positions are always compared. Raises NothingToAudit before there is such a block, ChainError when
        the node cannot be asked.
        """
        report = self._look(program_id, since)
        for _ in range(LOOKS_MAX - 1):
            if report.is_equal:
                break
            if not report.certain:
                self._rest(MAKING_MS / 1000)
            report = self._look(program_id, since)
        return report

    def seen(self, account_id: int) -> Seen:
        """What the chain says now, at the newest final block, that one managed account holds.

        Raises NothingToAudit before there is such a block, ChainError when the node cannot be asked.
        """
        with self._database.read() as connection:
            final = blocks.newest_final(connection)
            token, address = accounts.on_chain(connection, account_id)
        if final is None:
            raise NothingToAudit("no block is final yet; ask again shortly")
        (answer,) = self._rpc.call_many([(token, contracts.encode_balance_of(address))], final.number)
        self._require_still_there(final)
        return Seen(final.number, _held(answer))

    def _look(self, program_id: str | None, since: int | None) -> Report:
        began_ms = self._clock()
        with self._database.read() as connection:
            snapshot = audit.snapshot(connection, since)
            deployment = chainstate.get(connection)
        head = self._rpc.head_number()
        if snapshot is None or deployment is None or deployment.exchange is None:
            raise NothingToAudit("no block is final yet; ask again shortly")
        chosen = [one for one in snapshot.books if program_id in (None, one.program.id)]
        verdicts = [self._verdict(one, deployment.exchange, snapshot.block) for one in chosen if one.program.token]
        self._require_still_there(snapshot.block)
        now_ms, certain = self._clock(), head > snapshot.block.number
        return Report(snapshot.block, verdicts, snapshot.settlements, now_ms, now_ms - began_ms, certain)

    def _verdict(self, books: Books, exchange: bytes, block: KnownBlock) -> ProgramVerdict:
        token = books.program.token
        assert token is not None
        supply, position = self._rpc.call_many(
            [(token, contracts.encode_total_supply()), (exchange, contracts.encode_position(token))],
            block.number,
        )
        balances = self._balances(token, books.accounts, block)
        differing = [
            Difference(account, balance)
            for account, balance in zip(books.accounts, balances, strict=True)
            if account.posted != balance
        ]
        return ProgramVerdict(books, _held(supply), contracts.decode_int(position) if position else 0, differing)

    def _balances(self, token: bytes, accounts: Sequence[HeldAccount], block: KnownBlock) -> list[int]:
        asked = [(token, contracts.encode_balance_of(account.address)) for account in accounts]
        return [_held(answer) for answer in self._rpc.call_many(asked, block.number)]

    def _require_still_there(self, block: KnownBlock) -> None:
        found = self._rpc.block(block.number)
        if found is None or found.hash != block.hash:
            raise ChainUnreachable(f"The node no longer has block {block.number} that was audited; ask again.")


def _held(answer: bytes) -> int:
    """A number of points. A contract that is not yet there at this block answers nothing, and holds nothing."""
    return contracts.decode_uint(answer) if answer else 0
