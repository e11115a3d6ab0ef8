"""Listening to other processes on one PostgreSQL ledger: each says with its commits that something changed.

A notice carries nothing but who it is from, so one that is lost is made up for by the next, or by the clock: whoever
waits for a change is woken every few seconds in any case.
"""

import logging
import threading
import time
from collections.abc import Callable

import psycopg
import sqlalchemy as sa

from bridge.store.database import LedgerUnwritable

CHANNEL = "sarraf"
#: How long a round of listening takes: a stop waits for its end.
ROUND_S = 0.25
#: How long a listener hears nothing before it looks by itself, and how often it does while there is no connection.
LOOK_EVERY_S = 5.0
RECONNECT_EVERY_S = 0.5
STOP_TIMEOUT_S = 30.0

_log = logging.getLogger(__name__)


class Listening:
    """A thread that calls `on_change` when another process than `own` has changed the ledger."""

    def __init__(self, connect: Callable[[], sa.Connection], own: str, on_change: Callable[[], None]) -> None:
        self._connect = connect
        self._own = own
        self._on_change = on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-listener", daemon=True)
        #: whether changes are heard at once; else they are looked for
        self.hears = threading.Event()

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(STOP_TIMEOUT_S)
        assert not self._thread.is_alive(), f"the listener did not end within {STOP_TIMEOUT_S} s"

    def _run(self) -> None:
        lost = False
        while not self._stopping.is_set():
            try:
                with self._connect() as connection:
                    connection.exec_driver_sql(f"LISTEN {CHANNEL}")
                    self.hears.set()
                    if lost:
                        _log.warning("changes by other processes are heard again")
                    lost = False
                    self._hear(connection)
            except (LedgerUnwritable, sa.exc.OperationalError, psycopg.OperationalError) as trouble:
                if not lost:
                    _log.warning("changes by other processes are looked for every %s s: %s", RECONNECT_EVERY_S, trouble)
                lost = True
            self.hears.clear()
            self._on_change()
            self._stopping.wait(RECONNECT_EVERY_S)

    def _hear(self, connection: sa.Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        due = 0.0  # something may have changed before anybody listened
        while not self._stopping.is_set():
            changed = time.monotonic() >= due
            for notice in driver.notifies(timeout=ROUND_S, stop_after=1):
                changed = changed or notice.payload != self._own
            if changed:
                due = time.monotonic() + LOOK_EVERY_S
                self._on_change()
