"""`sarraf keystore`: the encrypted file from which all signing keys derive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.errors import CliError
from bridge.cli.output import Json, emit, facts

if TYPE_CHECKING:
    from bridge.chain.keystore import Keystore

#: The accounts that exist before any program: who deploys and admits, and who settles swaps.
FIRST_ACCOUNTS = ("exchange-admin", "exchange-operator")

app = typer.Typer(help="The encrypted file of the signing keys.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The keystore's file.")]
PasswordFile = Annotated[
    Path, typer.Option("--password-file", help="File that holds the password.", envvar="SARRAF_KEYSTORE_PASSWORD_FILE")
]


@app.callback()
def _group() -> None:
    """The encrypted file of the signing keys."""


@app.command()
def create(file: File, password_file: PasswordFile, json: Json = False) -> None:
    """Make new random keys in a new file, and show the accounts that need gas money."""
    from bridge.chain.keystore import EncryptedKeystore

    _show(EncryptedKeystore.create(file, _password(password_file)), file, json)


@app.command()
def show(file: File, password_file: PasswordFile, json: Json = False) -> None:
    """Show the first accounts of a keystore."""
    from bridge.chain.keystore import EncryptedKeystore

    _show(EncryptedKeystore(file, _password(password_file)), file, json)


def _password(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as failure:
        raise CliError(f"the password file {file} cannot be read: {failure.strerror}") from failure


def _show(keystore: "Keystore", file: Path, json: bool) -> None:
    accounts = {role: f"0x{keystore.address(index).hex()}" for index, role in enumerate(FIRST_ACCOUNTS)}
    record = {"file": str(file)} | accounts
    emit(record, json, lambda console: console.print(facts("Keystore", record)))
