"""The reconciler: holds the ledger against the chain at one final block.

For each program the sum of the posted balances must be the token's total supply, each account's posted balance its
`balanceOf`, and its position what the exchange says; over all programs the positions must sum to zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.chain import contracts
from bridge.chain.errors import ChainUnreachable
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock
from bridge.store import audit, chainstate
from bridge.store.audit import Books, HeldAccount, Settlement
from bridge.store.blocks import KnownBlock
from bridge.store.database import Database
from exchange.errors import Unavailable

#: Differing accounts that one report names; all are counted.
DIFFERING_NAMED_MAX = 100


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

    @property
    def positions_sum(self) -> int:
        """What the exchange's positions sum to, which must be zero."""
        return sum(one.position_micro for one in self.programs)

    @property
    def differences(self) -> int:
        """All differences, a sum of positions other than zero included."""
        return sum(one.differences for one in self.programs) + (self.positions_sum != 0)


class Reconciler:
    """Audits on demand."""

    def __init__(self, *, database: Database, rpc: Rpc, clock: Clock) -> None:
        self._database = database
        self._rpc = rpc
        self._clock = clock

    def audit(self, *, program_id: str | None = None) -> Report:
        """Compare everything (or one program) at the newest final block.

        Raises NothingToAudit before there is one, ChainError when the node cannot be asked.
        """
        began_ms = self._clock()
        with self._database.read() as connection:
            snapshot = audit.snapshot(connection)
            deployment = chainstate.get(connection)
        if snapshot is None or deployment is None or deployment.exchange is None:
            raise NothingToAudit("no block is final yet; ask again shortly")
        chosen = [one for one in snapshot.books if program_id in (None, one.program.id)]
        verdicts = [self._verdict(one, deployment.exchange, snapshot.block) for one in chosen if one.program.token]
        self._require_still_there(snapshot.block)
        return Report(snapshot.block, verdicts, snapshot.settlements, self._clock(), self._clock() - began_ms)

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
