"""Posting as a service: the threads that keep ledger and chain in step.

The follower and the poster each run in a loop of their own. What is expected to fail (a node that does not answer, a
full disk) is waited out with growing pauses; anything else is a bug and stops the service.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.chain.errors import ChainError
from bridge.posting.clock import Clock
from bridge.posting.follower import Follower
from bridge.posting.hub import Hub
from bridge.posting.poster import Poster
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import Recovery
from bridge.store.database import LedgerUnwritable
from bridge.store.writer import LedgerWriter, WriterStopped
from exchange.errors import TooBusy

#: How long a loop rests when there was nothing to do.
FOLLOW_REST_S = 0.1
POST_REST_S = 0.05
#: How long a loop rests after the node failed: doubled each time up to the most.
TROUBLE_REST_S = 0.1
TROUBLE_REST_MAX_S = 5.0
#: How long the reconciler rests before it looks whether something became final.
RECONCILE_REST_S = 5.0
STOP_TIMEOUT_S = 60.0

_log = logging.getLogger(__name__)


@dataclass
class Health:
    """How a loop fares: `trouble` is what it last failed at, None while all is well."""

    trouble: str | None = None
    ended: bool = False


@dataclass
class PostingHealth:
    """How posting fares, for the readiness check."""

    follower: Health = field(default_factory=Health)
    poster: Health = field(default_factory=Health)
    reconciler: Health = field(default_factory=Health)


class Posting:
    """Runs the follower, the poster and the reconciler until it is stopped."""

    def __init__(
        self,
        *,
        follower: Follower,
        poster: Poster,
        reconciler: Reconciler,
        recovery: Recovery,
        writer: LedgerWriter,
        hub: Hub,
        clock: Clock,
        on_bug: Callable[[], None],
    ) -> None:
        self.follower = follower
        self.health = PostingHealth()
        self._poster = poster
        self._reconciler = reconciler
        self._recovery = recovery
        self._writer = writer
        self._clock = clock
        self._on_bug = on_bug
        self._stopping = threading.Event()
        self._changes = hub.thread_listener()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to follow and to post. What an earlier run left unfinished is taken up first, by the same steps."""
        loops = (
            ("follower", self._follow, self.health.follower, self._rest),
            ("poster", self._poster.step, self.health.poster, self._rest_until_change),
            ("reconciler", self._reconciler.step, self.health.reconciler, self._rest_long),
        )
        for name, step, health, rest in loops:
            thread = threading.Thread(target=self._loop, args=(step, health, rest), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Finish the steps under way and end the threads."""
        self._stopping.set()
        self._changes.set()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT_S)
            assert not thread.is_alive(), f"{thread.name} did not end within {STOP_TIMEOUT_S} s"

    def _loop(self, step: Callable[[], bool], health: Health, rest: Callable[[], None]) -> None:
        pause_s = TROUBLE_REST_S
        try:
            while not self._stopping.is_set():
                try:
                    busy = step()
                except (ChainError, TooBusy, LedgerUnwritable) as trouble:
                    if health.trouble is None:
                        _log.warning("%s waits: %s", threading.current_thread().name, trouble.detail)
                    health.trouble = trouble.detail
                    self._stopping.wait(pause_s)
                    pause_s = min(pause_s * 2, TROUBLE_REST_MAX_S)
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

    def _follow(self) -> bool:
        moved = self.follower.step()
        return self._recovery.step() or moved

    def _rest(self) -> None:
        self._stopping.wait(FOLLOW_REST_S)

    def _rest_until_change(self) -> None:
        # Woken by commits, but not by each of a thousand: first let some gather, then see.
        self._stopping.wait(POST_REST_S)
        self._changes.wait(POST_REST_S)
        self._changes.clear()

    def _rest_long(self) -> None:
        self._stopping.wait(RECONCILE_REST_S)
