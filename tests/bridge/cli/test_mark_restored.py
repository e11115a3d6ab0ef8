"""Commands on a ledger in PostgreSQL: `doctor`, `mark-restored`, and those that only know files."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from bridge.store import chainstate
from bridge.store.postgres import PostgresDatabase
from tests.bridge.cli.conftest import Sarraf
from tests.postgres import Address

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres_server: Address, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    made = postgres_server.make()
    monkeypatch.setenv("SARRAF_DATABASE_URL", made)
    yield made
    postgres_server.drop(made)


def found(sarraf: Sarraf) -> dict[str, object]:
    told = next(one for one in sarraf("doctor", "--json").json if one["name"] == "ledger")
    assert isinstance(told, dict)
    return told


def test_doctor__of_a_server__says_its_version_its_schema_and_what_endangers_commits(sarraf: Sarraf, url: str) -> None:
    told = found(sarraf)
    assert not told["ok"] and "fsync is 'off'" in str(told["detail"]), "the tests' own server gives up durability"
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("ALTER DATABASE " + url.rpartition("/")[2] + " SET synchronous_commit = off")
    assert "synchronous_commit is 'off'" in str(found(sarraf)["detail"])


def test_doctor__of_a_server_that_is_away__says_so_without_its_password(
    sarraf: Sarraf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SARRAF_DATABASE_URL", "postgresql://ann:hunter2@127.0.0.1:1/ledger")
    told = found(sarraf)
    assert not told["ok"] and "cannot be reached" in str(told["detail"])
    assert "hunter2" not in sarraf("doctor").out + sarraf("config", "show").out


def test_mark_restored__of_a_server__begins_a_recovery(sarraf: Sarraf, url: str) -> None:
    result = sarraf("mark-restored", "--reason", "the copy of Monday")
    assert result.code == 0, result.err
    with closing(PostgresDatabase(url)) as database, database.read() as connection:
        under_way = chainstate.recovery(connection)
    assert under_way is not None
    assert (under_way.marked, under_way.reason) == (True, "the copy of Monday")


def test_mark_restored__of_a_file__is_refused(sarraf: Sarraf) -> None:
    result = sarraf("mark-restored")
    assert result.code == 1 and "sarraf restore FILE" in result.err


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_copying__of_a_server_as_a_file__is_refused_with_what_to_do(
    sarraf: Sarraf, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SARRAF_DATABASE_URL", "postgresql://ann:hunter2@127.0.0.1:1/ledger")
    result = sarraf(command, str(tmp_path / "copy"))
    assert result.code == 1
    assert "pg_dump" in result.err and "sarraf mark-restored" in result.err and "[on-server]" in result.err
