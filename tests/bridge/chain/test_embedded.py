import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.chain import anvil as anvil_module
from bridge.chain import embedded
from bridge.chain.contracts import NOBODY, Bounds, TokenSetup, encode_post, token_init_code
from bridge.chain.embedded import ChainState, EmbeddedChain
from bridge.chain.errors import ChainCannotRestore, ChainCannotStart, ChainChanged, ChainInUse
from bridge.chain.rpc import Rpc
from bridge.chain.snapshots import SnapshotStore
from exchange.points import Points
from exchange.words import EntryKind, EntryWord

from .helpers import (
    ANYBODY,
    WAIT_S,
    MemoryJournal,
    Sender,
    TickingClock,
    chain_in,
    existing,
    mined,
    wait_until,
)

FOREVER = 2**64 - 1

Open = Callable[[EmbeddedChain], Rpc]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "chain"
    anvil_module.end_stale_anvil(tmp_path / "chain")


@pytest.fixture
def started() -> Iterator[Open]:
    """Starts chains and gives their RPC; stops them all at the end."""
    chains: list[EmbeddedChain] = []
    rpcs: list[Rpc] = []

    def start(chain: EmbeddedChain) -> Rpc:
        chains.append(chain)
        chain.start()
        rpcs.append(Rpc(chain.url))
        return rpcs[-1]

    yield start
    for rpc in rpcs:
        rpc.close()
    for chain in chains:
        chain.stop()


def grow(rpc: Rpc, blocks: int) -> None:
    for _ in range(blocks):
        Sender(rpc).send(ANYBODY)


def kill(chain: EmbeddedChain) -> None:
    """Kills the chain's process and returns when it is back, or given up."""
    pid = chain.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def is_settled() -> bool:
        return chain.state is ChainState.FAILED or (chain.is_running and chain.pid not in (None, pid))

    wait_until(is_settled)


def hashes(rpc: Rpc) -> list[bytes]:
    return [existing(rpc.block(number)).hash for number in range(rpc.head_number() + 1)]


def token(owner: bytes) -> bytes:
    wide = Bounds(1_000_000, 0)
    return token_init_code(TokenSetup("Points", "PTS", owner, NOBODY, owner, owner, owner, False, 0, wide, wide, wide))


def earns(seed: int) -> bytes:
    """A batch of 100 earns of new accounts."""
    references = [seed.to_bytes(10, "big") + number.to_bytes(10, "big") for number in range(100)]
    return b"".join(EntryWord(each, EntryKind.EARN, Points(5), b"tag45").pack() for each in references)


def snapshots(directory: Path) -> list[Path]:
    return list(directory.glob("snapshot-*.json.gz"))


def test_chain__started_anew__begins_now_and_serves(directory: Path, started: Open) -> None:
    clock = TickingClock()
    chain = chain_in(directory, MemoryJournal(), clock)
    rpc = started(chain)
    assert chain.state is ChainState.RUNNING
    assert rpc.chain_id() == chain.chain_id == 31337
    assert existing(rpc.block(0)).timestamp == clock.now
    assert chain.url.startswith("http://127.0.0.1:")


def test_chain__with_nothing_to_mine__makes_no_block(directory: Path, started: Open) -> None:
    rpc = started(chain_in(directory, MemoryJournal()))
    raw, transaction_hash = Sender(rpc).signed(ANYBODY)
    rpc.send_raw(raw)
    mined(rpc, transaction_hash)
    before = rpc.head_number()
    waiting = Sender(rpc)
    waiting.nonce += 1  # a gap: this transaction cannot be mined, so it is no reason for a block
    rpc.send_raw(waiting.signed(ANYBODY)[0])
    wait_until(lambda: rpc.request("txpool_status")["queued"] == "0x1")
    assert rpc.head_number() == before == 1


def test_wiped_chain__started_again__has_the_same_hashes(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 3)
    raws = [Sender(rpc, index).signed(ANYBODY)[0] for index in (1, 2, 3)]
    for raw in raws:
        rpc.send_raw(raw)
    wait_until(lambda: rpc.request("txpool_status")["pending"] == "0x0")
    journal.read(rpc)
    before = hashes(rpc)
    chain.stop()
    for path in directory.iterdir():
        path.unlink()

    told: list[tuple[int, int]] = []
    again = EmbeddedChain(directory, journal, clock=TickingClock(5), progress=lambda *each: told.append(each))
    assert hashes(started(again)) == before
    assert told == [(number, len(before) - 1) for number in range(1, len(before))]


