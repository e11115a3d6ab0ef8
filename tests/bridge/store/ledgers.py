"""A ledger to test with: three active programs, and a verb for each thing that a test lets happen."""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from bridge.forms.rules import RulesForm
from bridge.store import (
    accounts,
    batches,
    blocks,
    captures,
    chainstate,
    challenges,
    debts,
    earns,
    events,
    expiry,
    extras,
    freezing,
    holder_events,
    holds,
    lanes,
    limits,
    links,
    members,
    outcomes,
    pending_earns,
    programs,
    quotes,
    redemptions,
    reversals,
    streams,
    swaps,
    terms,
    wallets,
)
from bridge.store.accounts import Account
from bridge.store.batches import Batch, Mined
from bridge.store.blocks import KnownBlock
from bridge.store.captures import CaptureRequest
from bridge.store.chainstate import Times
from bridge.store.database import Database
from bridge.store.earns import EarnAnswer, EarnRequest
from bridge.store.events import OperationEvent
from bridge.store.freezing import Frozen, Item
from bridge.store.holder_events import Happening
from bridge.store.holds import Hold, HoldRequest
from bridge.store.ids import new_id
from bridge.store.limits import Bounds
from bridge.store.links import Link
from bridge.store.members import Member
from bridge.store.operations import Operation
from bridge.store.operations import by_id as operation_by_id
from bridge.store.programs import NewProgram, Program, ProgramLanes
from bridge.store.quotes import Firmness, Quote, QuoteRequest
from bridge.store.redemptions import RedemptionRequest
from bridge.store.reversals import ReversalRequest
from bridge.store.schema import account, batch, lot, metadata, operation
from bridge.store.sqlite import SqliteDatabase
from bridge.store.streams import Stream
from bridge.store.terms import Proposal, TermsRow
from bridge.store.wallets import Wallet
from exchange.earning import EarningRate
from exchange.points import Points
from exchange.rules import PLAIN, Rules
from exchange.words import digest

Given = ParamSpec("Given")
Result = TypeVar("Result")

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
FIRMNESS = Firmness(quote_life_ms=60_000, batch_life_ms=120_000)
TIMES = Times(delay_s=0, notice_s=240, longest_quote_s=60, longest_batch_s=180, cap_period_s=86_400)
LANES = {0: lanes.EXCHANGE_ADMIN, 1: lanes.EXCHANGE_OPERATOR, 3: lanes.RELAYER}
#: Limits that no test meets by chance.
WIDE: Mapping[str, Bounds] = dict.fromkeys(limits.NAMES, Bounds(10**15, 10**6))
EXCHANGE = b"\xee" * 20
ENTRIES_MAX = 100
#: How much of one kind is done in one transaction by who keeps times.
KEPT_MAX = 3


