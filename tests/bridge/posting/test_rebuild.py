"""Rebuilding a ledger from a chain in memory, and holding it against the ledger that posted there."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.abi import encode_values, selector
from bridge.chain.contracts import NOBODY
from bridge.chain.errors import ChainUnreachable, RpcRefused
from bridge.chain.events import AdminChanged, Admitted, Deposited, Event, LimitChanged, Posted, Redeemed, TermsAdopted
from bridge.chain.rpc import Block, BlockId, Log
from bridge.posting import rebuild
from bridge.posting.rebuild import OwnWords, Rebuild, Rebuilt
from bridge.posting.rebuild_found import KeysMissing, NoExchange, find_exchange
from bridge.store import blocks, comparison, lanes, limits, programs, restored
from bridge.store import terms as agreed
from bridge.store.comparison import Comparison
from bridge.store.database import Database
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import account, block_transaction, operation, terms
from bridge.store.sqlite import SqliteDatabase
from exchange.words import account_address
from tests.bridge.posting.conftest import Office
from tests.bridge.posting.fake_chain import FakeChain, FakeKeystore
from tests.bridge.posting.test_holders import ADDRESS, Holding
from tests.bridge.store.ledgers import EXCHANGE, TIMES

pytestmark = pytest.mark.usefixtures("ann", "told")

CREDIT = 5 * 10**9


class ToldChain(FakeChain):
    """The chain in memory with what only a rebuild asks for."""

    def tell(self, office: Office) -> None:
        """Answer for the office's programs as their contracts would."""
        self.programs: dict[bytes, Program] = {
            one.token: one for one in office.ledger.ask(programs.all_programs) if one.token is not None
        }
        self.signers: dict[int, bytes] = {one.id: one.address for one in office.ledger.ask(lanes.all_lanes)}

    def code(self, address: bytes, _block: BlockId = "latest") -> bytes:
        return b"\x01" if address in {EXCHANGE, *self.programs} else b""

    def logs_in_range(self, first: int, last: int, addresses: Sequence[bytes]) -> list[Log]:
        found = [log for mined in self._visible()[first : last + 1] for log in mined.logs]
        return [log for log in found if log.address in addresses]

    def call_many(self, calls: Sequence[tuple[bytes, bytes]], block: BlockId = "latest") -> list[bytes]:
        return [self._told(to, data) or super(ToldChain, self).call_many([(to, data)], block)[0] for to, data in calls]

    def _told(self, to: bytes, data: bytes) -> bytes | None:
        if to == EXCHANGE:
            asked = [contracts.encode_admin(), contracts.encode_operator(), *contracts.encode_times()]
            said: list[int | bytes] = [bytes([0]) * 20, bytes([1]) * 20, TIMES.delay_s, TIMES.notice_s]
            said += [TIMES.longest_quote_s, TIMES.longest_batch_s, TIMES.cap_period_s]
            known = {each: _word(one) for each, one in zip(asked, said, strict=True)}
            return known.get(data)
        one = self.programs.get(to)
        if one is None:
            return None
        signers = self.signers
        told: Mapping[bytes, bytes] = {
            contracts.encode_name(): encode_values("(string)", [one.name]),
            contracts.encode_symbol(): encode_values("(string)", [one.symbol]),
            contracts.encode_transferable(): _word(int(one.transferable)),
            contracts.encode_issuer(): _word(signers[one.issuer_lane_id]),
            contracts.encode_admin(): _word(signers[one.admin_lane_id]),
            contracts.encode_guardian(): _word(signers[one.guardian_lane_id]),
            contracts.encode_standby(): _word(one.standby or NOBODY),
        }
        return told.get(data)


class WideKeystore(FakeKeystore):
    """As many keys as are asked for."""

    def address(self, index: int) -> bytes:
        return super().address(index) if index < 100 else index.to_bytes(20, "big")


def _word(value: int | bytes) -> bytes:
    return value.rjust(32, b"\0") if isinstance(value, bytes) else value.to_bytes(32, "big")


@pytest.fixture
def chain(office: Office) -> ToldChain:
    """The office's chain, whose second block tells that the exchange was created."""
    office.chain.__class__ = ToldChain
    assert isinstance(office.chain, ToldChain)
    office.chain.mine()
    office.chain.mine(events=[(EXCHANGE, AdminChanged(bytes([0]) * 20))])
    office.follow()
    return office.chain


@pytest.fixture
def told(office: Office, air: Program, box: Program, chain: ToldChain) -> ToldChain:
    """The chain, having told of two programs, of one's limit, and of terms between them."""
    chain.tell(office)
    events: list[tuple[bytes, Event]] = [
        (EXCHANGE, Admitted(air.deployed_token, CREDIT)),
        (EXCHANGE, Admitted(box.deployed_token, CREDIT)),
        (air.deployed_token, LimitChanged(0, 10**12, 77, 10**12)),
    ]
    for source, destination in ((air, box), (box, air)):
        numbers = (2, 1, 7, agreed.MANAGED_CAP, 0)
        ends = source.deployed_token, destination.deployed_token
        events.append((EXCHANGE, TermsAdopted(*ends, 1, *numbers, 1_800_000_000)))
    chain.mine(events=events)
    office.follow()
    return chain