def test_rebuilt_chain__goes_on__as_the_old_one_would_have(directory: Path, tmp_path: Path, started: Open) -> None:
    journal = MemoryJournal()
    rpc = started(chain_in(directory, journal))
    grow(rpc, 5)
    whole = list(journal.read(rpc))
    journal.blocks = whole[:3]

    beside = MemoryJournal()
    beside.blocks = whole[:3]
    other = chain_in(tmp_path / "other", beside)
    rpc_beside = started(other)
    assert rpc_beside.head_number() == 2
    other.stop()
    beside.blocks = whole  # now it loads its snapshot at block 2, and replays the others on top
    started(other)
    assert hashes(rpc_beside) == [block.hash for block in whole]


def test_chain_of_real_batches__rebuilt_from_any_point__has_the_same_hashes(
    directory: Path, tmp_path: Path, started: Open
) -> None:
    """Full batches move the base fee, and several senders share a block: all that must come out again."""
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    issuers = [Sender(rpc, index) for index in (3, 1, 2)]
    tokens = [issuer.send(None, token(issuer.address), 6_000_000).contract_address for issuer in issuers]
    for sequence in range(1, 5):
        sent = [
            issuer.signed(address, encode_post(sequence, FOREVER, earns(sequence)), 4_000_000)
            for issuer, address in zip(issuers, tokens, strict=True)
        ]
        for raw, _ in sent:
            rpc.send_raw(raw)
        assert [mined(rpc, transaction_hash).status for _, transaction_hash in sent] == [1, 1, 1]
    whole = list(journal.read(rpc))
    assert len({existing(rpc.block(block.number)).base_fee for block in whole}) > len(whole) // 2

    for known in (0, len(whole) // 2, len(whole) - 1):
        part = MemoryJournal()
        part.blocks = whole[:known]
        other = chain_in(tmp_path / str(known), part, TickingClock(whole[0].timestamp - 1))
        started(other)
        other.stop()
        part.blocks = whole
        assert hashes(started(other)) == [block.hash for block in whole]
        other.stop()


def test_chain__stopped_while_it_is_rebuilt__says_so_and_starts_later(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    first = chain_in(directory, journal)
    rpc = started(first)
    grow(rpc, 3)
    journal.read(rpc)
    first.stop()
    for snapshot in snapshots(directory):
        snapshot.unlink()

    def stop_soon(_done: int, _to_do: int) -> None:
        again._stopping.set()

    again = EmbeddedChain(directory, journal, clock=TickingClock(), progress=stop_soon)
    with pytest.raises(ChainCannotStart, match="stopped"):
        again.start()
    assert again.pid is None
    assert hashes(started(first)) == [block.hash for block in journal.blocks]


def test_killed_chain__comes_back__with_every_journaled_block(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    before, url = hashes(rpc), chain.url
    kill(chain)
    assert chain.is_running
    assert chain.url == url
    assert hashes(rpc) == before
    grow(rpc, 1)
    assert rpc.head_number() == 3


def test_killed_chain__while_it_is_rebuilt__is_not_seen_half_done(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    seen: list[int] = []
    chain = EmbeddedChain(
        directory,
        journal,
        block_interval_ms=0,
        clock=TickingClock(),
        progress=lambda done, _to_do: seen.append(int(not anvil_module.port_is_free(port)) + 10 * done),
    )
    rpc = started(chain)
    port = int(chain.url.rpartition(":")[2])
    grow(rpc, 3)
    journal.read(rpc)
    kill(chain)
    assert seen == [10, 20, 30]  # nobody listened on the chain's port meanwhile


def test_chain__killed_again_and_again__gives_up(
    directory: Path, started: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "RESTARTS_MAX", 1)
    chain = chain_in(directory, MemoryJournal())
    started(chain)
    kills = 0
    while chain.state is not ChainState.FAILED:
        kill(chain)
        kills += 1
    assert kills <= 2  # less where it needed a second start on its own
    assert chain.failure is not None
    assert not chain.is_running


def test_stopped_chain__started_again__loads_its_snapshot_on_the_same_port(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    before, url = hashes(rpc), chain.url
    chain.stop()
    assert chain.pid is None
    assert [path.name[:21] for path in snapshots(directory)] == ["snapshot-000000000002"]

    again = chain_in(directory, journal)  # the journal is behind the chain: empty
    assert hashes(started(again)) == before
    assert again.url == url


@pytest.mark.parametrize("damage", ["torn", "garbage"])
def test_unreadable_snapshot__at_start__is_moved_aside(directory: Path, started: Open, damage: str) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    before = hashes(rpc)
    chain.stop()
    (snapshot,) = snapshots(directory)
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[: len(content) // 2] if damage == "torn" else b"x" * len(content))

    assert hashes(started(chain)) == before
    assert snapshot.with_name(snapshot.name + ".unreadable").exists()


def test_snapshot_that_anvil_does_not_load__at_start__is_moved_aside(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    before = hashes(rpc)
    chain.stop()
    (snapshot,) = snapshots(directory)
    snapshot.unlink()
    SnapshotStore(directory).save(2, gzip.compress(b'{"not": "a chain"}'))

    assert hashes(started(chain)) == before
    assert len(list(directory.glob("*.unreadable"))) == 1


def test_long_chain__in_a_quiet_moment__is_saved(
    directory: Path, started: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "QUIET_S", 0.1)
    chain = EmbeddedChain(directory, MemoryJournal(), block_interval_ms=0, snapshot_blocks=2, clock=TickingClock())
    rpc = started(chain)
    grow(rpc, 2)
    wait_until(lambda: len(snapshots(directory)) == 1)
    assert SnapshotStore(directory).newest() is not None


def test_journal_with_another_hash__at_start__is_refused(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    chain.stop()
    for snapshot in snapshots(directory):
        snapshot.unlink()
    true_hash = journal.blocks[2].hash
    journal.blocks[2] = replace(journal.blocks[2], hash=b"\x01" * 32)
    with pytest.raises(ChainCannotRestore) as refused:
        chain.start()
    assert (refused.value.number, refused.value.expected, refused.value.got) == (2, b"\x01" * 32, true_hash)
    assert chain.state is ChainState.STOPPED


def test_journal_with_another_time__at_start__is_refused(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 1)
    journal.read(rpc)
    chain.stop()
    for snapshot in snapshots(directory):
        snapshot.unlink()
    journal.blocks[1] = replace(journal.blocks[1], timestamp=journal.blocks[1].timestamp + 1)
    with pytest.raises(ChainCannotRestore, match="block 1"):
        chain.start()


def test_journal_with_a_gap__at_start__is_refused(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    chain.stop()
    for snapshot in snapshots(directory):
        snapshot.unlink()
    del journal.blocks[1]
    with pytest.raises(ChainCannotRestore, match="lacks this block"):
        chain.start()


def test_snapshot_ahead_that_contradicts_the_journal__at_start__is_kept(directory: Path, started: Open) -> None:
    journal = MemoryJournal()
    chain = chain_in(directory, journal)
    rpc = started(chain)
    grow(rpc, 2)
    journal.read(rpc)
    chain.stop()
    journal.blocks = [*journal.blocks[:1], replace(journal.blocks[1], hash=b"\x01" * 32)]
    with pytest.raises(ChainCannotRestore):
        chain.start()
    assert len(snapshots(directory)) == 1


def test_chain_made_with_other_flags__at_start__is_refused(directory: Path, started: Open) -> None:
    chain = chain_in(directory, MemoryJournal())
    started(chain)
    chain.stop()
    genesis = directory / "genesis.json"
    genesis.write_text(genesis.read_text().replace("osaka", "prague"))
    with pytest.raises(ChainChanged, match="prague"):
        chain.start()


def test_second_chain__in_the_same_directory__is_refused(directory: Path, started: Open) -> None:
    first = chain_in(directory, MemoryJournal())
    rpc = started(first)
    with pytest.raises(ChainInUse):
        chain_in(directory, MemoryJournal()).start()
    assert rpc.chain_id() == 31337


SERVICE = """
import sys, threading
from pathlib import Path
from tests.bridge.chain.helpers import MemoryJournal, chain_in
chain = chain_in(Path(sys.argv[1]), MemoryJournal())
chain.start()
print(chain.pid, flush=True)
threading.Event().wait(60)
"""


@pytest.mark.parametrize("orphaned", [False, True])
def test_killed_service__started_again__meets_no_stale_chain(directory: Path, started: Open, orphaned: bool) -> None:
    """`orphaned` is how it goes where the kernel does not end anvil with the service."""
    code = SERVICE
    if orphaned:
        code = "from bridge.chain import anvil\nanvil._dying_with_parent = lambda command: command\n" + SERVICE
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, str(directory)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        try:
            pid = int(service.stdout.readline())
        finally:
            service.kill()
    marker = str(directory)
    if orphaned:
        assert marker in anvil_module._command_line(pid)
    else:
        wait_until(lambda: marker not in anvil_module._command_line(pid))
    port = (directory / "port").read_text()

    chain = chain_in(directory, MemoryJournal())
    started(chain)
    wait_until(lambda: marker not in anvil_module._command_line(pid), WAIT_S)
    assert chain.url.endswith(f":{port}")
