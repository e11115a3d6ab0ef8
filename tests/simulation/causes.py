"""What a partner may be refused who asks about holds, pending earns, reversals and adjustments.

Like the rest of the reckoning it knows what partners know, takes for accepted what may have been, and lets a refusal
pass where it cannot be sure.
"""

from collections.abc import Iterator, Sequence

from tests.simulation.ground import DEBT_LIMIT, OWING
from tests.simulation.request import EARNS, Request


class Causes:
    """Causes among `requests`, which is everything that was ever asked."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = requests
        #: the latest time that the service has seen
        self.latest_ms = 0
        self.restored = False
        #: reversals of what was not final yet when they were asked for
        self.early: set[Request] = set()

    def may_refuse(self, one: Request, why: str, least: int) -> bool:
        """Whether there is a cause, of a member who must have `least` points to spend."""
        if self.restored and why in ("unknown-hold", "unknown-operation", "unknown-adjustment"):
            return True
        match one.kind:
            case "capture" | "void":
                return self._about_hold(one, why)
            case "change" | "cancellation":
                return why == "earn-not-pending" and self._may_have_come(one)
            case "reversal":
                return self._about_reversal(one, why, least)
            case "approval" | "rejection":
                return self._about_proposal(one, why, least)
        return False

    def _others(self, one: Request, *kinds: str) -> Iterator[Request]:
        """What else was asked about the same, and may have been accepted."""
        return (
            each
            for each in self._requests
            if each is not one
            and each.may_stand
            and each.kind in kinds
            and each.of is one.of
            and each.hold_id == one.hold_id
        )

    def _about_hold(self, one: Request, why: str) -> bool:
        of, captured = one.of, list(self._others(one, "capture"))
        assert of is not None and of.at_ms is not None and of.first_ms is not None
        most = sum(each.points for each in captured)
        if why == "insufficient-points":
            return one.kind == "capture" and (one.points + most > of.points or self.restored)
        ended = any(each.final or each.whole for each in captured) or any(self._others(one, "void"))
        over = self.latest_ms >= of.first_ms + of.at_ms
        return why == "hold-closed" and (ended or over or most >= of.points or self.restored)

    def _may_have_come(self, one: Request) -> bool:
        assert one.of is not None
        return (
            self.restored
            or any(self._others(one, "cancellation"))
            or self.latest_ms >= release_at_least(self._requests, one.of)
        )

    def _about_reversal(self, one: Request, why: str, least: int) -> bool:
        of = one.of
        assert of is not None
        match why:
            case "more-than-original":
                others = sum(each.points for each in self._others(one, "reversal"))
                all_left = 1 if one.whole else one.points
                # How much was left of a hold that was captured whole, the partner was told, and this does not know.
                return of.whole or all_left + others > min(amounts_of(self._requests, of))
            case "not-reversible":
                return of.kind == "pending" or one in self.early
            case "points-spent":
                may_owe = DEBT_LIMIT if of.program.symbol in OWING else 0
                owed = sum(each.points for each in self._requests if self._makes_debt(each, one))
                return of.kind in EARNS and least + max(0, may_owe - owed) < one.points
        return False

    @staticmethod
    def _makes_debt(each: Request, one: Request) -> bool:
        if each is one or each.kind != "reversal" or each.member_id != one.member_id or not each.may_stand:
            return False
        assert each.of is not None
        return each.of.kind in EARNS

    def _about_proposal(self, one: Request, why: str, least: int) -> bool:
        assert one.of is not None
        match why:
            case "same-person":
                return one.person == one.of.person
            case "adjustment-state":
                return self.restored or any(self._others(one, "approval", "rejection"))
            case "insufficient-points":
                return one.points < 0 and least < -one.points
        return False


def amounts_of(requests: Sequence[Request], earn: Request) -> set[int]:
    """How many points an earn may be of: as it was asked, or as it was changed."""
    changes = (each for each in requests if each.kind == "change" and each.of is earn and each.may_stand)
    return {earn.points, *(each.points for each in changes)}


def release_at_least(requests: Sequence[Request], earn: Request) -> int:
    """Before when the points of a pending earn cannot have come. A time that was over when it was asked for is now."""
    assert earn.at_ms is not None
    changes = (each for each in requests if each.kind == "change" and each.of is earn and each.may_stand)
    return min([earn.at_ms, *(each.at_ms for each in changes if each.at_ms is not None)])
