"""Rebuilding: a new ledger out of the chain alone.

An empty ledger is bound to the exchange just before it was created, with the exchange's programs and keys in it, and
then follows the chain like any ledger that was restored from a copy: every batch is foreign to it, and is imported. So
there is one way in which the chain is taken in, whoever lost what.

The chain does not say who members are, what their links, keys, holds and quotes were, nor the rules of terms.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.chain.errors import ChainError, ChainUnreachable
from bridge.chain.finality import FinalityRule
from bridge.chain.keystore import Keystore
from bridge.chain.rpc import Block, Rpc
from bridge.posting.clock import Clock
from bridge.posting.follower import Follower
from bridge.posting.rebuild_found import FoundExchange, FoundKey, FoundProgram, Progress, find_exchange
from bridge.posting.reconciler import Reconciler, Report
from bridge.posting.recovery import Recovery
from bridge.store import blocks, breaker, chainstate, lanes, programs
from bridge.store.blocks import KnownBlock
from bridge.store.chainstate import Recovery as Learnt
from bridge.store.database import Database
from bridge.store.ids import new_id
from bridge.store.programs import NewProgram, ProgramLanes
from bridge.store.writer import LedgerWriter
from exchange.earning import EarningRate
from exchange.points import Points

REASON = "rebuilt from the chain"
#: What a program is given that nobody remembers: its points' name, and one of them for each so many minor units.
CURRENCY = "points"
EARNING_RATE = EarningRate(Points(1), 100)
#: How often in a row the node may fail before a rebuild is given up, and the pauses in between.
FAILURES_MAX = 10
PAUSE_S = 0.1
PAUSE_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class OwnWords:
    """What a program says of itself and the chain does not: its id here, its points' name, earning, expiry and worth.

    The id matters most: the tags by which repeated requests are found again are made of it.
    """

    id: str
    currency: str = CURRENCY
    earning_rate: EarningRate = EARNING_RATE
    expiry_days: int | None = None
    money: str = programs.MONEY
    point_value_micro: int | None = None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A ledger that was made anew: what was found and learnt, and how it compares with the chain.

    `breaker` is why it does not trust what it found, None where all could be followed.
    """

    found: FoundExchange
    unknown: list[str]
    learnt: Learnt
    report: Report
    breaker: str | None

    @property
    def sound(self) -> bool:
        """Whether the new ledger equals the chain in everything that the chain says."""
        return self.report.differences == 0 and self.breaker is None and not self.found.left_out


