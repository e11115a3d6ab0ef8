"""Measures what the ledger accepts in a second on SQLite, and on PostgreSQL with 1, 2 and 3 writing processes:
`make bench-ledger`.

Each process keeps so many requests under way; each request is a command of its own, and counts when it is answered.
Both databases sync to the disk at each commit. Prints the ratio to SQLite.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from bridge.store import earns, redemptions
from bridge.store.backends import open_database
from bridge.store.earns import EarnRequest
from bridge.store.redemptions import RedemptionRequest
from bridge.store.writer import LedgerWriter
from tests.bridge.store.databases import fill
from tests.bridge.store.ledgers import NOW_MS, Ledger
from tests.postgres import running

UNDER_WAY = 64
MEMBERS = 200
SECONDS = 5.0
ROOT = Path(__file__).parents[3]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.work:
        _work(asked.work[0], asked.work[1], asked.seconds)
        return
    found = {"sqlite, 1 writer": _on_sqlite(asked.seconds)}
    with running(durable=True) as server:
        for writers in (1, 2, 3):
            url = server.address.make()
            found[f"postgresql, {writers} writers"] = _measure(url, writers, asked.seconds)
    if asked.json:
        print(json.dumps(found))  # noqa: T201
        return
    base = found["sqlite, 1 writer"]
    for name, accepted in found.items():
        print(f"{name:24} {accepted:8,} a second   {accepted * 100 // base:4} %")  # noqa: T201


def _on_sqlite(seconds: float) -> int:
    with tempfile.TemporaryDirectory() as directory:
        return _measure(f"sqlite:///{directory}/ledger.sqlite3", 1, seconds)


def _measure(url: str, writers: int, seconds: float) -> int:
    with closing(open_database(url)) as database:
        database.migrate()
        ledger = Ledger(database)
        fill(ledger)
        air = ledger.named("AIR")
        for number in range(MEMBERS):
            ledger.earn(ledger.member(air, f"member{number}"), 10**9)
    command = [sys.executable, "-m", "tests.bridge.store.bench", "--seconds", str(seconds), "--work", url]
    started = [
        subprocess.Popen([*command, f"writer{n}"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(writers)
    ]
    for one in started:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    return sum(int(float(one.communicate()[0])) for one in started)


def _work(url: str, name: str, seconds: float) -> None:
    """One process: half of its requests are earns, half redemptions."""
    with closing(open_database(url)) as database:
        program = Ledger(database).named("AIR").id
        writer = LedgerWriter(database)
        writer.start()
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        began, done, number = time.monotonic(), 0, 0
        under_way: deque[Future[object]] = deque()
        while time.monotonic() - began < seconds:
            while len(under_way) < UNDER_WAY:
                number += 1
                under_way.append(writer.submit(partial(_request, program, f"{name}-{number}", number)))
            under_way.popleft().result()
            done += 1
        took = time.monotonic() - began
        writer.stop()
    print(done / took)  # noqa: T201


def _request(program: str, key: str, number: int, connection: sa.Connection) -> object:
    member = f"member{number * 7919 % MEMBERS}"
    if number % 2:
        return earns.accept(connection, program, [EarnRequest(key, None, member, None, 5, None)], NOW_MS)
    return redemptions.accept(connection, program, RedemptionRequest(key, None, member, 1), NOW_MS)


if __name__ == "__main__":
    main()
