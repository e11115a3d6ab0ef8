"""Fenced writers: every write of posting begins with the lease that it is made under.

The lease's token is looked at in the same transaction, first. A process that was asleep while another took over so
changes nothing, however far it had come: its write is refused as a whole (`Fenced`).
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Protocol, TypeVar

import sqlalchemy as sa

from bridge.store import leases
from bridge.store.leases import Grant
from bridge.store.writer import Command, LedgerWriter

Result = TypeVar("Result")


class Writer(Protocol):
    """Runs a command in a transaction and answers after the commit."""

    def run(self, command: Command[Result], weight: int = 1) -> Result:
        """What the command answered. Raises what it raised, and LedgerUnwritable."""
        ...


class FencedWriter:
    """Runs commands under one lease. Raises Fenced, with nothing written, where another process has taken it."""

    def __init__(self, writer: LedgerWriter, grant: Grant) -> None:
        self._writer = writer
        self.grant = grant

    def run(self, command: Command[Result], weight: int = 1) -> Result:
        """What the command answered, after the commit."""
        return self._writer.run(partial(_under, self.grant, command), weight)


def _under(grant: Grant, command: Command[Result], connection: sa.Connection) -> Result:
    leases.require(connection, grant)
    return command(connection)


class Lanes(Protocol):
    """The lanes that posting may act on, each with its own writer."""

    def led(self, lane_ids: Collection[int]) -> frozenset[int]:
        """Those of these lanes that this process leads."""
        ...

    def writer(self, lane_id: int) -> Writer:
        """Writes for this lane, which is led."""
        ...


class LedLanes:
    """The lanes whose leases this process holds."""

    def __init__(self, writers: Mapping[int, Writer]) -> None:
        self._writers = dict(writers)

    def led(self, lane_ids: Collection[int]) -> frozenset[int]:
        """Those whose lease was held when this was made."""
        return frozenset(lane_ids) & self._writers.keys()

    def writer(self, lane_id: int) -> Writer:
        """Writes under the lane's lease."""
        return self._writers[lane_id]
