"""Races on one ledger of several processes: nobody spends what is not there, and no key is served twice."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from bridge.store import earns, redemptions, spending
from bridge.store.members import Member
from bridge.store.postgres import PostgresDatabase
from bridge.store.redemptions import RedemptionRequest
from bridge.store.schema import account, entry, lot, operation
from bridge.store.writer import LedgerWriter
from exchange.errors import InsufficientPoints
from tests.bridge.store.databases import PostgresTemplate
from tests.bridge.store.ledgers import NOW_MS, Ledger, earn_of

pytestmark = pytest.mark.postgres
CLIENTS, WRITERS, POINTS = 50, 3, 20
WAIT_S = 60.0
ROOT = Path(__file__).parents[3]

#: A process of its own that redeems single points until it is refused; tells how many it got.
REDEEMING_PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from tests.bridge.store.test_races import WAIT_S, redeeming
from bridge.store.backends import open_database
from bridge.store.writer import LedgerWriter
url, program_id, member_id, name, clients = sys.argv[1:]
database = open_database(url)
writer = LedgerWriter(database)
writer.start()
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(int(clients)) as pool:
    asked = [pool.submit(partial(redeeming, writer, program_id, member_id, f"{name}-{n}")) for n in range(int(clients))]
print(sum(one.result(WAIT_S) is not None for one in asked))
writer.stop()
database.close()
"""


@pytest.fixture
def url(postgres_template: PostgresTemplate) -> str:
    postgres_template.copy()
    return postgres_template.url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(PostgresDatabase(url)) as database:
        yield Ledger(database)


@pytest.fixture
def ann(ledger: Ledger) -> Member:
    """A member of AIR with so many points."""
    made = ledger.member(ledger.named("AIR"), "ann")
    ledger.earn(made, POINTS)
    return made


@pytest.fixture
def writers(url: str) -> Iterator[list[LedgerWriter]]:
    """As many processes as there are, but for their processes: each has connections and a writer of its own."""
    databases = [PostgresDatabase(url) for _ in range(WRITERS)]
    made = [LedgerWriter(one) for one in databases]
    for writer in made:
        writer.start()
    yield made
    for writer, database in zip(made, databases, strict=True):
        writer.stop()
        database.close()


def redeeming(writer: LedgerWriter, program_id: str, member_id: str, key: str, points: int = 1) -> str | None:
    """Redeem, and answer the operation; None where there were not enough points."""
    request = RedemptionRequest(key, member_id, None, points)
    try:
        return writer.run(lambda connection: redemptions.accept(connection, program_id, request, NOW_MS))[0]
    except InsufficientPoints:
        return None


def require_sound(ledger: Ledger, who: Member, redeemed: int) -> None:
    """Lots, entries, counters and what can be spent all say the same."""
    with ledger.database.read() as connection:
        taken = connection.scalar(sa.select(sa.func.sum(entry.c.amount)).where(entry.c.credit.is_(False)))
        accepted = connection.scalar(sa.select(sa.func.count()).where(operation.c.kind == "redemption"))
        row = connection.execute(sa.select(account).where(account.c.member_id == who.id)).one()
        remaining = connection.scalar(sa.select(sa.func.sum(lot.c.remaining)).where(lot.c.account_id == row.id))
        purse = spending.purse(connection, who.id, NOW_MS)
    assert (taken, accepted, row.debits_pending, remaining) == (redeemed, redeemed, redeemed, POINTS - redeemed)
    assert purse.spendable == POINTS - redeemed


def test_redemptions__of_one_member_by_many_clients_of_several_processes__take_what_there_is_and_no_more(
    ledger: Ledger, ann: Member, writers: list[LedgerWriter]
) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [
            clients.submit(partial(redeeming, writers[n % WRITERS], ann.program_id, ann.id, f"redeem-{n}"))
            for n in range(CLIENTS)
        ]
    answers = [one.result(WAIT_S) for one in asked]
    got = [one for one in answers if one is not None]
    assert len(got) == len(set(got)) == POINTS
    require_sound(ledger, ann, POINTS)


def test_redemption__under_one_key_by_many_clients_of_several_processes__is_one(
    ledger: Ledger, ann: Member, writers: list[LedgerWriter]
) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        asked = [
            clients.submit(partial(redeeming, writers[n % WRITERS], ann.program_id, ann.id, "the same"))
            for n in range(CLIENTS)
        ]
    assert len({one.result(WAIT_S) for one in asked} - {None}) == 1
    require_sound(ledger, ann, 1)


def test_earn__under_one_key_by_many_clients_of_several_processes__is_one(
    ledger: Ledger, ann: Member, writers: list[LedgerWriter]
) -> None:
    def earn(connection: sa.Connection, given: object) -> list[earns.EarnAnswer]:
        assert given is not None
        return earns.accept(connection, ann.program_id, [earn_of(ann, 7, "the same")], NOW_MS)

    asked = [writers[n % WRITERS].submit(partial(earn, given=n)) for n in range(CLIENTS)]
    answers = [one.result(WAIT_S)[0] for one in asked]
    assert len({one.operation_id for one in answers}) == 1
    assert [one.replayed for one in answers].count(False) == 1
    with ledger.database.read() as connection:
        assert spending.purse(connection, ann.id, NOW_MS).spendable == POINTS + 7


def test_redemptions__by_clients_of_separate_processes__take_what_there_is_and_no_more(
    ledger: Ledger, ann: Member, url: str
) -> None:
    each = -(-CLIENTS // WRITERS)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", REDEEMING_PROCESS, url, ann.program_id, ann.id, f"process-{n}", str(each)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(WRITERS)
    ]
    for one in started:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [one.communicate(timeout=WAIT_S)[0] for one in started]
    assert [one.returncode for one in started] == [0] * WRITERS
    assert sum(int(one) for one in told) == POINTS
    require_sound(ledger, ann, POINTS)
