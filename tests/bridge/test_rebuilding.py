"""The embedded chain out of a ledger's journal, on a real anvil; and what keeps it from being made anew."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge import rebuilding
from bridge.backups import FileExists, NoLedger
from bridge.bootstrap import DataInUse, take_data
from bridge.chain.errors import ChainCannotRestore
from bridge.chain.rpc import Rpc
from bridge.posting.rebuild_found import NoExchange
from bridge.rebuilding import ChainAhead, NotEmbedded, RebuiltChain, rebuild_chain, rebuild_ledger
from bridge.settings import LEDGER_FILE, Settings
from bridge.store import blocks
from bridge.store.blocks import KnownBlock
from bridge.store.schema import block_transaction
from tests.bridge.chain.helpers import ANYBODY, MemoryJournal, Sender, chain_in
from tests.bridge.store.ledgers import Ledger

NOW_MS = 1_800_000_000_000
BLOCKS = 4


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    made = Ledger.in_file(settings.data / LEDGER_FILE)
    yield made
    made.close()


def grow(settings: Settings, ledger: Ledger, journaled: int = BLOCKS) -> MemoryJournal:
    """A chain of some blocks, of which the ledger keeps the first."""
    journal = MemoryJournal()
    chain = chain_in(settings.data / "chain", journal)
    chain.start()
    with closing(Rpc(chain.url)) as rpc:
        for _ in range(BLOCKS):
            Sender(rpc).send(ANYBODY)
        journal.read(rpc)
    chain.stop()
    parent = bytes(32)
    for one in journal.blocks[: journaled + 1]:
        known = KnownBlock(one.number, one.hash, parent, one.timestamp, True)
        ledger.do(blocks.add, known, one.raw_transactions)
        parent = one.hash
    return journal


def rebuilt(settings: Settings, *, force: bool = False) -> tuple[RebuiltChain, list[tuple[int, int]]]:
    told: list[tuple[int, int]] = []
    found = rebuild_chain(settings, lambda *part: told.append(part), force=force, clock=lambda: NOW_MS)
    return found, told


def snapshots(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.glob("snapshot-*"))


def test_rebuild_chain__of_every_kept_block__gives_the_same_hashes_and_keeps_the_old_files(
    settings: Settings, ledger: Ledger
) -> None:
    journal = grow(settings, ledger)
    before, port = snapshots(settings.data / "chain"), (settings.data / "chain" / "port").read_text()
    found, told = rebuilt(settings)
    assert (found.blocks, found.head_number, found.head_hash) == (BLOCKS + 1, BLOCKS, journal.blocks[-1].hash)
    assert told == [(done, BLOCKS) for done in range(1, BLOCKS + 1)]
    assert found.kept is not None and snapshots(found.kept) == before
    assert (settings.data / "chain" / "port").read_text() == port
    assert snapshots(settings.data / "chain")[0].startswith("snapshot-000000000004-")


def test_rebuild_chain__from_a_journal_that_does_not_give_the_same_block__changes_nothing(
    settings: Settings, ledger: Ledger
) -> None:
    grow(settings, ledger)
    before = snapshots(settings.data / "chain")
    with ledger.database.write() as connection:
        connection.execute(block_transaction.delete().where(block_transaction.c.block_number == 3))
    with pytest.raises(ChainCannotRestore) as failure:
        rebuilt(settings)
    assert failure.value.number == 3
    assert snapshots(settings.data / "chain") == before
    assert sorted(one.name for one in settings.data.iterdir() if one.is_dir()) == ["chain"]


def test_rebuild_chain__of_a_chain_that_has_more_than_the_ledger__is_refused_unless_forced(
    settings: Settings, ledger: Ledger
) -> None:
    grow(settings, ledger, journaled=2)
    with pytest.raises(ChainAhead, match=r"up to block 4.*only to 2"):
        rebuilt(settings)
    assert rebuilt(settings, force=True)[0].head_number == 2


def test_rebuild_chain__where_there_is_nothing_to_rebuild__says_so(settings: Settings) -> None:
    with pytest.raises(NoLedger, match="no ledger"):
        rebuilt(settings)
    ledger = Ledger.in_file(settings.data / LEDGER_FILE)
    with pytest.raises(NoLedger, match="no block"):
        rebuilt(settings)
    ledger.close()
    with closing(take_data(settings.data)), pytest.raises(DataInUse):
        rebuilt(settings)
    with pytest.raises(NotEmbedded):
        rebuilt(settings.model_copy(update={"rpc_url": "http://127.0.0.1:1"}))


def test_rebuild_ledger__without_a_chain_or_over_a_file__is_refused(settings: Settings, tmp_path: Path) -> None:
    def nothing(_done: int, _to_do: int) -> None:
        pass

    with pytest.raises(NoExchange, match="no chain"):
        rebuild_ledger(settings, nothing)
    assert not (settings.data / rebuilding.REBUILT_FILE).exists()
    taken = tmp_path / "taken"
    taken.touch()
    with pytest.raises(FileExists):
        rebuild_ledger(settings, nothing, into=taken)
