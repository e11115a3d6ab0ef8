"""Writes the schema of files of terms, by which editors complete and check them.

    python scripts/write_terms_schema.py            writes docs/terms.schema.json
    python scripts/write_terms_schema.py --check    writes nothing; exits 1 when the committed schema differs

A file names it in its first line: `# yaml-language-server: $schema=terms.schema.json`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from bridge.forms.terms_file import TermsDocument

SCHEMA: Final = Path(__file__).resolve().parent.parent / "docs" / "terms.schema.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the JSON schema of files of terms.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when the schema differs")
    parser.add_argument("--file", type=Path, default=SCHEMA, help="where the schema is kept")
    chosen = parser.parse_args(arguments)
    if not chosen.check:
        chosen.file.write_text(schema(), encoding="utf-8")
        sys.stdout.write(f"wrote {chosen.file}\n")
        return 0
    if chosen.file.is_file() and chosen.file.read_text(encoding="utf-8") == schema():
        return 0
    sys.stderr.write(f"{chosen.file} is not what the forms say: run scripts/write_terms_schema.py\n")
    return 1


def schema() -> str:
    """The schema's text."""
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TermsDocument.model_json_schema()}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
