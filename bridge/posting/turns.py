"""Turns: one after the other, so that one for whom the chain always fails keeps no other from being served."""

from collections.abc import Callable, Iterable

from bridge.chain.errors import ChainError


class Turns:
    """Serves lanes, or streams, by their ids; after a failure the next round begins behind the one that failed.

    A round ends at its first failure, since a node that is away must not be waited for once a lane.
    """

    def __init__(self) -> None:
        self._failed: int | None = None

    def serve(self, ids: Iterable[int], serve: Callable[[int], bool]) -> bool:
        """Serve each of them, in turn; whether anything was done. Raises ChainError."""
        waiting, done = sorted(ids), False
        if self._failed is not None:
            failed = self._failed
            waiting = [one for one in waiting if one > failed] + [one for one in waiting if one <= failed]
        for one in waiting:
            try:
                done = serve(one) or done
            except ChainError:
                self._failed = one
                raise
        return done
