"""The measured numbers as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from .floor import AT
from .guards import DEAR_SHARE, Guard
from .items import Measured
from .rivals import SIZE, Rival

HEAD = """\
Gas as receipts tell it, base and call data included, by Osaka's rules; all guards on.
The floor is what ERC-20 and the chain force, from the very bytes sent; what it contains is named below.
The fixed floor does not depend on the bytes; it is for 100 items at once and for one holder's swap."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run measured."""

    batches: Sequence[Measured]
    calls: Sequence[Measured]
    rivals: Sequence[Rival]
    guards: Sequence[Guard]


def as_json(report: Report) -> dict[str, Any]:
    """Numbers are gas per item; ratios are to the floors."""
    return {
        "items": [_item(measured) for measured in (*report.batches, *report.calls)],
        "rivals": [{"rival": it.rival, "item": it.item, "gas": it.per_item} for it in report.rivals],
        "guards": [
            {"guard": it.guard, "protects": it.protects, "gas": dict(it.per_item), "dear": it.is_dear}
            for it in report.guards
        ],
    }


def as_text(report: Report) -> str:
    """The tables, one after the other."""
    sections: Iterable[Iterable[str]] = (
        HEAD.splitlines(),
        _items("Batches, gas per item", sorted(report.batches, key=lambda it: (_order(report.batches, it), it.size))),
        _items("Calls of holders", report.calls),
        _contents(report),
        _rivals(report.rivals),
        _guards(report.guards),
    )
    return "\n".join(chain.from_iterable((*section, "") for section in sections if section)).rstrip() + "\n"


def _item(measured: Measured) -> dict[str, Any]:
    return {
        "item": measured.item,
        "size": measured.size,
        "gas": measured.per_item,
        "floor": measured.floor.gas / measured.size,
        "floor_contains": dict(measured.floor.parts),
        "ratio": measured.ratio,
        "fixed_floor": measured.fixed,
        "fixed_ratio": measured.fixed_ratio,
    }


def _items(title: str, items: Sequence[Measured]) -> list[str]:
    lines = [f"{title:54} {'items':>5} {'gas':>10} {'floor':>10} {'ratio':>7} {'fixed':>8} {'ratio':>7}"]
    for it in items:
        fixed = f"{it.fixed:8,} {it.fixed_ratio:7.3f}" if it.fixed else ""
        least = it.floor.gas / it.size
        lines.append(f"  {it.item:52} {it.size:5} {it.per_item:10,.1f} {least:10,.1f} {it.ratio:7.3f} {fixed}".rstrip())
    return lines


def _contents(report: Report) -> list[str]:
    """What the floor of each kind of item contains, once a kind."""
    lines = [f"What the floors contain, for a whole transaction: of {AT} items, or of one call"]
    for it in (*report.batches, *report.calls):
        if it.size == AT or it in report.calls:
            lines.append(f"  {it.item}")
            lines.append("      " + ", ".join(f"{part} {gas:,}" for part, gas in it.floor.parts))
    return lines


def _rivals(rivals: Sequence[Rival]) -> list[str]:
    if not rivals:
        return []
    lines = [f"Rivals without any guard, gas per item at {SIZE}"]
    return lines + [f"  {it.rival:48} {it.item:20} {it.per_item:10,.1f}" for it in rivals]


def _guards(guards: Sequence[Guard]) -> list[str]:
    if not guards:
        return []
    columns = list(guards[0].per_item)
    lines = [f"{f'What each guard costs an item at {SIZE}':50} " + " ".join(f"{name:>17}" for name in columns)]
    for it in guards:
        lines.append(f"  {it.guard:48} " + " ".join(f"{it.per_item[name]:17,.1f}" for name in columns))
    dear = [f"{it.guard} ({it.share:.1%} of a {it.item}; what it gives: {it.protects})" for it in guards if it.is_dear]
    lines.append(f"  Above {DEAR_SHARE:.0%} of an item: {'; '.join(dear) or 'none'}.")
    return lines


def _order(items: Sequence[Measured], one: Measured) -> int:
    """Where an item's kind stands first."""
    return [it.item for it in items].index(one.item)
