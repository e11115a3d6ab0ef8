"""Versions of terms in memory, in step with the ledger, and which directions have changed since somebody last looked.

Terms change in two ways. Rows change, which the ledger numbers: only what has a higher number than was seen is read.
And what was agreed begins or ends when its moment comes, without anybody telling: those moments stand on a timeline.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.posting.timeline import Timeline
from bridge.store import terms
from bridge.store.terms import TermsRow
from exchange.terms import Terms

Direction = tuple[str, str]
"""Source and destination of terms."""


@dataclass(frozen=True, slots=True)
class Version:
    """What counts of a version; `effective_ms` None: it is being agreed on; `terms` None: it was suspended.

    `foreign` says that it was adopted past this service.
    """

    number: int
    effective_ms: int | None
    terms: Terms | None
    foreign: bool

    def has_begun(self, now_ms: int) -> bool:
        """Whether it replaces what was before it."""
        return self.effective_ms is not None and self.effective_ms <= now_ms


class Versions:
    """The versions that both programs of a direction agreed on, or are agreeing on. For one thread at a time.

    `due` are the directions that changed, in the order in which they did. They stay there until `settled` is called:
    what a reader learned that fails on its way is left to the next.
    """

    def __init__(self) -> None:
        self.due: dict[Direction, None] = {}
        self._revision = 0
        self._newest: list[TermsRow] = []
        self._known: dict[Direction, dict[str, Version]] = {}
        self._moments = Timeline[Direction]()

    def follow(self, connection: sa.Connection, now_ms: int) -> None:
        """Read what changed in the ledger, and what changed by itself until now."""
        self.touch(self._moments.move(now_ms))
        for row in terms.changed_since(connection, self._revision):
            self._note(row)
            self.touch([(row.from_program_id, row.to_program_id)])
            self._newest = [*(self._newest if row.revision == self._revision else ()), row]
            self._revision = row.revision

    def is_ahead(self, connection: sa.Connection) -> bool:
        """Whether something was read that the ledger does not hold.

        The number alone does not tell: another process may have given the same one to another change meanwhile. Where
        the newest change was overtaken it is taken for undone, which only costs reading everything anew.
        """
        return self._newest != terms.of_revision(connection, self._revision)

    def touch(self, directions: Iterable[Direction]) -> None:
        """Something else about these directions changed."""
        self.due |= dict.fromkeys(directions)

    def settled(self) -> None:
        """All that was due has been seen to."""
        self.due.clear()

    def newest(self, direction: Direction, now_ms: int) -> Version | None:
        """The newest version that has begun, suspended or not, as `terms.in_force` looks for it."""
        begun = (each for each in self._versions(direction) if each.has_begun(now_ms))
        return max(begun, key=lambda each: each.number, default=None)

    def coming(self, direction: Direction, now_ms: int) -> list[Version]:
        """The versions that are announced or being agreed on."""
        return [each for each in self._versions(direction) if not each.has_begun(now_ms)]

    def _versions(self, direction: Direction) -> Iterable[Version]:
        return self._known.get(direction, {}).values()

    def _note(self, row: TermsRow) -> None:
        direction = row.from_program_id, row.to_program_id
        known = self._known.setdefault(direction, {})
        if row.state not in (terms.CONSENTING, terms.ADOPTED):
            known.pop(row.id, None)
            return
        assert row.state == terms.ADOPTED or row.effective_ms is None, "what is being agreed on has not begun"
        agreed = None if row.suspended_ms is not None else row.agreed()
        known[row.id] = Version(row.version or 0, row.effective_ms, agreed, row.foreign)
        if row.effective_ms is not None:
            self._moments.add(row.effective_ms, direction)
        for bonus in () if agreed is None else agreed.rules.bonuses:
            if bonus.when.ends is not None:
                self._moments.add(bonus.when.ends * 1000, direction)
