"""`sarraf doctor`: what this machine has, what it lacks, and what to do about it."""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass

import typer
from rich.console import Console

from bridge.cli.effective import load
from bridge.cli.errors import FAILED, CliError, line
from bridge.cli.output import Json, emit, text
from bridge.cli.ports import is_free
from bridge.cli.running import is_served, read_running
from bridge.cli.target import Target
from bridge.client import DEFAULT_URL, Client, ClientError
from exchange.errors import SarrafError

PYTHON_MIN = (3, 11)
VERSION_S_MAX = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, whether it is as it should be, and else what to do."""

    name: str
    ok: bool
    detail: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check that everything the service needs is there. Exit code 1 when something is not."""
    target = Target.of(context)
    checks: tuple[tuple[str, Callable[[Target], str]], ...] = (
        ("python", _python),
        ("settings", _settings),
        ("anvil", _anvil),
        ("contracts", _contracts),
        ("data directory", _data),
        ("ledger", _ledger),
        ("port", _port),
        ("service", _service),
    )
    findings = [_look(name, check, target) for name, check in checks]
    emit([asdict(finding) for finding in findings], json, lambda console: _show(findings, console))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


def _look(name: str, check: Callable[[Target], str], target: Target) -> Finding:
    try:
        return Finding(name, True, check(target))
    except (CliError, ClientError, SarrafError) as error:
        return Finding(name, False, line(error))


def _show(findings: list[Finding], console: Console) -> None:
    for finding in findings:
        word = "[green]ok[/]    " if finding.ok else "[red]not ok[/]"
        console.print(f"{word}  {finding.name}: {text(finding.detail)}")


def _python(_target: Target) -> str:
    if sys.version_info < PYTHON_MIN:
        raise CliError(f"Python {sys.version.split()[0]} is too old: use {'.'.join(map(str, PYTHON_MIN))}")
    return f"{sys.version.split()[0]} at {sys.executable}"


def _settings(target: Target) -> str:
    load(target)
    return "valid; `sarraf config show` lists them"


def _anvil(target: Target) -> str:
    rpc_url = load(target).rpc_url
    if rpc_url is not None:
        from bridge.chain.wire import without_secrets

        return f"not needed: the node is {without_secrets(rpc_url)}"
    from bridge.chain.anvil import find_anvil

    binary = find_anvil()
    try:
        told = subprocess.run(
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S_MAX,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CliError(f"{binary} does not run ({error}); install it anew with `make demo`") from error
    return f"{(told.stdout.splitlines() or ['?'])[0]} at {binary}"


def _contracts(_target: Target) -> str:
    from bridge.chain.artifacts import CONTRACTS, artifact

    try:
        sizes = {name: len(artifact(name).bytecode) for name in CONTRACTS}
    except (OSError, ValueError, KeyError) as error:
        raise CliError(f"the compiled contracts cannot be read ({error}); run `make contracts`") from error
    return ", ".join(f"{name} {size:,} bytes" for name, size in sizes.items())


def _data(target: Target) -> str:
    path = target.data_path()
    # What does not exist yet is made by the service, in the nearest directory that does.
    nearest = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise CliError(
            f"{nearest} cannot be written ({error.strerror}): choose another directory with SARRAF_DATA"
        ) from error
    return f"{path} is writable" if path.exists() else f"{path} can be made in {nearest}"


def _ledger(target: Target) -> str:
    settings = load(target)
    if settings.database_url is None:
        return "a file in the data directory"
    from bridge.store.backends import open_database
    from bridge.store.database import require_known

    with closing(open_database(settings.ledger_url)) as database:
        found = database.look()
    require_known(found.revision)
    if found.dangers:
        raise CliError(f"{found.text}: {'; '.join(found.dangers)}")
    return f"{found.text}, schema {found.revision or 'none yet: the first start makes it'}"


def _port(target: Target) -> str:
    settings = load(target)
    if settings.port == 0:
        return "a free one is taken at each start"
    if is_free(settings.port, settings.host):
        return f"{settings.host}:{settings.port} is free"
    running = read_running(target.data_path())
    if running is not None and is_served(target.data_path()) and running.url.endswith(f":{settings.port}"):
        return f"{settings.host}:{settings.port} is held by the service itself"
    raise CliError(f"{settings.host}:{settings.port} is taken by another program: choose another with SARRAF_PORT")


def _service(target: Target) -> str:
    url = target.url()
    if url.source == "default":
        return "not running; start it with `sarraf serve`"
    with Client(url.value or DEFAULT_URL) as client:
        try:
            ready, readiness = client.readiness()
        except ClientError as error:
            raise CliError(f"{line(error)} (address from {url.source}); start it with `sarraf serve`") from error
    failing = [f"{c['name']}: {c['detail']}" for c in readiness.get("checks", []) if not c["ok"]]
    if not ready:
        raise CliError(f"{url.value} is not ready: {'; '.join(failing) or 'it does not say why'}")
    return f"{url.value} is ready"
