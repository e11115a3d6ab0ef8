"""What a lagging node shows of its chain: an old head, and nothing that came after it, whatever it is asked.

A node behind a load balancer answers like this: all its answers agree with each other, and are of the past.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.faults.answers import Forward, Refused

NAMED: Final = ("latest", "pending", "safe", "finalized")
STATE_AT: Final = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
}
"""Where these methods name the block that they ask about."""


class View:
    """The newest block that is shown: all of them, so many behind, or up to one number. `altered` hears of each lie."""

    def __init__(self, altered: Callable[[], None]) -> None:
        self._altered = altered
        self._behind = 0
        self._stuck_at: int | None = None

    def lag(self, blocks: int) -> None:
        """Stay so many blocks behind the chain."""
        self._behind, self._stuck_at = blocks, None

    def stick_at(self, number: int) -> None:
        """Show no block after this one, however far the chain goes."""
        self._behind, self._stuck_at = 0, number

    def catch_up(self) -> None:
        """Show all there is."""
        self._behind, self._stuck_at = 0, None

    def ask(self, method: str, params: list[Any], forward: Forward) -> Any:
        """The answer as a node would give it that has no block above the one shown."""
        if not self._behind and self._stuck_at is None:
            return forward(method, params)
        head = int(forward("eth_blockNumber", []), 16)
        shown = max(0, head - self._behind) if self._stuck_at is None else min(head, self._stuck_at)
        if shown == head:
            return forward(method, params)
        return self._ask_below(shown, method, params, forward)

    def _ask_below(self, shown: int, method: str, params: list[Any], forward: Forward) -> Any:
        if method == "eth_blockNumber":
            return self._instead(hex(shown))
        if method == "eth_getBlockByNumber":
            return self._block_by_number(shown, params, forward)
        if method == "eth_getLogs":
            return self._logs(shown, params[0], forward)
        if method in STATE_AT:
            return forward(method, self._past(shown, method, params, forward))
        found = forward(method, params)
        if isinstance(found, dict) and _above(found, shown):  # a block by its hash, a receipt, a transaction
            return self._instead(None)
        if method == "eth_getRawTransactionByHash" and found not in (None, "0x"):
            mined = forward("eth_getTransactionReceipt", params)
            return found if mined is None or not _above(mined, shown) else self._instead(None)
        return found

    def _block_by_number(self, shown: int, params: list[Any], forward: Forward) -> Any:
        asked = params[0]
        if asked in NAMED:
            found = forward("eth_getBlockByNumber", params)
            if found is None or not _above(found, shown):
                return found
            return self._instead(forward("eth_getBlockByNumber", [hex(shown), *params[1:]]))
        if asked != "earliest" and int(asked, 16) > shown:
            return self._instead(None)
        return forward("eth_getBlockByNumber", params)

    def _logs(self, shown: int, span: dict[str, Any], forward: Forward) -> Any:
        """Logs of blocks that it does not have are left out without a word, as many nodes do."""
        found = forward("eth_getLogs", [span])
        kept = [log for log in found if not _above(log, shown)]
        return found if len(kept) == len(found) else self._instead(kept)

    def _past(self, shown: int, method: str, params: list[Any], forward: Forward) -> list[Any]:
        """The same question about the newest block that is shown; of a later one nothing is known."""
        place = STATE_AT[method]
        block = params[place] if len(params) > place else "latest"
        if block == "earliest" or (isinstance(block, str) and block.startswith("0x") and int(block, 16) <= shown):
            return params
        if isinstance(block, dict) and "blockHash" in block:
            found = forward("eth_getBlockByHash", [block["blockHash"], False])
            if found is None or not _above(found, shown):
                return params
        elif block in NAMED:
            self._altered()
            return [*params[:place], hex(shown), *params[place + 1 :]]
        self._altered()
        raise Refused(-32000, "header not found")

    def _instead(self, answer: Any) -> Any:
        self._altered()
        return answer


def _above(found: dict[str, Any], shown: int) -> bool:
    """Whether a block, log, receipt or transaction stands in a block that is not shown."""
    number = found.get("blockNumber", found.get("number"))
    return number is not None and int(number, 16) > shown
