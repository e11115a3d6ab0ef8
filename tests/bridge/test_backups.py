"""Backups of a ledger that is written meanwhile, and what becomes of a ledger that is put back."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bridge import backups
from bridge.backups import FileExists, NoLedger, back_up, manifest_of, restore
from bridge.bootstrap import DataInUse, take_data
from bridge.chain.errors import WrongChain
from bridge.chain.genesis import FLAGS, Genesis
from bridge.settings import LEDGER_FILE, Settings
from bridge.store import blocks, chainstate, copies
from bridge.store.blocks import KnownBlock
from bridge.store.copies import CopyFailed, CopyUnfit
from tests.bridge.store.ledgers import Ledger, hash_of

NOW_MS = 1_800_000_000_000
NUMBER = "member-9173"
#: Where no node answers.
NOWHERE = "http://127.0.0.1:1"


def clock() -> int:
    return NOW_MS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(data: Path) -> Settings:
    return Settings(data=data, rpc_url=NOWHERE)


@pytest.fixture
def embedded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A service with a chain of its own, which is not started."""
    monkeypatch.setattr(backups, "_keep_chain", lambda *_: None)
    return settings.model_copy(update={"rpc_url": None})


@pytest.fixture
def ledger(data: Path) -> Iterator[Ledger]:
    made = Ledger.in_file(data / LEDGER_FILE)
    made.bind()
    made.program("AIR")
    yield made
    made.close()


def count(file: Path) -> int:
    return copies.examine(file).operations


def grow(ledger: Ledger, number: str, earns: int = 3) -> None:
    who = ledger.member(ledger.named("AIR"), number)
    for _ in range(earns):
        ledger.earn(who, 5)


