"""Differences: field by field, what two written forms do not say alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DEPTH_MAX = 16
"""Levels below each other; forms of terms have four."""

_NAMES: Mapping[str, tuple[str, ...]] = {
    "bonuses": ("name",),
    "caps": ("per", "side", "scope", "shared", "tiers", "except_tiers"),
    "minimums": ("tiers",),
}
"""What tells the parts of a list apart, so that one that was put in between does not alter all that follow."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs; None where a side does not say it."""

    field: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"field": self.field, "before": self.before, "after": self.after}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The fields that differ, in the order of `before`; what only `after` says comes behind its neighbours."""
    return list(_in_mappings("", before, after, DEPTH_MAX))


def _in_mappings(path: str, before: Mapping[str, Any], after: Mapping[str, Any], depth: int) -> Iterator[Difference]:
    assert depth > 0, "forms are not nested without end"
    for name in dict.fromkeys((*before, *after)):
        field = f"{path}.{name}" if path else name
        yield from _in_values(field, name, before.get(name), after.get(name), depth)


def _in_values(field: str, name: str, before: Any, after: Any, depth: int) -> Iterator[Difference]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _in_mappings(field, before, after, depth - 1)
    elif _has_parts(before) and _has_parts(after):
        yield from _in_mappings(field, _labelled(name, before), _labelled(name, after), depth - 1)
    else:
        yield Difference(field, before, after)


def _has_parts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


def _labelled(name: str, parts: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The parts of a list by what they are called, or else by their place; equal labels are numbered."""
    labelled: dict[str, Mapping[str, Any]] = {}
    for place, part in enumerate(parts):
        label = " ".join(_said(key, part[key]) for key in _NAMES.get(name, ()) if key in part) or str(place)
        times = sum(each == label or each.startswith(f"{label} #") for each in labelled)
        labelled[f"{label} #{times + 1}" if times else label] = part
    return labelled


def _said(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return key if value else f"not {key}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