def rebuilt(
    office: Office, path: Path, words: Mapping[bytes, OwnWords] | None = None, *, journal: bool = False
) -> tuple[Rebuilt, Database]:
    database = SqliteDatabase.in_file(path / "anew.sqlite3")
    made = Rebuild(
        database=database,
        rpc=office.chain,
        keystore=WideKeystore(),
        finality=office.finality,
        clock=lambda: office.ledger.now_ms,
        journal=journal,
        settlement_currency="USD",
    )
    known = {one.token: OwnWords(one.id) for one in office.ledger.ask(programs.all_programs) if one.token is not None}
    return made.run(EXCHANGE, known if words is None else words, progress=lambda _done, _to_do: None), database


def compared(office: Office, database: Database) -> Comparison:
    with office.ledger.database.read() as ours, database.read() as theirs:
        return comparison.compare(ours, theirs)


def test_rebuild__of_all_that_was_posted__equals_the_chain_and_the_ledger_that_posted(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100, "one")
    office.settle()
    office.ledger.redeem(ann, 12, "two")
    quote = office.ledger.quote(ann, office.program("BOX"), 20)
    office.ledger.accept(quote, "three")
    office.settle()
    made, database = rebuilt(office, tmp_path)
    assert made.sound and made.report.differences == 0 and made.breaker is None
    assert made.learnt.ended_ms is None, "the newest blocks are not final: the service goes on where this ended"
    found = compared(office, database)
    assert found.differences == 0, found
    assert (found.operations.both, found.accounts.both, found.terms.both) == (3, 2, 2)
    with database.read() as connection:
        program = programs.by_token(connection, air.deployed_token)
        assert program is not None and program.state == programs.ACTIVE
        assert (program.name, program.symbol, program.id) == (air.name, air.symbol, air.id)
        assert (program.credit_limit_micro, program.standby) == (CREDIT, air.standby)
        assert limits.of_program(connection, program.id)["issuance"] == limits.Bounds(10**12, 77)
        assert connection.scalar(sa.select(sa.func.count()).where(terms.c.reason == agreed.ADOPTED_ELSEWHERE)) == 2
        reasons = set(connection.execute(sa.select(operation.c.reason)).scalars())
        assert reasons == {restored.RESTORED}
        assert connection.scalar(sa.select(sa.func.count()).select_from(block_transaction)) == 0
    database.close()


