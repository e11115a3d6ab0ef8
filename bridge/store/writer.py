"""The ledger's one writer: commits many requests in one transaction.

A full sync to disk costs the same for one request as for a hundred, so the writer takes whatever waits (up to named
limits), runs each command behind a savepoint of its own, commits once, and only then answers. An expected error undoes
its own command and is answered. When the disk takes no more, the whole group is undone and refused, and the writer goes
on. Where the database asks for it (a deadlock, a connection lost before the commit) the whole group is run again from
its beginning: so a command may have no effect but on its connection, or one that `when_undone` forgets.
Anything else is a bug: the whole group is undone, the writer stops, and so does the service, since a ledger that goes
on after a failed assertion is worse than one that stands still.
"""

import logging
import queue
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.store import chainstate
from bridge.store.database import Database, LedgerUnwritable, LedgerWentBack, Undone, savepoint
from exchange.errors import SarrafError, TooBusy

#: Requests that may wait for the writer; one more is told to come back.
QUEUE_MAX = 10_000
#: Commands in one transaction.
GROUP_COMMANDS_MAX = 500
#: Weight of the commands in one transaction: a bulk call of a thousand earns weighs a thousand.
GROUP_WEIGHT_MAX = 4_000
#: How often a group is run before the database that undoes it is taken for one that cannot be written.
TRIES_MAX = 5
#: How often a ledger that could not be written is tried again while nobody writes.
PROBE_EVERY_S = 1.0
#: How long stop() waits for what was queued before it.
STOP_TIMEOUT_S = 30.0

Result = TypeVar("Result")
Item = TypeVar("Item")
Command = Callable[[sa.Connection], Result]
#: A command that takes the items of many requests in one go and answers each, in their order.
SharedCommand = Callable[[sa.Connection, Sequence[Item]], Sequence[Result]]

_log = logging.getLogger(__name__)


class WriterStopped(RuntimeError):
    """The writer no longer runs: the service is stopping, or a bug stopped it."""


class _Job:
    """One request: a command of its own, or `items` for a shared command that neighbours with the same `share` join."""

    def __init__(
        self, command: Callable[..., Any], weight: int, *, share: Hashable = None, items: Sequence[Any] = ()
    ) -> None:
        self.command = command
        self.weight = weight
        self.share = share
        self.items = items
        self.future: Future[Any] = Future()
        self.answer: Any = None
        self.refusal: SarrafError | None = None


def _run_together(jobs: Sequence[_Job], connection: sa.Connection) -> None:
    """Run neighbours of one share as one command, behind one savepoint; what it refuses, it refuses to all of them."""
    try:
        with savepoint(connection):
            if jobs[0].share is None:
                (job,) = jobs
                job.answer = job.command(connection)
                return
            answers = jobs[0].command(connection, [item for job in jobs for item in job.items])
            start = 0
            for job in jobs:
                job.answer = answers[start : start + len(job.items)]
                start += len(job.items)
            assert start == len(answers), "a shared command answers each item"
    except SarrafError as refusal:
        for job in jobs:
            job.refusal = refusal


def _neighbours(group: Sequence[_Job]) -> Iterator[list[_Job]]:
    """The group in its order, neighbours of one share together."""
    together: list[_Job] = []
    for job in group:
        if together and (job.share is None or job.share != together[0].share):
            yield together
            together = []
        together.append(job)
    if together:
        yield together


