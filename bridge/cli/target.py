"""Which service a command talks to, with which key, and where each choice comes from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.errors import CliError
from bridge.cli.running import OPERATOR_KEY_FILE, SERVICE_FILE, read_operator_key, read_running
from bridge.client import DEFAULT_URL, Client

DATA_DEFAULT = Path(".sarraf")

Url = Annotated[str | None, typer.Option("--url", help="The service's address; else SARRAF_URL, else the data's own.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="File with the API key; else SARRAF_API_KEY, else the data's operator key."),
]
Data = Annotated[Path | None, typer.Option("--data", help="Data directory; else SARRAF_DATA, else .sarraf.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and where it comes from."""

    value: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Target:
    """What the options in front of a command say; the environment and the data directory fill in the rest."""

    url_option: str | None = None
    key_file_option: Path | None = None
    data_option: Path | None = None

    @classmethod
    def of(cls, context: typer.Context) -> "Target":
        """The target that the main command left in the context."""
        found = context.find_object(cls)
        return cls() if found is None else found

    def data(self) -> Choice:
        """The data directory."""
        if self.data_option is not None:
            return Choice(str(self.data_option), "--data")
        if told := os.environ.get("SARRAF_DATA"):
            return Choice(told, "environment SARRAF_DATA")
        return Choice(str(DATA_DEFAULT), "default")

    def data_path(self) -> Path:
        """The data directory as a path."""
        return Path(self.data().value or DATA_DEFAULT)

    def url(self) -> Choice:
        """The service's address."""
        if self.url_option is not None:
            return Choice(self.url_option, "--url")
        if told := os.environ.get("SARRAF_URL"):
            return Choice(told, "environment SARRAF_URL")
        running = read_running(self.data_path())
        if running is not None:
            return Choice(running.url, str(self.data_path() / SERVICE_FILE))
        return Choice(DEFAULT_URL, "default")

    def key(self) -> Choice:
        """The API key; None when there is none."""
        if self.key_file_option is not None:
            try:
                told = self.key_file_option.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise CliError(f"the key file {self.key_file_option} cannot be read: {error}") from error
            return Choice(told, f"--key-file {self.key_file_option}")
        if told := os.environ.get("SARRAF_API_KEY", ""):
            return Choice(told, "environment SARRAF_API_KEY")
        path = self.data_path() / OPERATOR_KEY_FILE
        key = read_operator_key(self.data_path())
        return Choice(None, "none") if key is None else Choice(key, str(path))

    def connect(self) -> Client:
        """A client of the service. Raises CliError when there is no key."""
        key = self.key().value
        if key is None:
            raise CliError(
                f"no API key: set SARRAF_API_KEY, or start the service so that it writes"
                f" {self.data_path() / OPERATOR_KEY_FILE}"
            )
        url = self.url().value or DEFAULT_URL
        if not url.startswith(("http://", "https://")):
            raise CliError(f"{url!r} is no address of a service: it must begin with http:// or https://")
        return Client(url, key)


def connect(context: typer.Context) -> Client:
    """A client of the service that this command's options mean."""
    return Target.of(context).connect()
