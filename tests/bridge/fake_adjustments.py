"""The fake service's adjustments: taken as they come, and decided as they are told; no points move."""

from typing import Any

from tests.bridge.fake_market import Json


class FakeAdjustments:
    """Proposals by their id; `answers` to each request are the proposal itself."""

    def __init__(self) -> None:
        self.adjustments: dict[str, Json] = {}

    def proposed(self, body: Json) -> Json:
        """A new proposal."""
        made: Json = {
            "id": f"adj_{len(self.adjustments) + 1}",
            "kind": "thaw" if body.get("thaw") else "points",
            "member_id": body.get("member_id") or body.get("member_number"),
            "account": body.get("account"),
            "points": body.get("points", 0),
            "reason": body["reason"],
            "state": "proposed",
            "proposed_by": "Ann",
            "decided_by": None,
            "note": None,
        }
        self.adjustments[made["id"]] = made
        return made

    def decided(self, adjustment_id: str, state: str, note: Any = None) -> Json:
        """The proposal once it is decided."""
        found = self.adjustments[adjustment_id]
        found |= {"state": state, "decided_by": "Bob", "note": note}
        return found
