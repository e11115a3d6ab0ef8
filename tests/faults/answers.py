"""The kinds of faults, and what an asker may get instead of a result."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from bridge.chain.messages import NodeMessage

Forward = Callable[[str, list[Any]], Any]
"""Asks the node: gives the JSON result, or raises Refused."""


class Kind(StrEnum):
    """What can be done to a request or to its answer."""

    LOSE_REQUEST = "lose-request"
    LATE_REQUEST = "late-request"
    LOSE_ANSWER = "lose-answer"
    HOLD_ANSWER = "hold-answer"
    DOUBLE_REQUEST = "double-request"
    REORDER_ANSWERS = "reorder-answers"
    OLD_HEAD = "old-head"
    EMPTY_LOGS = "empty-logs"
    LOG_RANGE = "log-range"
    LOG_COUNT = "log-count"
    HIDE_RECEIPT = "hide-receipt"
    HIDE_TRANSACTION = "hide-transaction"
    REFUSE = "refuse"
    REFUSE_TAKEN = "refuse-taken"
    HTTP_STATUS = "http-status"
    HTML_PAGE = "html-page"
    TRUNCATED = "truncated"
    WRONG_ID = "wrong-id"


class Refused(Exception):
    """The node's own refusal: a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.message, self.data, self.status = code, message, data, status

    @classmethod
    def saying(cls, row: NodeMessage) -> Refused:
        """As this node or provider says it."""
        return cls(-32000 if row.code is None else row.code, row.example(), status=row.status)


class Lost(Exception):
    """No answer ever comes."""


class Odd(Exception):
    """The answer is not JSON-RPC; `result` is what the node said, for the kinds that spoil an answer that came."""

    def __init__(self, kind: Kind, status: int = 200, result: Any = None) -> None:
        super().__init__(kind)
        self.kind, self.status, self.result = kind, status, result