@contextmanager
def written_meanwhile(ledger: Ledger) -> Iterator[None]:
    """Somebody earns as fast as they can while the block runs, and has begun before it."""
    who, stop, begun = ledger.member(ledger.named("AIR"), "busy"), threading.Event(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            ledger.earn(who, 1)
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(20)
    try:
        yield
    finally:
        stop.set()
        thread.join()


# -- backing up -------------------------------------------------------------------------------


def test_back_up__while_the_ledger_is_written__is_whole_and_told_of(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.sqlite3"
    with written_meanwhile(ledger):
        made = back_up(settings, copy, clock=clock)
    assert 0 < made.operations <= count(settings.data / LEDGER_FILE)
    assert count(copy) == made.operations
    told = json.loads(manifest_of(copy).read_text())
    assert told["sha256"] == made.sha256 and told["bytes"] == copy.stat().st_size
    assert (told["made_at"], told["chain_id"], told["final_number"]) == ("2027-01-15T08:00:00Z", 31337, 0)
    assert copy.stat().st_mode & 0o077 == 0, "it is only its owner's"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy.sqlite3", "copy.sqlite3.json", "data"]
    with closing(sqlite3.connect(copy)) as connection:
        points, posted = connection.execute(
            "SELECT (SELECT SUM(points) FROM operation),"
            " (SELECT SUM(credits_pending) FROM account WHERE kind = 'member')"
        ).fetchone()
    assert points == posted, "one moment of the ledger, and no mixture"


def test_back_up__over_a_file__overwrites_it_only_when_told(settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    back_up(settings, copy, clock=clock)
    before = copy.read_bytes()
    grow(ledger, "ann")
    with pytest.raises(FileExists, match=r"copy\.sqlite3"):
        back_up(settings, copy, clock=clock)
    assert copy.read_bytes() == before
    assert back_up(settings, copy, force=True, clock=clock).operations == 3
    assert count(copy) == 3
    with pytest.raises(FileExists):
        back_up(settings, settings.data / LEDGER_FILE, force=True, clock=clock)


@pytest.mark.usefixtures("ledger")
def test_back_up__when_another_took_the_name_meanwhile__leaves_theirs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, examine = tmp_path / "copy.sqlite3", copies.examine

    def taken(file: Path) -> copies.Contents:
        copy.write_text("theirs")
        return examine(file)

    monkeypatch.setattr(copies, "examine", taken)
    with pytest.raises(FileExists):
        back_up(settings, copy, clock=clock)
    assert copy.read_text() == "theirs"


def test_back_up__of_no_ledger_or_a_broken_one__says_so_and_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    with pytest.raises(NoLedger):
        back_up(settings, copy, clock=clock)
    settings.data.mkdir()
    (settings.data / LEDGER_FILE).write_bytes(b"this is no database, however long it is" * 100)
    with pytest.raises(CopyFailed):
        back_up(settings, copy, clock=clock)
    with pytest.raises(CopyFailed):
        back_up(settings, tmp_path / "nowhere" / "copy.sqlite3", clock=clock)
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


@pytest.mark.usefixtures("ledger")
def test_back_up__when_the_disk_is_full__fails_and_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = copies._open

    @contextmanager
    def small(file: Path, mode: str) -> Iterator[sqlite3.Connection]:
        with opened(file, mode) as connection:
            if file.parent == tmp_path:
                connection.execute("PRAGMA max_page_count = 3")
            yield connection

    monkeypatch.setattr(copies, "_open", small)
    with pytest.raises(CopyFailed, match="full"):
        back_up(settings, tmp_path / "copy.sqlite3", clock=clock)
    assert [one.name for one in tmp_path.iterdir()] == ["data"]


# -- restoring --------------------------------------------------------------------------------


@pytest.fixture
def copy(settings: Settings, ledger: Ledger, tmp_path: Path) -> Path:
    """A copy with three operations; the ledger has five more, and is closed."""
    grow(ledger, NUMBER)
    file = tmp_path / "copy.sqlite3"
    back_up(settings, file, clock=clock)
    grow(ledger, "ben", 5)
    ledger.close()
    return file


def test_restore__of_a_copy__keeps_the_ledger_aside_and_lets_the_copy_recover(settings: Settings, copy: Path) -> None:
    found = restore(settings, copy, clock=clock)
    assert found.kept is not None and count(found.kept) == 8
    assert found.kept_contents is not None and found.kept_contents.operations == 8
    assert (found.contents.operations, found.chain_checked, found.chain_number) == (3, False, None)
    again = Ledger.in_file(settings.data / LEDGER_FILE)
    under_way = again.ask(chainstate.recovery)
    assert under_way is not None and under_way.until_block is None
    assert under_way.reason == "restored from copy.sqlite3, which was made at 2027-01-15T08:00:00Z"
    again.close()
    assert count(copy) == 3, "the copy itself stays as it was"
    assert restore(settings, copy, clock=clock).kept != found.kept


def test_restore__of_what_stands_only_in_the_log_beside_the_ledger__keeps_that_too(
    settings: Settings, copy: Path
) -> None:
    """As after kill -9: the newest commits are in the write-ahead log, and nobody brought them into the file."""
    ledger = settings.data / LEDGER_FILE
    with closing(sqlite3.connect(ledger)) as held:
        held.execute("PRAGMA wal_autocheckpoint = 0")
        held.execute("INSERT INTO link (id, created_ms) VALUES ('lnk_last', 1)")
        held.commit()
        lying = {one.name: one.read_bytes() for one in settings.data.iterdir() if one.name.startswith(LEDGER_FILE)}
    for name, content in lying.items():
        (settings.data / name).write_bytes(content)
    assert len(lying[f"{LEDGER_FILE}-wal"]) > 0
    found = restore(settings, copy, clock=clock)
    assert found.kept is not None
    for file, links in ((found.kept, 1), (ledger, 0)):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT COUNT(*) FROM link").fetchone() == (links,)


def test_restore__over_a_damaged_ledger__keeps_it_with_all_that_stands_beside_it(
    settings: Settings, copy: Path
) -> None:
    ledger = settings.data / LEDGER_FILE
    ledger.write_bytes(b"what the disk left of it" * 1000)
    wal = ledger.with_name(ledger.name + "-wal")
    wal.write_bytes(b"and of its log")
    found = restore(settings, copy, clock=clock)
    assert found.kept is not None and found.kept_contents is None
    assert found.kept.read_bytes().startswith(b"what the disk left")
    assert found.kept.with_name(found.kept.name + "-wal").read_bytes() == b"and of its log"
    assert not wal.exists() and count(ledger) == 3


def test_restore__into_an_empty_directory__needs_nothing_else(settings: Settings, copy: Path, tmp_path: Path) -> None:
    elsewhere = settings.model_copy(update={"data": tmp_path / "elsewhere"})
    found = restore(elsewhere, copy, clock=clock)
    assert found.kept is None and count(elsewhere.data / LEDGER_FILE) == 3


def test_restore__while_the_service_runs__is_refused(settings: Settings, copy: Path) -> None:
    with closing(take_data(settings.data)), pytest.raises(DataInUse):
        restore(settings, copy, clock=clock)
    assert count(settings.data / LEDGER_FILE) == 8


def test_restore__of_what_is_no_sound_copy__is_refused_and_changes_nothing(settings: Settings, copy: Path) -> None:
    content = copy.read_bytes()

    def refuse(match: str) -> None:
        with pytest.raises(CopyUnfit, match=match):
            restore(settings, copy, clock=clock)
        assert count(settings.data / LEDGER_FILE) == 8
        assert not [one for one in settings.data.iterdir() if "before" in one.name or one.name.startswith(".")]

    copy.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refuse("SHA-256")
    manifest_of(copy).unlink()
    copy.write_bytes(content[: len(content) // 2])
    refuse("damaged|malformed")
    assert content.count(NUMBER.encode()) == 2, "in its table and in an index"
    copy.write_bytes(content.replace(NUMBER.encode(), NUMBER[::-1].encode(), 1))
    refuse(r"copy\.sqlite3 is damaged: .*index")
    copy.write_bytes(b"no ledger")
    refuse("no copy of a ledger")
    copy.write_bytes(content)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    refuse("9999.*newer")
    manifest_of(copy).write_text("{}")
    refuse("no manifest")
    copy.unlink()
    with pytest.raises(NoLedger):
        restore(settings, copy, clock=clock)
    with pytest.raises(CopyUnfit, match="itself"):
        restore(settings, settings.data / LEDGER_FILE, clock=clock)


def test_restore__of_another_chains_ledger__is_refused(embedded: Settings, copy: Path) -> None:
    directory = embedded.data / "chain"
    directory.mkdir()
    Genesis(1, FLAGS, "anvil", f"0x{hash_of(0).hex()}").write(directory / "genesis.json")
    assert restore(embedded, copy, clock=clock).chain_checked
    Genesis(1, FLAGS, "anvil", f"0x{hash_of(1).hex()}").write(directory / "genesis.json")
    with pytest.raises(WrongChain, match="genesis"):
        restore(embedded, copy, clock=clock)


def test_restore__of_a_copy_from_before_the_chain_was_begun_anew__is_refused(
    embedded: Settings, copy: Path, tmp_path: Path
) -> None:
    again = Ledger.in_file(embedded.data / LEDGER_FILE)
    again.do(blocks.add, KnownBlock(1, hash_of(1), hash_of(0), 2, True), [])
    again.close()
    newer = tmp_path / "newer.sqlite3"
    back_up(embedded, newer, clock=clock)
    with closing(sqlite3.connect(embedded.data / LEDGER_FILE)) as connection:
        connection.execute("UPDATE block SET hash = ? WHERE number = 1", (hash_of(7),))
        connection.commit()
    with pytest.raises(CopyUnfit, match="another block 1"):
        restore(embedded, newer, clock=clock)
    restore(embedded, copy, clock=clock)  # it goes back to where both were the same


def test_restore__of_a_copy_made_during_a_recovery__recovers_up_to_the_head_of_the_next_start(
    settings: Settings, copy: Path, tmp_path: Path
) -> None:
    restore(settings, copy, clock=clock)
    again = Ledger.in_file(settings.data / LEDGER_FILE)
    again.do(chainstate.recover_until, 5)
    again.close()
    second = tmp_path / "second.sqlite3"
    back_up(settings, second, clock=clock)
    restore(settings, second, clock=lambda: NOW_MS + 60_000)
    again = Ledger.in_file(settings.data / LEDGER_FILE)
    under_way = again.ask(chainstate.recovery)
    again.close()
    assert under_way is not None
    assert (under_way.until_block, under_way.since_ms) == (None, NOW_MS + 60_000)


def test_restore__when_it_breaks_off_at_any_step__leaves_the_ledger_where_it_was(
    settings: Settings, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, replace = settings.data / LEDGER_FILE, Path.replace

    def broken(self: Path, target: Path) -> Path:
        if target == ledger:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        restore(settings, copy, clock=clock)
    monkeypatch.undo()
    assert count(ledger) == 8, "whoever starts the service now must not begin an empty ledger"
    restore(settings, copy, clock=clock)
    assert count(ledger) == 3
