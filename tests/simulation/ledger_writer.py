"""The ledger's writer without its thread: each command is committed where it is asked for, between fault points."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa

from bridge.store.database import Database
from bridge.store.writer import LedgerWriter, _Job
from tests.simulation.crashes import FaultPoints, name_of


class InlineWriter(LedgerWriter):
    """Runs and commits with the code of the real writer. A bug is raised to whoever asked."""

    def __init__(self, database: Database, points: FaultPoints) -> None:
        super().__init__(database)
        self._points = points

    def start(self) -> None:
        """There is no thread to start."""

    def stop(self) -> None:
        """There is no thread to stop."""

    @property
    def running(self) -> bool:
        return True

    def together(self, commands: Sequence[Callable[[sa.Connection], Any]], name: str) -> list["Future[Any]"]:
        """The requests of several clients in one transaction: all are committed, or none."""
        jobs = [_Job(each, 1) for each in commands]
        self._write(name, jobs)
        return [each.future for each in jobs]

    def _enqueue(self, job: _Job) -> "Future[Any]":
        self._write(name_of(job.command), [job])
        return job.future

    def _write(self, name: str, jobs: list[_Job]) -> None:
        self._points.reach(f"before {name}")
        last, command = jobs[-1], jobs[-1].command

        def crash_before_commit(*given: Any) -> Any:
            answer = command(*given)
            self._points.reach(f"within {name}")
            return answer

        last.command = crash_before_commit
        self._commit(jobs)
        self._points.reach(f"after {name}")
