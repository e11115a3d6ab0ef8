"""Meant: what a value of the wrong kind was surely meant to be, where its own text tells.

A text that may mean two things means none here: `1.000` is a thousand to some and one to others.
"""

import difflib
import re
from collections.abc import Callable, Mapping

from exchange.points import POINTS_MAX

_WHOLE = re.compile(r"(?:[1-9][0-9]{0,14}|[1-9][0-9]{0,2}(?:[,_ ][0-9]{3}){1,4})(?:\.00?)?")
"""A whole number in quotes, with separators, or with one or two decimals of nothing."""

ALIKE = 0.8
"""How like a word another is taken for it, as difflib reckons: `yearly` is `year`, and `quarter` none."""

_FLAGS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


def meant_by(kind: str, written: object, example: object, expected: object) -> int | str | None:
    """The valid value that `written` was meant to be, None where nobody can know.

    `kind` is pydantic's type of error, `example` one value of the field, and `expected` the words that may stand there.
    """
    read = _KINDS.get(kind)
    return None if read is None else read(written, example, expected)


def _whole(written: object, _example: object, _expected: object) -> int | None:
    if isinstance(written, bool) or not _WHOLE.fullmatch(text := str(written)):
        return None
    number = int(re.sub("[,_ ]", "", text.partition(".")[0]))
    return number if number <= POINTS_MAX else None


def _flag(written: object, _example: object, _expected: object) -> str | None:
    return _FLAGS.get(written.lower()) if isinstance(written, str) else None


def _list(written: object, example: object, _expected: object) -> str | None:
    """A list of the one thing that stands there, where it is of the kind of which a list is asked."""
    if not isinstance(example, list) or type(written) is not type(example[0]):
        return None
    # Other texts would need quotes in a list, or are lists of another spelling.
    plain = isinstance(written, int) or str(written).replace(" ", "").isalpha()
    return f"[{written}]" if plain else None


def _word(written: object, _example: object, expected: object) -> str | None:
    if not isinstance(written, str):
        return None
    close = difflib.get_close_matches(written.lower(), re.findall("'([^']*)'", str(expected)), n=1, cutoff=ALIKE)
    return close[0] if close else None


_KINDS: Mapping[str, Callable[[object, object, object], int | str | None]] = {
    "int_type": _whole,
    "int_from_float": _whole,
    "bool_type": _flag,
    "tuple_type": _list,
    "enum": _word,
    "literal_error": _word,
}