class LedgerWriter:
    """Runs commands on the ledger, in the order they came, in groups.

    `on_commit` is called in the writer's thread after each commit; `on_bug` once, when a command failed unexpectedly.
    `trouble` says why the ledger could not be written, None while it can.
    """

    def __init__(
        self,
        database: Database,
        *,
        on_commit: Callable[[], None] = lambda: None,
        on_bug: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._on_commit = on_commit
        self._on_bug = on_bug
        self._on_undone: list[Callable[[], None]] = []
        self.trouble: str | None = None
        self._queue: queue.Queue[_Job | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._accepting = threading.Event()
        # Whoever is let in is in the queue before the queue is closed: nobody waits behind its end for ever.
        self._door = threading.Lock()

    def when_undone(self, forget: Callable[[], None]) -> None:
        """Call `forget` in the writer's thread when a group was undone as a whole, before the next one.

        For what commands read within their transaction and keep in memory.
        """
        self._on_undone.append(forget)

    def start(self) -> None:
        """Begin to take commands."""
        self._accepting.set()
        self._thread.start()

    def stop(self) -> None:
        """Finish what was queued and end the thread."""
        with self._door:
            self._accepting.clear()
            self._queue.put(None)
        self._thread.join(STOP_TIMEOUT_S)
        assert not self._thread.is_alive(), f"the ledger writer did not end within {STOP_TIMEOUT_S} s"

    @property
    def running(self) -> bool:
        """Whether commands are taken."""
        return self._accepting.is_set()

    @property
    def waiting(self) -> int:
        """How many commands wait for their transaction."""
        return self._queue.qsize()

    def submit(self, command: Command[Result], weight: int = 1) -> "Future[Result]":
        """Queue `command`; its future answers after the commit that holds it.

        Raises TooBusy when QUEUE_MAX commands wait already, WriterStopped when the writer does not run.
        """
        return self._enqueue(_Job(command, weight))

    def submit_shared(
        self, command: SharedCommand[Item, Result], items: Sequence[Item], *, share: Hashable
    ) -> "Future[Sequence[Result]]":
        """Queue `items` for a command that neighbours in the queue with the same `share` join: one call for them all.

        A hundred single requests of one kind then cost hardly more statements than one. Raises TooBusy, WriterStopped.
        """
        assert share is not None
        return self._enqueue(_Job(command, len(items), share=share, items=items))

    def _enqueue(self, job: _Job) -> "Future[Any]":
        with self._door:
            if not self._accepting.is_set():
                raise WriterStopped("the ledger writer does not run")
            if self._queue.qsize() >= QUEUE_MAX:
                raise TooBusy(f"{QUEUE_MAX} requests wait for the ledger already; try again shortly", limit=QUEUE_MAX)
            self._queue.put(job)
        return job.future

    def run(self, command: Command[Result], weight: int = 1) -> Result:
        """Queue `command` and wait for its commit. Raises what the command raised, and LedgerUnwritable."""
        return self.submit(command, weight).result()

    def _run(self) -> None:
        group: list[_Job] = []
        try:
            while True:
                group, last = self._take()
                if group:
                    self._try(group)
                if last:
                    break
        except BaseException as bug:  # noqa: BLE001 - the last stop of a bug: it ends the service
            with self._door:
                self._accepting.clear()
            _log.critical("the ledger writer stops: a command failed unexpectedly", exc_info=True)
            self._fail(group, bug)
            if isinstance(bug, LedgerWentBack):
                self._mark(bug)
            self._on_bug()

    def _mark(self, older: LedgerWentBack) -> None:
        """Let the next start take in from the chain what the older copy lacks."""
        self._database.accept_older()
        try:
            with self._database.write() as connection:
                chainstate.begin_recovery(connection, str(older), self._database.now_ms(connection))
        except LedgerUnwritable as refusal:
            _log.critical("the older copy is not marked as one, do it by hand: %s", refusal.detail)

    def _take(self) -> tuple[list[_Job], bool]:
        """The next group, and whether it is the last one."""
        group: list[_Job] = []
        weight = 0
        try:
            job = self._queue.get(timeout=None if self.trouble is None else PROBE_EVERY_S)
        except queue.Empty:
            return [_Job(self._database.probe, 1)], False
        while job is not None:
            # Who gave up waiting is passed over; who is taken can no longer give up, so that it is answered.
            if job.future.set_running_or_notify_cancel():
                group.append(job)
                weight += job.weight
            if len(group) >= GROUP_COMMANDS_MAX or weight >= GROUP_WEIGHT_MAX:
                return group, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _try(self, group: list[_Job]) -> None:
        for tries_left in reversed(range(TRIES_MAX)):
            try:
                self._commit(group)
            except LedgerUnwritable as refusal:
                self._forget_undone()
                if isinstance(refusal, Undone) and tries_left:
                    _log.warning("a group of %d commands is run again: %s", len(group), refusal.detail)
                    continue
                self._refuse(group, refusal)
                return
            self._on_commit()
            return

    def _forget_undone(self) -> None:
        for forget in self._on_undone:
            forget()

    def _refuse(self, group: list[_Job], refusal: LedgerUnwritable) -> None:
        if self.trouble is None:
            _log.critical("%s", refusal.detail)
        self.trouble = refusal.detail
        for job in group:
            job.future.set_exception(refusal)

    def _commit(self, group: list[_Job]) -> None:
        for job in group:  # what an earlier try said counts no more
            job.answer = job.refusal = None
        with self._database.write() as connection:
            for together in _neighbours(group):
                _run_together(together, connection)
        if self.trouble is not None:  # before anybody is answered, so that who was answered finds it over
            _log.warning("the ledger can be written again")
            self.trouble = None
        for job in group:
            if job.refusal is not None:
                job.future.set_exception(job.refusal)
            else:
                job.future.set_result(job.answer)

    def _fail(self, group: list[_Job], bug: BaseException) -> None:
        for job in group:
            if not job.future.done():
                job.future.set_exception(bug)
        while True:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return
            if waiting is not None and waiting.future.set_running_or_notify_cancel():
                waiting.future.set_exception(WriterStopped("the ledger writer stopped"))
