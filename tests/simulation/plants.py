"""Planted bugs: mistakes that somebody could make in the service, which the simulation must find.

Each takes one rule away while a run lasts, of the mechanism or of what is answered.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from bridge.chain.errors import RpcRefused
from bridge.chain.finality import Final, FinalityRule
from bridge.chain.rpc import Block, Log
from bridge.posting import follower, imports
from bridge.posting.follower import Follower
from bridge.posting.submitter import Submitter
from bridge.store import earns, holds, outcomes, reversals, swaps
from bridge.store.earns import EarnRequest
from bridge.store.holds import Hold
from bridge.store.requests import Known
from bridge.store.schema import account, operation
from exchange.errors import UnknownMember
from tests.simulation.scenario import MAKING, Scenario

#: How often at least a planted run meets its faults.
CRASH_ONE_IN, WIRE_ONE_IN = 20, 20


@dataclass(frozen=True, slots=True)
class Plant:
    """A mistake: what it is, how it is made, and which kinds of fault it takes to show.

    `at_once`: it shows on a chain whose blocks are final when they are made, as those of the embedded one are.
    """

    told: str
    make: Callable[[], AbstractContextManager[Any]]
    needs: frozenset[str]
    at_once: bool = False

    def among(self, found: Scenario) -> Scenario:
        """A run with only those faults that it takes, so that nothing else comes first."""
        depth = 0 if self.at_once else max(found.final_depth, 2)
        return replace(
            found,
            kinds=self.needs,
            crash_one_in=min(found.crash_one_in, CRASH_ONE_IN),
            wire_one_in=min(found.wire_one_in, WIRE_ONE_IN),
            final_depth=depth,
            finality=f"depth:{depth}",
            lazy=self.at_once,
            processes=1,
            aims=(),
        )


@contextmanager
def _send_before_store() -> Iterator[None]:
    right = Submitter._store

    def wrong(self: Submitter, *given: Any, **named: Any) -> Any:
        made = right(self, *given, **named)
        with suppress(RpcRefused):  # any answer is only a hint
            self._rpc.send_raw(made.raw)  # its transaction is not committed yet
        return made

    with patch.object(Submitter, "_store", wrong):
        yield


def _forget_to_undo() -> AbstractContextManager[Any]:
    return patch.object(outcomes, "unconfirm", lambda *_: None)


def _final_at_once() -> AbstractContextManager[Any]:
    return patch.object(FinalityRule, "final", lambda _self, _rpc, head: Final(head, None))


def _any_digest_is_ours() -> AbstractContextManager[Any]:
    return patch.object(imports, "follow", lambda *_: None)


def _any_body_is_the_same() -> AbstractContextManager[Any]:
    return patch.object(Known, "require_same", lambda *_: None)


@contextmanager
def _believe_empty_logs() -> Iterator[None]:
    def wrong(self: Follower, found: Block, contracts: Sequence[bytes]) -> list[Log]:
        return self._rpc.logs(found.hash, contracts)

    with patch.object(Follower, "_logs", wrong), patch.object(follower, "_require_events", lambda *_: None):
        yield


@contextmanager
def _wrong_account() -> Iterator[None]:
    right = earns._enrolled

    def wrong(connection: sa.Connection, program_id: str, requests: Sequence[EarnRequest]) -> Any:
        found = right(connection, program_id, requests)
        first = connection.execute(
            sa.select(sa.func.min(account.c.id)).where(account.c.program_id == program_id, account.c.kind == "member")
        ).scalar_one()
        return {each: replace(who, account_id=first) for each, who in found.items()}

    with patch.object(earns, "_enrolled", wrong):
        yield


def _refuse_all() -> AbstractContextManager[Any]:
    def wrong(*_: Any) -> Any:
        raise UnknownMember("nobody is known", field="member_id")

    return patch.object(earns, "_accept_one", wrong)


@contextmanager
def _fail_swaps() -> Iterator[None]:
    right = swaps.accept

    def wrong(connection: sa.Connection, program_id: str, key: str, quote_id: str, now_ms: int) -> tuple[str, bool]:
        made, replayed = right(connection, program_id, key, quote_id, now_ms)
        if not replayed:
            outcomes.fail_swap(connection, made, "a whim", now_ms)
        return made, replayed

    with patch.object(swaps, "accept", wrong):
        yield


@contextmanager
def _void_does_nothing() -> Iterator[None]:
    right = holds._close

    def wrong(connection: sa.Connection, found: Hold, state: str, now_ms: int, *more: Any) -> Hold:
        return found if state == holds.VOIDED else right(connection, found, state, now_ms, *more)

    with patch.object(holds, "_close", wrong):
        yield


@contextmanager
def _forget_earlier_parts() -> Iterator[None]:
    right = reversals.taken_back

    def wrong(connection: sa.Connection, operation_id: str) -> int:
        kind = connection.scalar(sa.select(operation.c.kind).where(operation.c.id == operation_id))
        return 0 if kind == "earn" else right(connection, operation_id)

    with patch.object(reversals, "taken_back", wrong):
        yield


PLANTS = {
    "send-before-store": Plant(
        "the signed bytes are sent before the transaction that stores them is committed",
        _send_before_store,
        frozenset({"crash"}),
    ),
    "forget-to-undo": Plant(
        "a reorganisation takes the blocks away, and leaves their batches confirmed",
        _forget_to_undo,
        frozenset({"reorganisation"}),
    ),
    "final-at-once": Plant(
        "a block counts as final as soon as it is seen", _final_at_once, frozenset({"reorganisation"})
    ),
    "any-digest": Plant(
        "a batch on the chain that nobody froze here is not looked at", _any_digest_is_ours, frozenset({"stolen key"})
    ),
    "believe-the-newest": Plant(
        "how many nonces are used as of the newest block is believed at the first answer",
        lambda: patch.object(Submitter, "_made_certain", lambda _, lane, seen, known: seen),  # noqa: ARG005
        frozenset({MAKING, "crash"}),
        at_once=True,
    ),
    "any-body": Plant(
        "a key that was used is answered without comparing what is asked", _any_body_is_the_same, frozenset()
    ),
    "wrong-account": Plant("every earn is credited to the program's first account", _wrong_account, frozenset()),
    "refuse-all": Plant("every earn is refused as if its member were unknown", _refuse_all, frozenset()),
    "fail-swaps": Plant("every swap is accepted, and given up at once", _fail_swaps, frozenset()),
    "void-nothing": Plant("a hold is said to be voided, and stays open", _void_does_nothing, frozenset()),
    "forget-parts": Plant(
        "of an earn all can be taken back again and again, in parts", _forget_earlier_parts, frozenset()
    ),
    "believe-empty-logs": Plant(
        "a node that shows no logs of a block is believed", _believe_empty_logs, frozenset({"empty logs"})
    ),
}
