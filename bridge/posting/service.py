"""Posting as a service: the threads that keep ledger and chain in step, as far as this process leads.

Each part runs in a loop of its own, and only while its lease is held: else the loop stands by. What is expected to fail
(a node that does not answer, a full disk, another process that has taken over) is waited out with growing pauses;
anything else is a bug and stops the service.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from bridge.chain.errors import ChainError
from bridge.posting.clock import steady_clock
from bridge.posting.hub import Hub
from bridge.posting.leadership import Leadership
from bridge.posting.parts import Following, Parts
from bridge.posting.recovery import Recovery
from bridge.store.leases import CHAIN, KEEPER, Fenced
from bridge.store.writer import WriterStopped
from exchange.errors import Unavailable

#: How long a loop rests when there was nothing to do.
FOLLOW_REST_S = 0.1
POST_REST_S = 0.05
KEEP_REST_S = 0.5
#: How long the loops of the leases rest at most: a small part of a lease's life.
LEASE_REST_S = 0.2
#: How long a loop rests after the node failed: doubled each time up to the most.
TROUBLE_REST_S = 0.1
TROUBLE_REST_MAX_S = 5.0
#: How long the reconciler rests before it looks whether something became final.
RECONCILE_REST_S = 5.0
#: How long a node may fail the process that leads before that gives way, and for how long then: others may have a
#: node that answers. Longer than a node takes that is started anew.
CUT_OFF_MS = 30_000
STOP_TIMEOUT_S = 60.0

_log = logging.getLogger(__name__)

Term = TypeVar("Term")


class Part(Protocol):
    """What runs while this process leads."""

    def step(self) -> bool:
        """Do what there is to do now; whether there was anything."""
        ...


Made = TypeVar("Made", bound=Part)


@dataclass(eq=False)
class Health:
    """How a loop fares: `trouble` is what it last failed at, None while all is well; since when, and of the node."""

    trouble: str | None = None
    since_ms: int = 0
    of_node: bool = False
    ended: bool = False

    def fails(self, trouble: Unavailable) -> None:
        """The loop failed at this."""
        if self.trouble is None:
            _log.warning("%s waits: %s", threading.current_thread().name, trouble.detail)
            self.since_ms = steady_clock()
        self.trouble, self.of_node = trouble.detail, isinstance(trouble, ChainError)

    def is_cut_off(self) -> bool:
        """Whether the node has failed the loop for too long."""
        return self.trouble is not None and self.of_node and steady_clock() - self.since_ms >= CUT_OFF_MS


@dataclass
class PostingHealth:
    """How posting fares, for the readiness check."""

    renewal: Health = field(default_factory=Health)
    leases: Health = field(default_factory=Health)
    follower: Health = field(default_factory=Health)
    poster: Health = field(default_factory=Health)
    reconciler: Health = field(default_factory=Health)
    keeper: Health = field(default_factory=Health)


class Seat(Generic[Term, Made]):
    """Where one part of posting sits, made anew for each term; empty while this process does not lead."""

    def __init__(self, term: Callable[[], Term | None], make: Callable[[Term], Made]) -> None:
        self._term = term
        self._make = make
        self._made_for: Term | None = None
        self.part: Made | None = None

    def step(self) -> bool:
        """A step of the part of this term. Answers whether there was anything to do. Raises what the part raises."""
        term = self._term()
        if term != self._made_for:
            self.part = self._make(term) if term else None
            self._made_for = term
        return self.part is not None and self.part.step()


class Posting:
    """Runs follower, poster, reconciler and keeper, each while this process leads there, until it is stopped.

    `recovery` is what the API of this process asks: it is told of what any process finds.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        leadership: Leadership,
        recovery: Recovery,
        hub: Hub,
        on_bug: Callable[[], None],
    ) -> None:
        self.health = PostingHealth()
        self.leadership = leadership
        self._recovery = recovery
        self._hub = hub
        self._on_bug = on_bug
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._following = Seat(lambda: leadership.grant(CHAIN), parts.following)
        self._reconciling = Seat(lambda: leadership.grant(CHAIN), parts.reconciler)
        self._keeping = Seat(lambda: leadership.grant(KEEPER), parts.keeper)
        self._posting = Seat(leadership.lanes, parts.poster)

    @property
    def head(self) -> int | None:
        """The newest block that the node told of, where this process follows the chain."""
        following: Following | None = self._following.part
        return None if following is None else following.head

    def start(self) -> None:
        """Begin to lead where nobody does. What an earlier run left unfinished is taken up first, by the same steps."""
        loops = (
            ("renewal", self.leadership.renew, self.health.renewal, partial(self._stopping.wait, LEASE_REST_S)),
            ("leases", self._watch, self.health.leases, self._rest_until_change(LEASE_REST_S)),
            ("follower", self._following.step, self.health.follower, partial(self._stopping.wait, FOLLOW_REST_S)),
            ("poster", self._posting.step, self.health.poster, self._rest_until_change(POST_REST_S)),
            (
                "reconciler",
                self._reconciling.step,
                self.health.reconciler,
                partial(self._stopping.wait, RECONCILE_REST_S),
            ),
            ("keeper", self._keeping.step, self.health.keeper, partial(self._stopping.wait, KEEP_REST_S)),
        )
        for name, step, health, rest in loops:
            thread = threading.Thread(target=self._loop, args=(step, health, rest), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the steps under way, end the threads, and let others lead."""
        self._stopping.set()
        self._hub.notify()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
            assert not thread.is_alive(), f"{thread.name} did not end within {STOP_TIMEOUT_S} s"
        try:
            self.leadership.give_back()
        except (Unavailable, WriterStopped) as trouble:
            _log.warning("the leases are not given back, and lapse: %s", trouble)

    def _watch(self) -> bool:
        self._recovery.look()
        if self.health.follower.is_cut_off() and self.leadership.grants():
            _log.warning("this process gives way to others: its node has failed it for %s ms", CUT_OFF_MS)
            self.leadership.give_way(CUT_OFF_MS)
        return self.leadership.take()

    def _loop(self, step: Callable[[], bool], health: Health, rest: Callable[[], object]) -> None:
        pause_s = TROUBLE_REST_S
        try:
            while not self._stopping.is_set():
                try:
                    busy = step()
                except Fenced as refusal:
                    self.leadership.lost(refusal)
                    continue
                except Unavailable as trouble:
                    health.fails(trouble)
                    self._stopping.wait(pause_s)
                    # Leases are not left alone for long: whoever can write again leads again at once.
                    patient = health not in (self.health.renewal, self.health.leases)
                    pause_s = min(pause_s * 2, TROUBLE_REST_MAX_S if patient else LEASE_REST_S)
                    continue
                health.trouble, pause_s = None, TROUBLE_REST_S
                if not busy:
                    rest()
        except WriterStopped:
            if not self._stopping.is_set():
                raise
        except BaseException:  # noqa: BLE001 - the last stop of a bug: it ends the service
            _log.critical("%s stops: it failed unexpectedly", threading.current_thread().name, exc_info=True)
            self._on_bug()
        finally:
            health.ended = True

    def _rest_until_change(self, seconds: float) -> Callable[[], None]:
        changes = self._hub.thread_listener()

        def rest() -> None:
            # Woken by commits, but not by each of a thousand: first let some gather, then see.
            self._stopping.wait(POST_REST_S)
            changes.wait(seconds)
            changes.clear()

        return rest
