"""Backups: a copy of the ledger in one file, made while the service runs, and put back when it does not."""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bridge.bootstrap import LedgerJournal, take_data
from bridge.chain.embedded import EmbeddedChain
from bridge.chain.errors import ChainUnreachable, WrongChain
from bridge.chain.files import sync_directory, write_durably
from bridge.chain.genesis import CHAIN_ID, Genesis
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock, system_clock
from bridge.settings import LEDGER_FILE, Settings
from bridge.store import chainstate, copies
from bridge.store.backends import open_database
from bridge.store.copies import Contents, CopyFailed, CopyUnfit
from bridge.store.sqlite import SqliteDatabase
from exchange.errors import Conflict, NotFound

CHAIN_DIRECTORY = "chain"
GENESIS_FILE = "genesis.json"
MANIFEST_SUFFIX = ".json"
MANIFEST_FORMAT = 1


class NoLedger(NotFound):
    """Raised when there is no ledger where one is needed."""

    type = "no-ledger"


class FileExists(Conflict):
    """Raised when a file would be overwritten."""

    type = "file-exists"


class OnServer(Conflict):
    """Raised when a ledger in PostgreSQL is to be copied as if it were a file."""

    type = "on-server"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is written beside a copy: when and by which version it was made, and what it holds.

    Hashes and addresses are in hexadecimal. `final_number` is the newest block that was final, `operations` how many
    there were.
    """

    made_at: str
    version: str
    sha256: str
    bytes: int
    schema: str
    chain_id: int | None
    genesis_hash: str | None
    exchange: str | None
    final_number: int | None
    final_hash: str | None
    operations: int
    format: int = MANIFEST_FORMAT


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put in place, and what became of the ledger that was there.

    `kept` is that ledger's file, None where there was none; `kept_contents` what it holds, None where it could not be
    read. `chain_number` is the block up to which the embedded chain was saved from that ledger's journal, None where it
    was not. `chain_checked` says whether the chain could be asked if it is the copy's.
    """

    manifest: Manifest | None
    contents: Contents
    ledger: Path
    kept: Path | None
    kept_contents: Contents | None
    chain_number: int | None
    chain_checked: bool


# -- backing up -------------------------------------------------------------------------------


def back_up(settings: Settings, file: Path, *, force: bool = False, clock: Clock = system_clock) -> Manifest:
    """Copy the ledger into `file`, whether the service runs or not; the file is there whole or not at all.

    Raises OnServer, NoLedger, FileExists unless `force` says to overwrite, CopyFailed, CopyUnfit where the ledger is
    damaged.
    """
    require_file(settings)
    ledger = settings.data / LEDGER_FILE
    require_ledger(ledger)
    if file.exists() and (not force or file.samefile(ledger)):
        raise FileExists(f"{file} is there already, and is not overwritten")
    with scratch_beside(file) as scratch:
        copies.copy_into(ledger, scratch)
        return publish(scratch, file, force=force, clock=clock)


