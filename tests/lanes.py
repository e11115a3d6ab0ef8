"""All lanes under no lease: for a ledger that nobody else can reach."""

from collections.abc import Collection

from bridge.posting.fenced import Writer


class EveryLane:
    """All lanes; each write goes to the one writer."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def led(self, lane_ids: Collection[int]) -> frozenset[int]:
        """All of them."""
        return frozenset(lane_ids)

    def writer(self, _: int) -> Writer:
        """The one writer."""
        return self._writer
