"""Writes the description of the HTTP API, which is reviewed like code.

    python scripts/write_openapi.py            writes docs/openapi.json
    python scripts/write_openapi.py --check    writes nothing; exits 1 when the committed description differs

The text depends on the routes and on nothing of the machine: keys are sorted, and no service is started.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from bridge.api.app import create_app

OPENAPI: Final = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the OpenAPI document of the HTTP API.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when the document differs")
    parser.add_argument("--file", type=Path, default=OPENAPI, help="where the document is kept")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        return check(document(), chosen.file)
    chosen.file.write_text(document(), encoding="utf-8")
    sys.stdout.write(f"wrote {chosen.file}\n")
    return 0


def document() -> str:
    """The OpenAPI document's text."""
    return json.dumps(create_app(None).openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def check(text: str, file: Path) -> int:
    """Compares `text` with what `file` holds; 1 when they differ."""
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{file} does not describe the API: run scripts/write_openapi.py and review the difference\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
