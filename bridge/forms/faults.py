"""Faults: what is wrong with a form, each with the path of its field, the limit and the nearest valid value.

Where nobody can know what was meant no value is the nearest; then the detail may have an example, after "such as".
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.forms.meant import meant_by

Path = tuple[int | str, ...]

FAULTS_MAX = 50
"""Faults that are told at once: whoever mends these reads the rest next time."""

_FORM_NAMES = {"ends": "before", "destination": "to"}
"""Where a form calls by another name what `exchange` names in a refusal."""

_SIDES = ("from_units", "to_units")
"""Parts of a ratio, which is one text in a form."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, a stable type, what, which limit was met, and the nearest value that passes."""

    path: Path
    type: str
    detail: str
    limit: int | str | None = None
    nearest: int | str | None = None

    @property
    def field(self) -> str:
        """The path as the API writes it: `bonuses.0.when.before`."""
        return ".".join(map(str, self.path))


@dataclass(frozen=True, slots=True)
class FileFault:
    """One thing that is wrong in a file, with its line."""

    line: int
    field: str
    detail: str
    limit: int | str | None = None
    nearest: int | str | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, {self.field}" if self.field else f"line {self.line}"
        hint = "" if self.nearest is None else f" (nearest: {self.nearest})"
        return f"{where}: {self.detail}{hint}"


def faults_of(errors: Iterable[ErrorDetails], form: type[BaseModel]) -> list[Fault]:
    """What pydantic found wrong with a `form`, in the order of its fields: one more than are told at most."""
    return [_fault(error, form) for error in islice(errors, FAULTS_MAX + 1)]


def empty_fault(path: Path, form: type[BaseModel]) -> Fault:
    """The fault of a field of a `form` after whose name nothing stands."""
    said = "nothing stands here: leave the field out, or write null, where nothing is meant"
    example = _example(form, path)
    meant = "" if example is None else f"; otherwise write a value, such as {_written(example)}"
    return Fault(path, "missing-field", said + meant)


def _fault(error: ErrorDetails, form: type[BaseModel]) -> Fault:
    context: Mapping[str, Any] = error.get("ctx", {})
    path = tuple(error["loc"])
    if "detail" in context:  # a refusal of the pure core
        return Fault(
            path + _below(path, context["field"]),
            error["type"],
            context["detail"],
            context["limit"],
            _plain(context["nearest"]),
        )
    example = _example(form, path)
    if error["type"] == "extra_forbidden":
        names = _names(_model_at(form, path[:-1]))
        close = difflib.get_close_matches(str(path[-1]), names, n=1)
        meant = f"; is {close[0]} meant?" if close else f"; what is known is {', '.join(names)}"
        return Fault(path, "unknown-field", f"this field is not known here{meant}")
    if error["type"] == "missing":
        return Fault(path, "missing-field", f"this field is missing{_such_as(example)}")
    expected = context.get("expected")
    words = _WORDS.get(error["type"], str(error["msg"]))
    detail = f"it is one of {expected}" if expected else words
    nearest = meant_by(error["type"], error["input"], example, expected)
    if nearest is None and not expected:
        detail += _such_as(example)
    return Fault(path, "invalid-request", detail, limit=expected, nearest=nearest)


_WORDS = {
    "int_type": "it is a whole number, written without a point and without quotes",
    "int_from_float": "it is a whole number, written without a point and without quotes",
    "string_type": "it is a text; a number or a word such as true is one in quotes",
    "bool_type": "it is true or false",
    "tuple_type": "it is a list",
    "model_type": "it has fields of its own",
    "model_attributes_type": "it has fields of its own",
    "dict_type": "it has fields of its own",
}


def _such_as(example: object) -> str:
    return "" if example is None else f", such as {_written(example)}"


def _below(path: Path, field: str | None) -> Path:
    """What a refusal's field adds to the path of the part in which it was raised.

    The core names a field with its part, such as `caps.points`; the part is in the path already, but for that of a
    part as a whole.
    """
    if field is None or field in _SIDES:
        return ()
    parts = [_FORM_NAMES.get(part, part) for part in field.split(".")]
    known = {part for part in path if isinstance(part, str)}
    while parts and parts[0] in known:
        parts.pop(0)
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def _plain(value: object) -> int | str | None:
    return value if value is None or isinstance(value, int | str) else str(value)


def _example(form: type[BaseModel], path: Path) -> Any:
    """A valid value of the field, from its examples; None where it has none."""
    owner = _model_at(form, path[:-1])
    field = None if owner is None or not path else _field(owner, path[-1])
    if field is None:
        return None
    if field.examples:
        return field.examples[0]
    for extra in _extras(field):
        schema = getattr(extra, "json_schema", None)
        if isinstance(schema, dict) and schema.get("examples"):
            return schema["examples"][0]
    return None


def _extras(field: FieldInfo) -> Iterator[object]:
    """What the field's annotation carries, also where the field may be left out."""
    yield from field.metadata
    for choice in get_args(field.annotation):
        yield from getattr(choice, "__metadata__", ())


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _names(model: type[BaseModel] | None) -> list[str]:
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _field(model: type[BaseModel], name: int | str) -> FieldInfo | None:
    return next((each for key, each in model.model_fields.items() if name in (key, each.alias)), None)


def _model_at(form: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """The form of the part at `path`."""
    model: type[BaseModel] | None = form
    for step in path:
        if isinstance(step, int):
            continue
        field = None if model is None else _field(model, step)
        model = None if field is None else _model_in(field.annotation)
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
