"""`sarraf backup`: a copy of the ledger in one file, also while the service runs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from bridge.cli.effective import load
from bridge.cli.output import Json, emit, facts
from bridge.cli.target import Target

if TYPE_CHECKING:
    from bridge.backups import Manifest

File = Annotated[Path, typer.Argument(help="The file to write; its manifest is written beside it.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(backup)


def backup(context: typer.Context, file: File, force: Force = False, json: Json = False) -> None:
    """Copy the ledger into a file and check the copy; the service may run or not. Keep the keystore's file as well."""
    settings = load(Target.of(context))
    from bridge import backups

    manifest = backups.back_up(settings, file, force=force)
    record = {"file": str(file), "manifest": str(backups.manifest_of(file))} | asdict(manifest)
    emit(record, json, lambda console: _show(manifest, file, console))


def _show(manifest: "Manifest", file: Path, console: Console) -> None:
    final = None if manifest.final_number is None else f"{manifest.final_number:,} {manifest.final_hash}"
    rows = {
        "file": str(file),
        "bytes": manifest.bytes,
        "SHA-256": manifest.sha256,
        "schema": manifest.schema,
        "chain": None if manifest.chain_id is None else str(manifest.chain_id),
        "exchange": manifest.exchange,
        "newest final block": final,
        "operations": manifest.operations,
    }
    console.print(facts("Backed up", rows))
    console.print(
        "The copy is whole. The signing keys are not in it: keep the keystore's file and its password as well."
    )
