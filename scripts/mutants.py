"""Which small changes to the contracts there are: each should break something that a test sees.

A mutant is one changed line. Comments, imports, interfaces and the names of errors are left alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# What stands for what, outside assembly. Spaces are part of it, since the formatter puts them around every operator.
SOLIDITY: Final = (
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" == ", " != "),
    (" != ", " == "),
    (" + ", " - "),
    (" - ", " + "),
    (" * ", " / "),
    (" / ", " * "),
    (" += ", " -= "),
    (" && ", " || "),
    (" || ", " && "),
    (" & ", " | "),
    (" | ", " & "),
    (" << ", " >> "),
    (" >> ", " << "),
    ("true", "false"),
    ("false", "true"),
)
ASSEMBLY: Final = (
    ("lt(", "gt("),
    ("gt(", "lt("),
    ("eq(", "xor("),
    ("add(", "sub("),
    ("sub(", "add("),
    ("mul(", "div("),
    ("div(", "mul("),
    ("and(", "or("),
    ("or(", "and("),
    ("xor(", "or("),
    ("shl(", "shr("),
    ("shr(", "shl("),
    ("iszero(", "add(0, "),
    ("case 0", "case 1"),
)
MODIFIERS: Final = ("onlyAdmin", "announced", "onlyExchange")

ASSEMBLY_BEGINS: Final = re.compile(r"\bassembly\b.*\{$")
NUMBER: Final = re.compile(r"(?<![\w.\"])(0x[0-9a-fA-F]+|\d[\d_]*)(?![\w.\"])")
NO_CODE: Final = re.compile(r"^(//|import |pragma |using |error |event |mapping\(|\}|$)")
# A whole statement on one line that is no declaration, no return and no control flow: what can be left out.
STATEMENT: Final = re.compile(
    r"^(delete |emit |revert |if \(.*\) revert |[\w.\[\]]+ ?[-+|&^]?= |\(.*\) = |[_a-zA-Z][\w.]*\()"
)
ASSEMBLY_STATEMENT: Final = re.compile(
    r"^(\w+ := |sstore\(|mstore\(|log\d\(|returndatacopy\(|calldatacopy\(|revert\(|if )"
)
CONDITION: Final = re.compile(r"^(\} else )?if \((?P<condition>.*)\)(?P<rest> revert.*| \{| \w.*;)$")


@dataclass(frozen=True, order=True)
class Mutant:
    """One changed line of one source; `line` counts from 1."""

    file: str
    line: int
    sound: str
    broken: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it in the list of survivors: lines move, so it goes without their numbers."""
        return (self.file, self.sound.strip(), self.broken.strip())

    def apply(self, text: str) -> str:
        lines = text.splitlines(keepends=True)
        assert lines[self.line - 1] == self.sound + "\n", f"{self.file}:{self.line} is another line by now"
        lines[self.line - 1] = self.broken + "\n"
        return "".join(lines)


def mutants_of(file: str, text: str) -> list[Mutant]:
    """Every mutant of one source, in the order of its lines."""
    found: list[Mutant] = []
    depth = 0  # of braces since an assembly block began; 0 is outside
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.split(" // ")[0].split(" /// ")[0]
        stripped = code.strip()
        if depth or ASSEMBLY_BEGINS.search(stripped):
            depth += stripped.count("{") - stripped.count("}")
        if NO_CODE.match(stripped) or ASSEMBLY_BEGINS.search(stripped):
            continue
        variants = _in_assembly(code) if depth else _in_solidity(code)
        found += [Mutant(file, number, line, broken) for broken in dict.fromkeys(variants) if broken != code]
    return found


def _in_solidity(line: str) -> Iterator[str]:
    yield from _replaced(line, SOLIDITY)
    yield from _other_numbers(line)
    indent, stripped = line[: len(line) - len(line.lstrip())], line.strip()
    if STATEMENT.match(stripped) and stripped.endswith(";"):
        yield f"{indent}{{}}"
    if found := CONDITION.match(stripped):
        negated = f"if (!({found['condition']})){found['rest']}"
        yield indent + stripped.replace(stripped[stripped.index("if (") :], negated)
    if "modifier" not in stripped:
        for modifier in MODIFIERS:
            yield re.sub(rf" {modifier}\b|^{modifier}$", "", line) if modifier in stripped.split() else line


def _in_assembly(line: str) -> Iterator[str]:
    yield from _replaced(line, ASSEMBLY)
    yield from _other_numbers(line)
    indent, stripped = line[: len(line) - len(line.lstrip())], line.strip()
    if ASSEMBLY_STATEMENT.match(stripped) and stripped.count("{") == stripped.count("}"):
        yield f"{indent}{{}}"


def _replaced(line: str, table: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Each occurrence of each operator replaced on its own."""
    for old, new in table:
        pattern = (
            re.escape(old) if not old[0].isalpha() else rf"(?<!\w){re.escape(old)}" + ("" if old[-1] == "(" else r"\b")
        )
        for found in re.finditer(pattern, line):
            yield line[: found.start()] + new + line[found.end() :]


def _other_numbers(line: str) -> Iterator[str]:
    """Each number one larger."""
    for found in NUMBER.finditer(line):
        text = found[0]
        larger = hex(int(text, 16) + 1) if text.startswith("0x") else str(int(text.replace("_", "")) + 1)
        if text.startswith("0x") and len(larger) < len(text):
            larger = "0x" + larger[2:].zfill(len(text) - 2)
        yield line[: found.start()] + larger + line[found.end() :]
