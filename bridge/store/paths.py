"""Paths: the programs that a swap leads through, source first."""

from collections.abc import Sequence

from exchange.errors import Invalid

#: Programs along a path, as the exchange takes them.
PATH_PROGRAMS_MIN, PATH_PROGRAMS_MAX = 2, 5


class InvalidPath(Invalid):
    """Raised when a path is too short or too long, names a program twice, or does not begin and end as asked."""

    type = "invalid-path"


def require(path: Sequence[str]) -> None:
    """Raises InvalidPath unless there are from two to five programs and none twice."""
    if not PATH_PROGRAMS_MIN <= len(path) <= PATH_PROGRAMS_MAX or len(set(path)) < len(path):
        raise InvalidPath(
            f"a path has {PATH_PROGRAMS_MIN} to {PATH_PROGRAMS_MAX} programs and none twice",
            field="path",
            limit=PATH_PROGRAMS_MAX,
        )
