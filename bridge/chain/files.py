"""Files that are either wholly there or not there at all, whenever the power fails."""

import contextlib
import os
import tempfile
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces `path` by `content`: even a crash leaves the old bytes or the new, never a mixture."""
    temporary = _write_beside(path, content, mode)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def create_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Like `write_durably`, but never overwrites: raises `FileExistsError` when `path` is already there."""
    temporary = _write_beside(path, content, mode)
    try:
        os.link(temporary, path)  # unlike a rename, linking fails when the name is taken
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in `directory` durable, where the platform can."""
    with contextlib.suppress(PermissionError):  # Windows does not open directories
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary
