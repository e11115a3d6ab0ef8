"""Lines: a YAML text as plain values, with the line on which each of them stands.

Only what a form needs is read: mappings with texts as keys, lists, texts, whole numbers, `true`, `false` and `null`.
So `3:1`, `2026-02-23` and `27.25` are texts, and no float ever comes out. Aliases, anchors and tags are refused, and so
is a key that comes twice: a file says everything where it stands. What is read is bounded in bytes, in depth and in
values. The items of one list are checked while they are read, so that a text full of faults is not read to its end.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from bridge.forms.faults import FileFault, Path

BYTES_MAX = 2**20
"""A file of 5,000 plain directions has half of it."""

DEPTH_MAX = 10
"""A form has less: the file, its list, an entry, its bonuses, one of them, its condition, tiers."""

VALUES_MAX = 16_384
"""Values from one sound item to the end of the next: an entry with as many of all parts as rules may have needs fewer.

A sound file is read as far as it goes, at some microseconds a byte; of what is none, no more than so much is read.
"""

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass
class Lines:
    """A text's value, the line of each part by its path, and what is wrong with the text as such.

    `empty` has the paths of fields and items after which nothing stands; their value is None.
    """

    value: Any = None
    line_by_path: dict[Path, int] = field(default_factory=dict)
    empty: list[Path] = field(default_factory=list)
    faults: list[FileFault] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """The line of the part at `path`, or of the part around it where it is missing."""
        while path and path not in self.line_by_path:
            path = path[:-1]
        return self.line_by_path.get(path, 1)


class StopReading(Exception):
    """Raised by a check that needs no more of the text."""


class _Unreadable(Exception):
    """Raised when nothing sensible can be read any further; a fault says why."""


Check = Callable[[Lines, Path, Any], Any]
"""Looks at an item that was just read, and returns what to keep of it; None where it is not sound."""


def read_lines(text: str, name: str = "", check: Check | None = None) -> Lines:
    """What a YAML text says; `faults` is empty exactly when it could be read.

    `check` sees the items of the list under `name`, each as soon as it is read. Where it stops the reading there is no
    value.
    """
    lines = Lines()
    if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        lines.faults.append(FileFault(1, "", f"a file has at most {BYTES_MAX:,} bytes", BYTES_MAX))
        return lines
    try:
        _Reader(lines, _events(text), (name,), check).read()
    except StopReading:
        lines.value = None
    except _Unreadable:
        assert lines.faults, "what cannot be read says why"
    except YAMLError as error:
        line, said = _told(error, text)
        lines.faults.append(FileFault(line, "", f"this is no YAML: {said}"))
    return lines


def _events(text: str) -> Iterator[Event]:
    parser = YAML(typ="safe", pure=True)
    yield from parser.parse(text)


def _told(error: YAMLError, text: str) -> tuple[int, str]:
    """The line and the words of what the YAML parser found."""
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        said = ", ".join(filter(None, (error.context, error.problem)))
        return (1 if mark is None else mark.line + 1), said
    position = getattr(error, "position", 0)
    return text.count("\n", 0, position) + 1, "a character that no text may have"


class _Reader:
    """Builds values from the parser's events."""

    def __init__(self, lines: Lines, events: Iterator[Event], checked: Path, check: Check | None) -> None:
        self._lines = lines
        self._events = events
        self._checked = checked
        self._check = check
        self._values = 0

    def read(self) -> None:
        """Reads the one document that there is."""
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if self._lines.line_by_path:
                    self._stop((), event, "a file holds one document")
                self._lines.value = self._value(next(self._events), ())

    def _value(self, event: Event, path: Path) -> Any:
        self._lines.line_by_path.setdefault(path, _line(event))
        if isinstance(event, AliasEvent):
            self._stop(path, event, "aliases are not read here: write the value itself")
        if getattr(event, "anchor", None) is not None:
            self._stop(path, event, "anchors are not read here")
        if getattr(event, "tag", None) is not None:
            self._stop(path, event, "tags are not read here: values are texts, whole numbers, true and false")
        if len(path) > DEPTH_MAX:
            self._stop(path, event, f"parts lie at most {DEPTH_MAX} deep", DEPTH_MAX)
        self._count(path, event)
        if isinstance(event, ScalarEvent):
            if event.style is None and not event.value and path:
                self._lines.empty.append(path)
            return _scalar(event)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        assert isinstance(event, MappingStartEvent), "there is no other kind of value"
        return self._mapping(path)

    def _sequence(self, path: Path) -> list[Any]:
        values: list[Any] = []
        for event in self._events:
            if isinstance(event, SequenceEndEvent):
                break
            below = (*path, len(values))
            values.append(self._sound(self._value(event, below), below))
        return values

    def _sound(self, value: Any, path: Path) -> Any:
        """An item as its check leaves it."""
        if self._check is None or path[:-1] != self._checked:
            return value
        kept = self._check(self._lines, path, value)
        if kept is not None:
            self._values = 0
        return kept

    def _count(self, path: Path, event: Event) -> None:
        self._values += 1
        if self._values > VALUES_MAX:
            self._stop(path[:2], event, f"there are more than {VALUES_MAX:,} values here", VALUES_MAX)

    def _mapping(self, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                break
            if not isinstance(event, ScalarEvent) or event.anchor is not None or event.tag is not None:
                self._stop(path, event, "a field's name is a plain text")
            name = event.value
            below = (*path, name)
            if name in values:
                self._add(below, event, f"{name} stands twice, first on line {self._lines.line_by_path[below]}")
            self._lines.line_by_path.setdefault(below, _line(event))
            values[name] = self._value(next(self._events), below)
        return values

    def _add(self, path: Path, event: Event, detail: str, limit: int | None = None) -> None:
        """Records a fault on the event's own line."""
        self._lines.faults.append(FileFault(_line(event), ".".join(map(str, path)), detail, limit))

    def _stop(self, path: Path, event: Event, detail: str, limit: int | None = None) -> NoReturn:
        self._add(path, event, detail, limit)
        raise _Unreadable


def _line(event: Event) -> int:
    line: int = event.start_mark.line
    return line + 1


def _scalar(event: ScalarEvent) -> str | int | bool | None:
    text: str = event.value
    if event.style is not None:  # in quotes, or a block of text
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    return _WORDS.get(text, text)
