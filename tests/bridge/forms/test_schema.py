"""The schema of files of terms that editors read is what the forms say."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from bridge.forms.terms_file import load
from tests.bridge.forms.published import EXAMPLES, ROOT

SCRIPT = ROOT / "scripts" / "write_terms_schema.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_terms_schema", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_schema__as_committed__is_that_of_the_forms(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0, "run scripts/write_terms_schema.py and review the difference"


def test_schema__when_the_file_differs__then_check_is_red_and_writes_nothing(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "schema.json"
    assert script.main(["--check", "--file", str(file)]) == 1
    assert not file.exists()
    assert "write_terms_schema.py" in capsys.readouterr().err
    assert script.main(["--file", str(file)]) == 0
    assert script.main(["--check", "--file", str(file)]) == 0


def test_schema__names_the_fields_as_files_do(script: ModuleType) -> None:
    schema = json.loads(script.schema())
    entry = schema["$defs"]["TermsEntry"]
    assert entry["required"] == ["from", "to"]
    assert entry["additionalProperties"] is False
    assert {"ratio", "minimum", "increment", "price", "starts", "caps", "bonuses", "fees"} <= set(entry["properties"])


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_example__loads_and_names_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../../terms.schema.json"
    assert load(path).entries
    assert (path.parent / first.split("=")[1]).resolve() == ROOT / "docs" / "terms.schema.json"
