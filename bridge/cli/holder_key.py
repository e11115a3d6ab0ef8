"""The key of a wallet, read from a file and used here: it never leaves this process."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.errors import CliError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

KeyFile = Annotated[
    Path,
    typer.Option("--key-file", help="The wallet's key: an encrypted keystore (JSON), or 32 bytes in hexadecimal."),
]
MaybeKeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="The wallet's key, to sign here; without it, what is to be signed is shown."),
]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="File that holds the password of an encrypted keystore.")
]


class HolderKey:
    """A wallet's key; `address` is written with its checksum."""

    def __init__(self, account: "LocalAccount") -> None:
        self._account = account
        self.address = str(account.address)

    @classmethod
    def read(cls, file: Path, password_file: Path | None) -> "HolderKey":
        """The key in this file. Raises CliError where it cannot be read, and never shows what it read."""
        from eth_account import Account

        content = _content(file)
        try:
            if content.startswith("{"):
                if password_file is None:
                    raise CliError(f"{file} is encrypted: name a file that holds its password with --password-file")
                secret = bytes(Account.decrypt(json.loads(content), _content(password_file)))
            else:
                secret = bytes.fromhex(content.removeprefix("0x"))
            return cls(Account.from_key(secret))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Without the cause: its message may hold the key.
            raise CliError(f"{file} holds no key that opens: a wrong password, or a damaged file") from None

    def sign_text(self, text: str) -> str:
        """The signature of a text."""
        from eth_account.messages import encode_defunct

        return _hexadecimal(self._account.sign_message(encode_defunct(text=text)).signature)

    def sign_data(self, typed_data: dict[str, Any]) -> str:
        """The signature of typed data."""
        from eth_account.messages import encode_typed_data

        return _hexadecimal(self._account.sign_message(encode_typed_data(full_message=typed_data)).signature)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as failure:
        raise CliError(f"{file} cannot be read") from failure


def _hexadecimal(signature: bytes) -> str:
    return f"0x{bytes(signature).hex()}"