class Rebuild:
    """Fills one empty ledger; `journal` keeps raw transactions, as for an embedded chain, from its first block on."""

    def __init__(
        self,
        *,
        database: Database,
        rpc: Rpc,
        keystore: Keystore,
        finality: FinalityRule,
        clock: Clock,
        journal: bool,
        settlement_currency: str,
    ) -> None:
        self._database = database
        self._rpc = rpc
        self._keystore = keystore
        self._finality = finality
        self._clock = clock
        self._journal = journal
        self._currency = settlement_currency

    def run(
        self, exchange: bytes, own_words: Mapping[bytes, OwnWords], *, first: int = 0, progress: Progress
    ) -> Rebuilt:
        """Fill the ledger from the exchange at this address, which was not created before block `first`.

        `own_words` are of programs by token. Raises NoExchange, KeysMissing, ChainError.
        """
        head = self._rpc.head_number()
        until = self._finality.final_number(self._rpc, head)
        found = find_exchange(
            self._rpc, self._keystore, exchange, first=first, until=until, progress=lambda _done, _to_do: None
        )
        writer = LedgerWriter(self._database)
        writer.start()
        try:
            self._begin(writer, found, own_words)
            recovery = Recovery(
                database=self._database, writer=writer, rpc=self._rpc, clock=self._clock, own_chain=self._journal
            )
            recovery.examine()
            self._follow(writer, until, progress)
            recovery.step()
            report = Reconciler(database=self._database, writer=writer, rpc=self._rpc, clock=self._clock).audit()
        finally:
            writer.stop()
        with self._database.read() as connection:
            learnt, tripped = chainstate.last_recovery(connection), breaker.reason(connection)
        assert learnt is not None
        unknown = [one.symbol for one in found.programs if one.token not in own_words]
        return Rebuilt(found, unknown, learnt, report, tripped)

    # -- an empty ledger, bound to the exchange ---------------------------------------------------

    def _begin(self, writer: LedgerWriter, found: FoundExchange, own_words: Mapping[bytes, OwnWords]) -> None:
        genesis, anchor = self._rpc.block(0), self._rpc.block(0 if self._journal else max(0, found.number - 1))
        if genesis is None or anchor is None:
            raise ChainUnreachable(f"The node at {self._rpc.named} does not have its oldest blocks.")
        chain_id = self._rpc.chain_id()
        keys = [found.admin, found.operator, found.relayer]
        for one in found.programs:
            keys += [one.issuer, one.admin, one.guardian]
        counts = {key.index: self._rpc.transaction_count(key.address) for key in keys}

        def begin(connection: sa.Connection) -> None:
            self._bind(connection, chain_id, genesis, anchor, found)
            for role, key in (
                (lanes.EXCHANGE_ADMIN, found.admin),
                (lanes.EXCHANGE_OPERATOR, found.operator),
                (lanes.RELAYER, found.relayer),
            ):
                _add_lane(connection, role, key, counts)
            for program in found.programs:
                words = own_words.get(program.token) or OwnWords(new_id("program"))
                _add_program(connection, program, words, counts, self._clock())
            chainstate.begin_recovery(connection, REASON, self._clock())

        writer.run(begin)

    def _bind(
        self, connection: sa.Connection, chain_id: int, genesis: Block, anchor: Block, found: FoundExchange
    ) -> None:
        chainstate.begin(
            connection,
            chain_id=chain_id,
            genesis_hash=genesis.hash,
            times=found.times,
            settlement_currency=self._currency,
            now_ms=self._clock(),
        )
        chainstate.deployed(
            connection,
            exchange=found.address,
            transaction_hash=found.transaction_hash,
            block_number=found.number,
        )
        blocks.add(connection, KnownBlock(anchor.number, anchor.hash, anchor.parent_hash, anchor.timestamp, True), [])

    # -- what the chain did since ----------------------------------------------------------------

    def _follow(self, writer: LedgerWriter, until: int, progress: Progress) -> None:
        follower = Follower(
            database=self._database,
            writer=writer,
            rpc=self._rpc,
            finality=self._finality,
            clock=self._clock,
            journal=self._journal,
            guard=threading.Lock(),
        )
        first = reached = self._reached()
        failures = 0
        while reached < until:
            try:
                moved = follower.step()
            except ChainError:
                moved = False
                if failures >= FAILURES_MAX:
                    raise
            reached = self._reached()
            progress(min(reached, until) - first, until - first)
            failures = 0 if moved else failures + 1
            if failures > FAILURES_MAX:
                raise ChainUnreachable(f"The node at {self._rpc.named} shows nothing behind block {reached}.")
            if failures:
                time.sleep(min(PAUSE_S * 2**failures, PAUSE_MAX_S))

    def _reached(self) -> int:
        with self._database.read() as connection:
            final = blocks.newest_final(connection)
        assert final is not None, "the ledger begins with a final block"
        return final.number


def _add_lane(connection: sa.Connection, role: str, key: FoundKey, counts: Mapping[int, int]) -> lanes.LaneId:
    return lanes.add(connection, role=role, key_index=key.index, address=key.address, next_nonce=counts[key.index])


def _add_program(
    connection: sa.Connection, found: FoundProgram, words: OwnWords, counts: Mapping[int, int], now_ms: int
) -> None:
    signing = {"issuer": found.issuer, "admin": found.admin, "guardian": found.guardian}
    lane_ids = {role: _add_lane(connection, f"{role}:{words.id}", key, counts) for role, key in signing.items()}
    signers = ProgramLanes(
        **lane_ids,
        standby_key_index=None if found.standby is None else found.standby.index,
        standby=None if found.standby is None else found.standby.address,
    )
    new = NewProgram(
        words.id,
        found.name,
        found.symbol,
        words.currency,
        words.earning_rate,
        words.expiry_days,
        transferable=found.transferable,
        money=words.money,
        point_value_micro=words.point_value_micro,
    )
    programs.add(connection, new, signers, now_ms)
    # Its limits, its credit and that it was admitted the chain's events say; its token may log before that.
    programs.deployed(connection, words.id, found.token)
    programs.admitted(connection, words.id)