class Ledger:
    """A database with the commands as methods, at a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_ms = NOW_MS
        self._keys = itertools.count(1)

    @classmethod
    def in_file(cls, path: Path) -> "Ledger":
        """The ledger in this file, which is made where there is none."""
        return cls(SqliteDatabase.in_file(path))

    def close(self) -> None:
        self.database.close()

    def do(
        self, command: Callable[Concatenate[sa.Connection, Given], Result], *given: Given.args, **named: Given.kwargs
    ) -> Result:
        """Run a command in a transaction of its own."""
        with self.database.write() as connection:
            return command(connection, *given, **named)

    def ask(
        self, query: Callable[Concatenate[sa.Connection, Given], Result], *given: Given.args, **named: Given.kwargs
    ) -> Result:
        """Read."""
        with self.database.read() as connection:
            return query(connection, *given, **named)

    # -- setting up ---------------------------------------------------------------------------

    def bind(self) -> None:
        """As after the service's first start: a chain with one block, and the exchange's two lanes."""
        with self.database.write() as connection:
            chainstate.begin(
                connection,
                chain_id=31337,
                genesis_hash=hash_of(0),
                times=TIMES,
                settlement_currency="USD",
                now_ms=self.now_ms,
            )
            chainstate.deployed(connection, exchange=EXCHANGE, transaction_hash=bytes(32), block_number=0)
            blocks.add(connection, KnownBlock(0, hash_of(0), bytes(32), self.now_ms // 1000, True), [])
            for index, role in LANES.items():
                lanes.add(connection, role=role, key_index=index, address=bytes([index]) * 20, next_nonce=0)

    def program(
        self, symbol: str, expiry_days: int | None = None, *, active: bool = True, bounds: Mapping[str, Bounds] = WIDE
    ) -> Program:
        """A program that gives one point for each 100 minor units."""
        new = NewProgram(
            new_id("program"),
            symbol,
            symbol,
            f"{symbol} points",
            EarningRate(Points(1), 100),
            expiry_days,
            limits=bounds,
        )
        with self.database.write() as connection:
            index = lanes.next_key_index(connection)
            issuer, guardian, admin = (
                lanes.add(
                    connection,
                    role=f"{role}:{new.id}",
                    key_index=index + place,
                    address=bytes([index + place]) * 20,
                    next_nonce=0,
                )
                for place, role in ((0, "issuer"), (2, "guardian"), (3, "admin"))
            )
            signers = ProgramLanes(issuer, admin, guardian, index + 1, bytes([index + 1]) * 20)
            programs.add(connection, new, signers, self.now_ms)
            if active:
                programs.deployed(connection, new.id, symbol.encode().ljust(20, b"\0"))
                programs.admitted(connection, new.id)
            return programs.by_id(connection, new.id)

    def named(self, symbol: str) -> Program:
        """The program of this symbol."""
        return next(one for one in self.ask(programs.all_programs) if one.symbol == symbol)

    def agree(
        self,
        source: Program,
        destination: Program,
        ratio: tuple[int, int] = (1, 1),
        *,
        version: int = 1,
        price: int = 7,
        minimum: int = 1,
        increment: int = 1,
        effective_ms: int | None = None,
        managed_cap: int = terms.MANAGED_CAP,
        wallet_cap: int = 0,
        rules: Rules = PLAIN,
    ) -> TermsRow:
        """Terms adopted, in force from now on unless said otherwise."""
        proposal = Proposal(
            source.id,
            destination.id,
            *ratio,
            minimum,
            increment,
            price,
            "USD",
            source.id,
            managed_cap=managed_cap,
            wallet_cap=wallet_cap,
            rules=RulesForm.of(rules).written(),
        )
        with self.database.write() as connection:
            row = terms.propose(connection, proposal, self.now_ms)
            terms.proposed(connection, row.id, version)
            since_ms = self.now_ms if effective_ms is None else effective_ms
            terms.adopted(connection, source.id, destination.id, version, since_ms)
            return terms.by_id(connection, row.id)

    def member(self, program: Program, number: str) -> Member:
        return self.do(members.enrol, program, number, self.now_ms)[0]

    def wallet(self, who: Member, reference: bytes | None = None) -> Wallet:
        """A wallet bound to one of the member's accounts, the first one, as if its binding had been posted long ago."""
        reference = reference or who.reference
        address = bytes(reversed(reference))
        with self.database.write() as connection:
            account_id = accounts.by_reference(connection, who.program_id, reference)
            assert account_id is not None
            asked = challenges.create(connection, who.id, account_id, address, "text", self.now_ms)
            made = wallets.bind(connection, who, asked.nonce, self.now_ms)
            connection.execute(operation.update().where(operation.c.id == made.bind_operation_id).values(state="final"))
            wallets.bound(connection, account_id, address, self.now_ms)
            return wallets.by_id(connection, made.id)

    def happen(self, *what: Happening) -> int:
        """A block in which holders did this; its number."""
        with self.database.write() as connection:
            number = self._block(connection)
            holder_events.note(connection, what, block_number=number, block_ms=self.now_ms, now_ms=self.now_ms)
        return number

    def link(self, *joined: Member) -> Link:
        """Join these memberships by a code from each."""
        with self.database.write() as connection:
            codes = [links.new_code(connection, one.id, self.now_ms)[0] for one in joined]
            return links.join(connection, codes, None, self.now_ms)

    # -- accepting ----------------------------------------------------------------------------

    def key(self) -> str:
        return f"key-{next(self._keys)}"

    def earn(self, who: Member, amount: int, key: str | None = None) -> str:
        """Accept an earn outright; the operation's id."""
        answer = self.earn_many(who.program_id, [earn_of(who, amount, key or self.key())])[0]
        assert answer.operation_id is not None, answer.refusal
        return answer.operation_id

    def earn_many(self, program_id: str, requests: Sequence[EarnRequest]) -> list[EarnAnswer]:
        return self.do(earns.accept, program_id, requests, self.now_ms)

    def earn_later(self, who: Member, amount: int, release_ms: int, key: str | None = None) -> str:
        """Accept an earn whose points come later; the operation's id."""
        request = EarnRequest(key or self.key(), who.id, None, None, amount, None, release_ms=release_ms)
        answer = self.earn_many(who.program_id, [request])[0]
        assert answer.operation_id is not None, answer.refusal
        return answer.operation_id

    def keep(self) -> int:
        """Release and expire all that is due; of how much."""
        done = 0
        for step in (pending_earns.release_due, holds.expire, expiry.expire_due):
            while found := self.do(step, self.now_ms, KEPT_MAX):
                done += found
        return done

    def redeem(self, who: Member, amount: int, key: str | None = None) -> str:
        request = RedemptionRequest(key or self.key(), who.id, None, amount)
        return self.do(redemptions.accept, who.program_id, request, self.now_ms)[0]

    def redeemed(self, who: Member, amount: int, key: str | None = None) -> str:
        """A redemption that is final, with all that waited before it; its operation's id."""
        operation_id = self.redeem(who, amount, key)
        self.post(self.ask(programs.by_id, who.program_id))
        return operation_id

    def reverse(self, operation_id: str, amount: int | None = None, key: str | None = None) -> Operation:
        """Take back so much of an operation, or all that is left; the reversal."""
        of = self.operation(operation_id)
        request = ReversalRequest(key or self.key(), operation_id, amount)
        return self.operation(self.do(reversals.accept, of.program_id, request, self.now_ms)[0])

    def owed(self, who: Member) -> int:
        """What a member owes; below zero: what was paid ahead."""
        return self.ask(debts.of_member, who.id)

    def authorise(self, who: Member, amount: int, key: str | None = None, *, life_s: int | None = None) -> Hold:
        request = HoldRequest(key or self.key(), who.id, None, amount, life_s)
        return self.do(holds.authorise, who.program_id, request, self.now_ms)[0]

    def capture(self, held: Hold, amount: int | None = None, key: str | None = None, *, final: bool = False) -> str:
        """Capture so much of a hold, or all that is left; the operation's id."""
        request = CaptureRequest(key or self.key(), held.id, amount, final)
        return self.do(captures.accept, held.program_id, request, self.now_ms)[0]

    def void(self, held: Hold, key: str | None = None) -> Hold:
        return self.do(holds.void, held.program_id, key or self.key(), held.id, self.now_ms)[0]

    def hold(self, held: Hold) -> Hold:
        """The hold as it stands now."""
        return self.ask(holds.by_id, held.id, held.program_id)

    def quote(
        self, who: Member, to: Program, amount_in: int, *, through: Sequence[Program] = (), tier: str | None = None
    ) -> Quote:
        path = [who.program_id, *(one.id for one in through), to.id] if through else ()
        request = QuoteRequest(who.id, None, to.id, amount_in, None, path, tier)
        return self.do(quotes.create, who.program_id, request, FIRMNESS, self.now_ms)

    def accept(self, offer: Quote, key: str | None = None) -> str:
        return self.do(swaps.accept, offer.program_id, key or self.key(), offer.id, self.now_ms)[0]

    def swap(self, who: Member, to: Program, amount_in: int, *, through: Sequence[Program] = ()) -> str:
        return self.accept(self.quote(who, to, amount_in, through=through))

    def extras(self, swap_id: str) -> dict[str, Operation]:
        """What comes after a swap, by its kind."""
        found = [self.operation(one) for one in self.ask(extras.of_swap, swap_id)]
        assert len({one.kind for one in found}) == len(found)
        return {one.kind: one for one in found}

    # -- posting, with a chain of which only the numbers matter ---------------------------------

    def stream(self, *path: Program) -> Stream:
        """A program's own stream, or that of a swap path."""
        found = self.ask(streams.by_key, ">".join(one.id for one in path))
        assert found is not None
        return found

    def freeze(self, stream: Stream, entries_max: int = ENTRIES_MAX) -> Batch:
        """Freeze what waits in a stream; its call data are its words and nothing else."""
        with self.database.write() as connection:
            of = streams.by_id(connection, stream.id)
            items = freezing.waiting_items(connection, of.id, entries_max)
            assert items
            return freezing.freeze(connection, of, items, frozen_of(of, items, self.now_ms), self.now_ms)

    def mine(self, *found: Batch, skipped: Collection[int] = ()) -> int:
        """A block that holds these batches; its number. `skipped` are places in the last."""
        return self.mine_with([(one, skipped if one is found[-1] else ()) for one in found])

    def mine_with(self, found: Sequence[tuple[Batch, Collection[int]]]) -> int:
        """A block that holds these batches, of each of which the words at some places were skipped."""
        with self.database.write() as connection:
            number = self._block(connection)
            for place, (one, skipped) in enumerate(found):
                mined = Mined(hash_of(number, place + 1), number, 50_000)
                outcomes.confirm(connection, one.id, mined, skipped, self.now_ms)
        return number

    def _block(self, connection: sa.Connection) -> int:
        tip = blocks.tip(connection)
        assert tip is not None
        number = tip.number + 1
        block = KnownBlock(number, new_hash(), tip.hash, self.now_ms // 1000, False)
        blocks.add(connection, block, [])
        return number

    def finalise(self, number: int) -> list[int]:
        with self.database.write() as connection:
            blocks.finalise(connection, number)
            return outcomes.finalise(connection, number, self.now_ms)

    def undo_above(self, number: int) -> list[str]:
        """The blocks above are reorganised away; the batches that were in them."""
        with self.database.write() as connection:
            gone = blocks.remove_above(connection, number)
            for batch_id in gone:
                outcomes.unconfirm(connection, batch_id, self.now_ms)
            return gone

    def confirm(self, *path: Program) -> Batch:
        """Freeze and mine what waits in a stream."""
        frozen = self.freeze(self.stream(*path))
        self.mine(frozen)
        return frozen

    def post(self, *path: Program) -> Batch:
        """Freeze and mine what waits in a stream, and let it be final: then the books hold it."""
        frozen = self.confirm(*path)
        tip = self.ask(blocks.tip)
        assert tip is not None
        self.finalise(tip.number)
        return frozen

    def unposted(self) -> list[Batch]:
        """The batches that are in no block, each stream's in their sequence."""
        query = sa.select(batch).where(batch.c.state.in_(batches.UNMINED)).order_by(batch.c.stream_id, batch.c.sequence)
        with self.database.read() as connection:
            return [Batch(**row._mapping) for row in connection.execute(query)]

    def dissolve(self, stream: Stream) -> int:
        return self.do(outcomes.dissolve, stream.id, self.now_ms)

    # -- looking ------------------------------------------------------------------------------

    def accounts(self, who: Member) -> list[Account]:
        return self.ask(accounts.of_member, who.id)

    def told(self, program: Program | None, cursor: int = 0) -> list[OperationEvent]:
        """What a program is told of its operations behind the cursor; None: all of them."""
        found, _ = self.ask(events.after, cursor, None if program is None else program.id)
        return [one for one in found if isinstance(one, OperationEvent)]

    def operation(self, operation_id: str) -> Operation:
        return self.ask(operation_by_id, operation_id)

    def batch(self, batch_id: str) -> Batch:
        return self.ask(batches.by_id, batch_id)

    def lots(self, who: Member) -> list[int]:
        """What the member's lots that are not pending still hold, in the order in which they came."""
        query = (
            sa.select(lot.c.remaining)
            .join(account, account.c.id == lot.c.account_id)
            .where(account.c.member_id == who.id, lot.c.pending.is_(False))
            .order_by(lot.c.id)
        )
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def everything(self, *but: str) -> dict[str, list[tuple[object, ...]]]:
        """All rows of all tables, but for some tables, and for how often this process wrote."""
        with self.database.read() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(sa.select(table))), key=repr)
                for table in metadata.sorted_tables
                if table.name not in (*but, "writer")
            }


def earn_of(who: Member, amount: int, key: str) -> EarnRequest:
    """An earn of points outright."""
    return EarnRequest(key, who.id, None, None, amount, None)


def frozen_of(of: Stream, items: Iterable[Item], now_ms: int) -> Frozen:
    """What the stream's next batch is to be, with the words themselves for call data."""
    words = b"".join(one.words for one in items)
    return Frozen(
        purpose=batches.POST if of.kind == streams.PROGRAM else batches.SETTLE,
        sequence=of.last_sequence + 1,
        valid_until=now_ms // 1000 + 120,
        digest=digest(words),
        target=EXCHANGE,
        calldata=words,
        gas_limit=1_000_000,
    )


_hashes = itertools.count(1)


def new_hash() -> bytes:
    """A block hash that no other block has."""
    return b"\xbb" * 24 + next(_hashes).to_bytes(8)


def hash_of(number: int, place: int = 0) -> bytes:
    """A hash that is recognised in a failing test."""
    return number.to_bytes(16) + place.to_bytes(16)
