"""Caps: how much the terms of one direction let through now."""

from exchange.errors import OverCap
from exchange.points import POINTS_MAX, Points
from exchange.rules import Cap, Side, is_for
from exchange.situation import Situation
from exchange.terms import Terms


def room_in(terms: Terms, situation: Situation) -> tuple[int, int]:
    """The most source points that the caps let out now, and the most destination points that they let in."""
    out, into = POINTS_MAX, POINTS_MAX
    for cap in binding_caps(terms, situation.tier):
        left = _left(cap, situation)
        if cap.side is Side.OUT:
            out = Points(min(out, left))
        else:
            into = Points(min(into, left))
    return out, into


def binding_caps(terms: Terms, tier: str | None) -> list[Cap]:
    """The caps that bind a member of this tier."""
    return [cap for cap in terms.rules.caps if is_for(tier, cap.tiers, cap.except_tiers)]


def _left(cap: Cap, situation: Situation) -> int:
    used = situation.used_of(cap)
    if cap.count is not None and used.count >= cap.count:
        return 0
    return POINTS_MAX if cap.points is None else max(0, cap.points - used.points)


def require_count(terms: Terms, situation: Situation, field: str) -> None:
    """Raises `OverCap` where no more transfers are allowed in a running period."""
    for cap in binding_caps(terms, situation.tier):
        if cap.count is not None and situation.used_of(cap).count >= cap.count:
            raise OverCap(
                f"these terms allow {cap.count:,} transfers {cap.per.spoken}, and so many were made",
                field=field,
                limit=cap.count,
            )
