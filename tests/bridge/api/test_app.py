"""The API's description: the committed document, and the page for people."""

import importlib
import importlib.util
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import bridge
import exchange
from bridge.api.app import create_app
from bridge.api.problems import status_of
from exchange.errors import SarrafError

from .world import DOCS, World, documented_problems

SCRIPT = DOCS.parent / "scripts" / "write_openapi.py"

#: Problems that no class of ours stands for: the framework finds them.
FOUND_BY_THE_FRAMEWORK = {
    "invalid-json": 400,
    "no-such-route": 404,
    "method-not-allowed": 405,
    "unknown-field": 422,
    "missing-field": 422,
    "invalid-request": 422,
    "internal-error": 500,
}
_START_ROW = re.compile(r"^\| `([a-z-]+)` \| (?!\d)", re.MULTILINE)


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_openapi", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_openapi__then_the_committed_document_is_what_the_running_app_says(world: World) -> None:
    committed = (DOCS / "openapi.json").read_text(encoding="utf-8")
    live = world.caller(None).http.get("/openapi.json").json()

    assert json.loads(committed) == live, "run scripts/write_openapi.py and review the difference"
    assert committed == json.dumps(live, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_write_openapi__when_the_file_differs__then_check_is_red_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main, file = _script().main, tmp_path / "openapi.json"
    assert main(["--file", str(file)]) == 0
    written = file.read_text(encoding="utf-8")
    assert written == (DOCS / "openapi.json").read_text(encoding="utf-8")
    assert main(["--check", "--file", str(file)]) == 0

    changed = written.replace('"/v1/swaps"', '"/v1/barters"')
    file.write_text(changed, encoding="utf-8")
    assert main(["--check", "--file", str(file)]) == main(["--check", "--file", str(tmp_path / "none.json")]) == 1
    assert "write_openapi.py" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8") == changed

    command = [sys.executable, str(SCRIPT), "--check", "--file", str(file)]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == 1


def test_openapi__then_every_refusal_is_a_problem_document() -> None:
    document = create_app(None).openapi()

    assert "HTTPValidationError" not in document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status.startswith("4") and operation.get("security"):
                    assert list(answer["content"]) == ["application/problem+json"]


def _all_errors(root: type[SarrafError] = SarrafError) -> Iterator[type[SarrafError]]:
    for one in root.__subclasses__():
        if one.__module__.split(".")[0] in ("exchange", "bridge"):
            yield one
        yield from _all_errors(one)


def _errors_with_a_type() -> dict[str, type[SarrafError]]:
    for root in (exchange, bridge):
        for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            if "migrations" not in module.name:
                importlib.import_module(module.name)
    typed = [one for one in _all_errors() if "type" in vars(one)]
    assert len(typed) == len({one.type for one in typed}), "two errors share a type"
    return {one.type: one for one in typed}


def test_docs__then_list_every_problem_type_with_its_status() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    answered, at_start = documented_problems(), set(_START_ROW.findall(page))
    errors = _errors_with_a_type()

    assert not answered.keys() & at_start
    assert answered.keys() | at_start == errors.keys() | FOUND_BY_THE_FRAMEWORK.keys()
    assert not errors.keys() & FOUND_BY_THE_FRAMEWORK.keys()
    for slug, status in answered.items():
        expected = FOUND_BY_THE_FRAMEWORK.get(slug) or status_of(errors[slug].__new__(errors[slug]))
        assert status == expected, slug


def test_docs__then_name_every_route() -> None:
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    named = {
        (method.lower(), re.sub(r"{\w+}", "{id}", path))
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`]*)`", page)
    }
    routes = {
        (method, re.sub(r"{\w+}", "{id}", path))
        for path, operations in create_app(None).openapi()["paths"].items()
        for method in operations
    }

    assert named == routes
