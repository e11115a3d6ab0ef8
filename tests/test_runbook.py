"""The runbook: every alarm has its page, every page is linked, and the commands that it names exist."""

import re
from pathlib import Path

import pytest
import typer

from bridge.cli.main import app
from bridge.store.breaker import Alarm
from bridge.store.lanes import TroubleType

RUNBOOK = Path(__file__).parents[1] / "docs" / "runbook"
PAGES = sorted(page for page in RUNBOOK.glob("*.md") if page.name != "README.md")
COMMAND = re.compile(r"`sarraf ([a-z -]+?)(?: (?:[A-Z-].*?|\"|<).*?)?`")
#: What is on `/readyz` and has no page of its own: what stands behind it has.
BEHIND = {"signers": "empty-signer", "breaker": "README"}


def _names() -> list[str]:
    root = typer.main.get_command(app)
    found = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [name] if inner is None else [f"{name} {each}" for each in inner]
    return found


@pytest.mark.parametrize("alarm", [*Alarm, *TroubleType])
def test_alarm__then_it_has_a_page(alarm: str) -> None:
    page = RUNBOOK / f"{alarm}.md"
    assert page.exists(), f"docs/runbook/{alarm}.md is missing"
    assert page.read_text().startswith(f"# {alarm}\n")


def test_readiness__then_each_check_has_a_page() -> None:
    from tests.bridge.api.test_health import CHECKS

    for check in CHECKS:
        assert (RUNBOOK / f"{BEHIND.get(check, check)}.md").exists(), check
        assert f"| `{check}` |" in (RUNBOOK / "README.md").read_text(), check


def test_index__then_it_links_every_page() -> None:
    index = (RUNBOOK / "README.md").read_text()
    assert [page.name for page in PAGES if f"({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page__then_it_says_what_it_means_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert "**What it means.**" in text and "**What you do.**" in text


@pytest.mark.parametrize("page", [*PAGES, RUNBOOK / "README.md"], ids=lambda page: page.stem)
def test_page__then_its_links_and_commands_exist(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (RUNBOOK / link).exists(), link
    names = _names()
    for command in COMMAND.findall(text):
        assert command.strip() in names, f"there is no `sarraf {command}`"
