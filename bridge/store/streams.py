"""Streams: what must be posted in order, one program's entries or one swap path's legs."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import lanes
from bridge.store.schema import program, stream
from exchange import words

PROGRAM = "program"
PATH = "path"


@dataclass(frozen=True, slots=True)
class Stream:
    """One ordered stream: its key is a program's id, or the ids along a swap path joined by `>`.

    `path_id` is what the contract calls the path, None for a program's own stream.
    """

    id: int
    key: str
    kind: str
    lane_id: int
    last_sequence: int
    path_id: bytes | None = None

    @property
    def programs(self) -> list[str]:
        """The programs along the stream, source first; one for a program's own stream."""
        return self.key.split(">")


def all_streams(connection: sa.Connection) -> list[Stream]:
    """Every stream, oldest first."""
    return [Stream(**row._mapping) for row in connection.execute(sa.select(stream).order_by(stream.c.id))]


def posting(connection: sa.Connection) -> list[Stream]:
    """The streams whose contracts are on the chain, oldest first."""
    waiting = set(connection.execute(sa.select(program.c.id).where(program.c.token.is_(None))).scalars())
    return [one for one in all_streams(connection) if not waiting & set(one.programs)]


def by_id(connection: sa.Connection, stream_id: int) -> Stream:
    """The stream with this id, which must exist."""
    return Stream(**connection.execute(sa.select(stream).where(stream.c.id == stream_id)).one()._mapping)


def by_key(connection: sa.Connection, key: str) -> Stream | None:
    """The stream with this key, or None."""
    row = connection.execute(sa.select(stream).where(stream.c.key == key)).one_or_none()
    return None if row is None else Stream(**row._mapping)


def by_path_id(connection: sa.Connection, name: bytes) -> Stream | None:
    """The stream of the path that the contract calls so, or None where it was never used here."""
    row = connection.execute(sa.select(stream).where(stream.c.path_id == name)).one_or_none()
    return None if row is None else Stream(**row._mapping)


def add(connection: sa.Connection, *, key: str, kind: str, lane_id: int, path_id: bytes | None = None) -> int:
    """Enter a new stream, whose first batch will carry sequence 1."""
    inserted = connection.execute(
        stream.insert().values(key=key, kind=kind, lane_id=lane_id, last_sequence=0, path_id=path_id)
    )
    assert inserted.inserted_primary_key is not None
    return int(inserted.inserted_primary_key[0])


def for_program(connection: sa.Connection, program_id: str) -> Stream:
    """A program's own stream, made together with the program."""
    found = by_key(connection, program_id)
    assert found is not None, f"program {program_id} has no stream"
    return found


def for_path(connection: sa.Connection, program_ids: list[str]) -> Stream:
    """The stream of a swap path, made at its first use; each program in it is deployed."""
    key = ">".join(program_ids)
    found = by_key(connection, key)
    if found is not None:
        return found
    operator = lanes.by_role(connection, lanes.EXCHANGE_OPERATOR)
    assert operator is not None, "the exchange operator's lane is made when the service first starts"
    along = _tokens(connection, program_ids)
    add(connection, key=key, kind=PATH, lane_id=operator.id, path_id=words.path_id(along))
    made = by_key(connection, key)
    assert made is not None
    return made


def set_last_sequence(connection: sa.Connection, stream_id: int, sequence: int) -> None:
    """The sequence number of the newest frozen batch of this stream."""
    connection.execute(stream.update().where(stream.c.id == stream_id).values(last_sequence=sequence))


def tokens(connection: sa.Connection, found: Stream) -> list[bytes]:
    """The token contracts along the stream, source first; each program in it is deployed."""
    return _tokens(connection, found.programs)


def _tokens(connection: sa.Connection, program_ids: Sequence[str]) -> list[bytes]:
    rows = connection.execute(sa.select(program.c.id, program.c.token).where(program.c.id.in_(program_ids)))
    by_program = dict(rows.all())
    return [by_program[program_id] for program_id in program_ids]