def publish(scratch: Path, file: Path, *, force: bool = False, clock: Clock = system_clock) -> Manifest:
    """Give a finished copy its name, with its manifest beside it. Raises FileExists, CopyFailed, CopyUnfit."""
    contents = copies.examine(scratch)
    try:
        manifest = _describe(scratch, contents, clock())
        beside = manifest_of(file)
        if force:
            beside.unlink(missing_ok=True)  # a copy without a manifest can be restored, one with another's cannot
            scratch.replace(file)
        else:
            os.link(scratch, file)  # unlike a rename, linking fails when the name is taken
        sync_directory(file.parent)
        write_durably(beside, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    except FileExistsError as failure:
        raise FileExists(f"{file} is there already, and is not overwritten") from failure
    except OSError as failure:
        raise CopyFailed(f"{file} cannot be written: {failure.strerror}") from failure
    return manifest


def manifest_of(file: Path) -> Path:
    """Where the manifest of a copy stands."""
    return file.with_name(file.name + MANIFEST_SUFFIX)


def require_ledger(ledger: Path) -> None:
    """Raises NoLedger where the file is not there."""
    if not ledger.exists():
        raise NoLedger(f"there is no ledger at {ledger}", field="data")


def require_file(settings: Settings) -> None:
    """Raises OnServer unless the ledger is a file in the data directory."""
    if settings.database_url is not None:
        raise OnServer(
            "the ledger is in PostgreSQL: copy it with pg_dump or pg_basebackup, put a copy back with pg_restore or by"
            " starting the server on it, and then say so with `sarraf mark-restored`",
            field="SARRAF_DATABASE_URL",
        )


@contextmanager
def scratch_beside(file: Path) -> Iterator[Path]:
    """An empty file, only its owner's, that takes the name of `file` when it is finished. Raises CopyFailed."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as failure:
        raise CopyFailed(f"{file} cannot be written: {failure.strerror}") from failure
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
    finally:
        for suffix in ("", *copies.SIDE_FILES, "-journal"):
            scratch.with_name(scratch.name + suffix).unlink(missing_ok=True)


def _describe(scratch: Path, contents: Contents, now_ms: int) -> Manifest:
    with scratch.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    made_at = datetime.fromtimestamp(now_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
    return Manifest(
        made_at=made_at,
        version=version("sarraf"),
        sha256=digest,
        bytes=size,
        schema=contents.schema,
        chain_id=contents.chain_id,
        genesis_hash=_hex(contents.genesis_hash),
        exchange=_hex(contents.exchange),
        final_number=contents.final_number,
        final_hash=_hex(contents.final_hash),
        operations=contents.operations,
    )


def _hex(value: bytes | None) -> str | None:
    return None if value is None else f"0x{value.hex()}"


# -- restoring --------------------------------------------------------------------------------


def restore(settings: Settings, file: Path, *, clock: Clock = system_clock) -> Restored:
    """Put a copy in the ledger's place. What was there is kept under another name, and nothing of the chain is lost.

    Raises OnServer, DataInUse while the service runs, NoLedger, CopyFailed, CopyUnfit, WrongChain, EmbeddedChainError.
    """
    require_file(settings)
    ledger = settings.data / LEDGER_FILE
    require_ledger(file)
    if ledger.exists() and file.samefile(ledger):
        raise CopyUnfit(f"{file} is the ledger itself, and no copy of it")
    with closing(take_data(settings.data)):
        with scratch_beside(ledger) as scratch:
            manifest = _fetch(file, scratch)
            contents = copies.examine(scratch, called=file)
            copies.require_known_schema(file, contents)
            chain_checked = _require_same_chain(settings, contents)
            present = _present(ledger)
            if present is not None:
                _require_same_history(settings, ledger, present, file, contents)
            chain_number = None if present is None else _keep_chain(settings, ledger, present)
            _mark(scratch, file, manifest, clock())
            kept = _swap(ledger, scratch, clock(), sound=present is not None)
        return Restored(manifest, contents, ledger, kept, present, chain_number, chain_checked)


def mark_restored(settings: Settings, reason: str, *, clock: Clock = system_clock) -> None:
    """Say that the ledger in PostgreSQL is a copy that was put back: it takes in what the chain did since.

    Services may run or not. Raises NoLedger where it is a file, which `restore` marks by itself, and LedgerUnwritable.
    """
    if settings.database_url is None:
        raise NoLedger("the ledger is a file: `sarraf restore FILE` puts a copy back and marks it", field="data")
    with closing(open_database(settings.ledger_url)) as database:
        database.migrate()
        with database.write() as connection:
            chainstate.begin_recovery(connection, reason, clock())


def _fetch(file: Path, scratch: Path) -> Manifest | None:
    """Bring a copy over, byte by byte as its manifest says; None where it has no manifest."""
    manifest = _read_manifest(manifest_of(file))
    try:
        shutil.copyfile(file, scratch)
        with scratch.open("rb") as copied:
            digest = hashlib.file_digest(copied, "sha256").hexdigest()
    except OSError as failure:
        raise CopyFailed(f"{file} cannot be copied: {failure.strerror}") from failure
    if manifest is not None and digest != manifest.sha256:
        raise CopyUnfit(f"{file} has the SHA-256 {digest}; its manifest says {manifest.sha256}")
    return manifest


def _read_manifest(beside: Path) -> Manifest | None:
    try:
        return Manifest(**json.loads(beside.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as failure:
        raise CopyUnfit(f"{beside} is no manifest of a copy") from failure


def _require_same_chain(settings: Settings, contents: Contents) -> bool:
    """Whether the chain could be asked if it is the copy's. Raises WrongChain where it is another."""
    if contents.chain_id is None:
        return True
    found = _chain_here(settings)
    if found is not None and found != (contents.chain_id, contents.genesis_hash):
        raise WrongChain(
            f"the copy belongs to chain {contents.chain_id} with genesis {_hex(contents.genesis_hash)}, here is chain"
            f" {found[0]} with genesis {_hex(found[1])}"
        )
    return found is not None


def _chain_here(settings: Settings) -> tuple[int, bytes | None] | None:
    """The configured chain's id and genesis; None where it cannot be asked, or is an embedded one that has no files."""
    if settings.rpc_url is None:
        genesis = Genesis.read(settings.data / CHAIN_DIRECTORY / GENESIS_FILE)
        return None if genesis is None else (CHAIN_ID, bytes.fromhex(genesis.hash[2:]))
    try:
        with closing(Rpc(settings.rpc_url)) as rpc:
            first = rpc.block(0)
            return rpc.chain_id(), None if first is None else first.hash
    except ChainUnreachable:
        return None


def _present(ledger: Path) -> Contents | None:
    """What the ledger holds that is to be replaced; None where there is none that can be read."""
    if not ledger.exists():
        return None
    try:
        return copies.examine(ledger)
    except CopyUnfit:
        return None


def _require_same_history(settings: Settings, ledger: Path, present: Contents, file: Path, contents: Contents) -> None:
    """Raises CopyUnfit where the copy's blocks are not those that the embedded chain went on from."""
    if settings.rpc_url is not None or present.final_number is None or contents.final_number is None:
        return
    number = min(present.final_number, contents.final_number)
    if copies.block_hash(ledger, number) != copies.block_hash(file, number):
        raise CopyUnfit(
            f"{file} has another block {number} than the ledger here: the embedded chain was begun anew, or cut back,"
            " between the two. To go back to the copy's chain, move this data directory away first"
        )


def _keep_chain(settings: Settings, ledger: Path, present: Contents) -> int | None:
    """Save the embedded chain with every block that the present ledger has, and answer up to which.

    Blocks since the chain was last saved are in that ledger's journal alone: under an older ledger the chain would
    begin without them.
    """
    if settings.rpc_url is not None or present.chain_id is None:
        return None
    with closing(SqliteDatabase(f"sqlite:///{ledger}")) as database:
        chain = EmbeddedChain(settings.data / CHAIN_DIRECTORY, LedgerJournal(database, threading.Lock()))
        chain.start()
        try:
            with closing(Rpc(chain.url)) as rpc:
                return rpc.head_number()
        finally:
            chain.stop()


def _mark(scratch: Path, file: Path, manifest: Manifest | None, now_ms: int) -> None:
    """Bring the copy to this version's schema, and let it learn at the next start what the chain did meanwhile."""
    made = "" if manifest is None else f", which was made at {manifest.made_at}"
    reason = f"restored from {file.name}{made}"
    with closing(SqliteDatabase.in_file(scratch)) as database, database.write() as connection:
        chainstate.begin_recovery(connection, reason, now_ms)
    copies.settle(scratch)
    with scratch.open("rb") as written:
        os.fsync(written.fileno())


def _swap(ledger: Path, scratch: Path, now_ms: int, *, sound: bool) -> Path | None:
    """Put the copy in the ledger's place, in one step; answers where the ledger is kept that was there."""
    kept = None
    if ledger.exists():
        kept = name_aside(ledger, now_ms)
        if sound:  # SQLite drops what stands beside a file that it cannot read: a damaged one is kept as it is
            copies.settle(ledger)
        # The ledger keeps its name until the copy takes it: a service that starts in between must never find none.
        os.link(ledger, kept)
        for suffix in copies.SIDE_FILES:
            beside = ledger.with_name(ledger.name + suffix)
            if beside.exists():
                beside.replace(kept.with_name(kept.name + suffix))
        sync_directory(ledger.parent)
    scratch.replace(ledger)
    sync_directory(ledger.parent)
    return kept


def name_aside(path: Path, now_ms: int) -> Path:
    """A free name beside `path` that says when it was put aside."""
    stamp = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    for further in range(1000):
        named = path.with_name(f"{path.stem}-before-{stamp}{f'-{further}' if further else ''}{path.suffix}")
        if not named.exists():
            return named
    raise FileExists(f"there are a thousand files like {named} already")
