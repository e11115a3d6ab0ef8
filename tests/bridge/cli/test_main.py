"""The command as a whole: help, version, and what it does not import."""

import subprocess
import sys

import pytest

from tests.bridge.cli.conftest import Sarraf

HEAVY = ("web3", "fastapi", "sqlalchemy", "alembic", "uvicorn")
PROBE = """
import sys
from bridge.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print("\\nHEAVY", [name for name in {heavy!r} if name in sys.modules], "CODE", code, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("balance", "900"),
        ("audit",),
        ("program", "list"),
        ("terms", "--help"),
        ("terms", "check", "nowhere.yaml"),
        ("terms", "simulate", "nowhere.yaml"),
        ("quote", "A", "B", "--member", "900", "--in", "1"),
        ("route", "A", "B", "--in", "1"),
        ("board", "A"),
        ("demo", "--help"),
        ("config", "show"),
        ("rebuild", "ledger", "--help"),
    ],
)
def test_command__that_only_asks__then_imports_nothing_heavy(arguments: tuple[str, ...], tmp_path: object) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments],
        capture_output=True,
        text=True,
        cwd=str(tmp_path),
        timeout=60,
        check=True,
    )

    assert "HEAVY [] CODE" in result.stderr, result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("quote", "A", "B", "--member", "900", "--in", "1"), ("board", "A"), ("terms", "list")],
)
def test_command__that_reads_no_file__then_imports_no_forms(arguments: tuple[str, ...], tmp_path: object) -> None:
    forms = ("bridge.forms", "bridge.fx", "ruamel.yaml", "currency_converter")
    result = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=forms), *arguments],
        capture_output=True,
        text=True,
        cwd=str(tmp_path),
        timeout=60,
        check=True,
    )

    assert "HEAVY [] CODE" in result.stderr, result.stderr


def test_help__of_the_whole__then_names_every_command(sarraf: Sarraf) -> None:
    result = sarraf("--help")

    assert result.code == 0
    for name in (
        *("dev", "serve", "demo", "deploy", "program", "member", "terms", "quote", "route", "board", "swap", "balance"),
        *("operation", "audit", "config", "doctor"),
    ):
        assert name in result.out


COMMANDS = [
    *(("dev",), ("serve",), ("demo",), ("deploy",), ("quote",), ("swap",), ("balance",), ("audit",)),
    *(("doctor",), ("config", "show"), ("program", "create"), ("program", "list"), ("program", "show")),
    *(("program", "key"), ("member", "enrol"), ("member", "show"), ("member", "link")),
    *(("terms", "propose"), ("terms", "consent"), ("terms", "suspend"), ("terms", "list")),
    *(("terms", "check"), ("terms", "diff"), ("terms", "simulate"), ("route",), ("board",)),
    *(("operation", "show"), ("operation", "list"), ("operation", "watch")),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help__of_each_command__then_offers_json(sarraf: Sarraf, command: tuple[str, ...]) -> None:
    result = sarraf(*command, "--help")

    assert result.code == 0
    assert "--json" in result.out


def test_command__with_an_unknown_option__then_is_a_usage_error(sarraf: Sarraf) -> None:
    assert sarraf("balance", "900", "--nonsense").code == 2