def test_rebuild__of_what_holders_did__books_it_as_well(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    token = air.deployed_token
    made = Holding(office, air, ann)
    office.ledger.earn(ann, 100)
    office.settle()
    made.release(60)
    office.settle()
    made.acts(token, Redeemed(ADDRESS, 17, 10), (token, ADDRESS, -10))
    managed = account_address(token, ann.reference)
    made.acts(token, Deposited(ann.reference, ADDRESS, 5), (token, ADDRESS, -5), (token, managed, 5))
    office.mine(2)
    found, database = rebuilt(office, tmp_path)
    assert found.sound
    sides = compared(office, database)
    assert sides.differences == 0, sides
    assert sides.operations.both == 5, "bound, earned, released, redeemed, deposited"
    database.close()


def test_rebuild__beside_a_ledger_that_is_wrong__names_what_is_only_in_one(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    tag = office.ledger.operation(office.ledger.earn(ann, 100, "one")).id
    office.ledger.earn(ann, 7, "two")
    office.settle()
    with office.ledger.database.write() as connection:
        connection.execute(operation.update().where(operation.c.id == tag).values(points=101))
        connection.execute(account.update().where(account.c.reference == ann.reference).values(credits_posted=106))
        connection.execute(terms.update().where(terms.c.from_program_id == air.id).values(settlement_price_micro=8))
    made, database = rebuilt(office, tmp_path)
    assert made.sound, "the chain is the truth"
    found = compared(office, database)
    assert [one.points for one in found.operations.only_first] == [101]
    assert [one.points for one in found.operations.only_second] == [100]
    assert found.operations.both == 1
    assert ([one.points for one in found.accounts.only_first], found.accounts.differences) == ([106], 2)
    assert [one.numbers[2] for one in found.terms.only_first] == [8] and found.terms.both == 1
    database.close()


def test_rebuild__without_any_ledger__gives_programs_new_ids_and_says_so(
    office: Office, ann: Member, air: Program, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100, "one")
    office.settle()
    made, database = rebuilt(office, tmp_path, {})
    assert made.sound and made.unknown == ["AIR", "BOX"]
    assert compared(office, database).differences == 0, "what is compared goes by what the chain knows"
    with database.read() as connection:
        program = programs.by_token(connection, air.deployed_token)
    assert program is not None and program.id != air.id
    assert (program.currency, program.earning_rate) == (rebuild.CURRENCY, rebuild.EARNING_RATE)
    database.close()


def test_rebuild__of_a_batch_that_cannot_be_read__is_not_sound(
    office: Office, air: Program, told: ToldChain, tmp_path: Path
) -> None:
    told.state.balances[air.deployed_token, b"\x66" * 20] += 5
    told.mine(events=[(air.deployed_token, Posted(1, bytes(32), 5, 0))])
    office.mine(2)
    made, database = rebuilt(office, tmp_path)
    assert not made.sound and made.breaker is not None and "cannot read" in made.breaker
    assert made.report.differences > 0
    database.close()


def test_rebuild__of_a_program_with_strange_keys__leaves_it_out(
    office: Office, air: Program, told: ToldChain, tmp_path: Path
) -> None:
    told.signers[air.guardian_lane_id] = b"\x99" * 20
    office.mine(2)
    made, database = rebuilt(office, tmp_path)
    assert [(one.symbol, "guardian 0x9999" in one.reason) for one in made.found.left_out] == [("AIR", True)]
    assert not made.sound
    assert [one.symbol for one in made.found.programs] == ["BOX"]
    database.close()


def test_rebuild__where_nothing_stands_or_the_keys_are_others__says_so(
    told: ToldChain, air: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = WideKeystore()

    def find(exchange: bytes, keystore: FakeKeystore = keys, first: int = 0) -> int:
        return find_exchange(
            told, keystore, exchange, first=first, until=told.head_number(), progress=lambda _done, _to_do: None
        ).number

    with pytest.raises(NoExchange, match="no contract"):
        find(b"\x12" * 20)
    with pytest.raises(NoExchange, match="no exchange"):
        find(air.deployed_token)
    assert find(EXCHANGE) == find(EXCHANGE, first=3) == 2, "a wrong hint of where it began does no harm"
    monkeypatch.setattr(WideKeystore, "address", lambda _self, index: (index + 1).to_bytes(20, "big"))
    with pytest.raises(KeysMissing, match="admin"):
        find(EXCHANGE)


def test_rebuild__of_an_embedded_chain__keeps_what_it_is_rebuilt_from(
    office: Office, ann: Member, tmp_path: Path
) -> None:
    office.ledger.earn(ann, 100, "one")
    office.settle()
    _, database = rebuilt(office, tmp_path, journal=True)
    with database.read() as connection, office.ledger.database.read() as ours:
        kept = list(blocks.journal_after(connection, -1))
        final = blocks.newest_final(ours)
        assert final is not None
        assert [(one.number, raw) for one, raw in kept] == [
            (one.number, raw) for one, raw in blocks.journal_after(ours, -1)
        ]
    assert kept[0][0].number == 0
    database.close()


def test_rebuild__from_a_node_that_fails_now_and_then__goes_on(
    office: Office, ann: Member, told: ToldChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 100, "one")
    office.settle()
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    asked, read = 0, told.block

    def flaky(which: BlockId) -> Block | None:
        nonlocal asked
        asked += 1
        if asked % 4 == 0:
            raise ChainUnreachable("The node is away.")
        return read(which)

    monkeypatch.setattr(told, "block", flaky)
    found, database = rebuilt(office, tmp_path)
    assert found.sound and pauses
    database.close()


def test_rebuild__from_a_node_that_stays_away__ends(
    office: Office, told: ToldChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    office.mine(3)
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(told, "logs", _away)
    with pytest.raises(ChainUnreachable):
        rebuilt(office, tmp_path)
    assert len(pauses) == rebuild.FAILURES_MAX


def _away(*_: object) -> list[Log]:
    raise ChainUnreachable("The node is away.")


def test_rebuild__from_a_node_without_old_state__reads_terms_at_its_head(
    office: Office, ann: Member, told: ToldChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.ledger.earn(ann, 100, "one")
    office.settle()
    office.ledger.accept(office.ledger.quote(ann, office.program("BOX"), 20), "three")
    office.settle()
    ask = told.call_many

    def forgetful(calls: Sequence[tuple[bytes, bytes]], block: BlockId = "latest") -> list[bytes]:
        about_terms = any(data[:4] == selector(contracts.TERMS_OF) for _, data in calls)
        if about_terms and block != told.head_number():
            raise RpcRefused(-32602, "BlockOutOfRangeError: block height is 9", method="eth_call")
        return ask(calls, block)

    monkeypatch.setattr(told, "call_many", forgetful)
    found, database = rebuilt(office, tmp_path)
    assert found.sound and compared(office, database).differences == 0
    database.close()
