import gzip
from pathlib import Path

from bridge.chain.snapshots import ASIDE_MAX, SnapshotStore


def test_saved__twice__leaves_only_the_newest(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    assert store.newest() is None
    store.save(9, b"older")
    newer = store.save(10, b"newer")
    assert store.newest() == newer
    assert list(tmp_path.iterdir()) == [newer.path]


def test_newest__torn__is_moved_aside_for_the_one_before(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    older = store.save(9, b"older")
    kept = older.path.read_bytes()
    newer = store.save(10, b"newer")
    older.path.write_bytes(kept)  # as if the service had died before dropping it
    newer.path.write_bytes(b"new")
    assert store.newest() == older
    assert newer.path.with_name(newer.path.name + ".unreadable").read_bytes() == b"new"


def test_set_aside__again_and_again__keeps_the_last_few(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    for number in range(ASIDE_MAX + 2):
        store.set_aside(store.save(number, b"bad"))
    assert len(list(tmp_path.iterdir())) == ASIDE_MAX


def test_unpacked__then_discarded__leaves_the_snapshot_only(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    snapshot = store.save(3, gzip.compress(b"all of it"))
    assert store.unpack(snapshot).read_bytes() == b"all of it"
    store.discard_unpacked()
    store.discard_unpacked()
    assert list(tmp_path.iterdir()) == [snapshot.path]
