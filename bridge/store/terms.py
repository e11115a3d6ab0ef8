"""Terms between programs, as proposed here and adopted on the chain."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from bridge.forms.rules import RulesForm
from bridge.store import limits, pages, programs
from bridge.store.ids import new_id
from bridge.store.schema import operation, quote_hop, swap, terms
from exchange.errors import DirectionClosed, NoTerms, TermsStateConflict, UnknownTerms
from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Rules
from exchange.terms import Terms

PROPOSING, PROPOSED, CONSENTING, ADOPTED, FAILED = "proposing", "proposed", "consenting", "adopted", "failed"
#: How an adopted version stands at a moment; derived, not stored.
ANNOUNCED, IN_FORCE, SUPERSEDED, SUSPENDED = "announced", "in_force", "superseded", "suspended"


ADOPTED_ELSEWHERE = "both programs agreed on the chain, past this service, which does not know the rules of these terms"
TOLD_BY_NO_BLOCK = "the block that told of these terms is no longer of the chain"

#: Source points that managed accounts may swap in a period, unless terms say otherwise.
MANAGED_CAP = 10_000_000
#: Later than any moment that a database keeps.
TIME_MS_MAX = 2**63 - 1
#: Rules that are kept as they were read, since a quote needs them and reading takes longer than pricing.
RULES_KEPT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class TermsRow:
    """Terms with their story. `state` is the stored one; `standing` tells how an adopted version stands now.

    `rules` is the form of `exchange.rules` (`RulesForm.written`). `starts_ms` is when they may be in force at the
    earliest. `fx` says how the settlement price was converted, where it was. `foreign_block` is the block that told of
    terms which were adopted past this service.
    """

    id: str
    from_program_id: str
    to_program_id: str
    version: int | None
    from_units: int
    to_units: int
    minimum: int
    increment: int
    settlement_price_micro: int
    currency: str
    managed_cap: int
    wallet_cap: int
    rules: Mapping[str, Any]
    starts_ms: int | None
    confirmed_ratio: bool
    fx: Mapping[str, Any] | None
    state: str
    reason: str | None
    proposed_by: str
    effective_ms: int | None
    suspended_ms: int | None
    created_ms: int
    foreign_block: int | None
    revision: int

    @property
    def foreign(self) -> bool:
        """Whether both programs agreed on the chain, past this service: their rules are not known here."""
        return self.foreign_block is not None

    def agreed(self) -> Terms:
        """The terms as the pricing rules take them. Raises InvalidTerms or InvalidRatio."""
        return Terms(
            id=self.id,
            source=self.from_program_id,
            destination=self.to_program_id,
            version=self.version or 0,
            ratio=Ratio(Points(self.from_units), Points(self.to_units)),
            minimum=Points(self.minimum),
            increment=Points(self.increment),
            settlement_price=MicroUnits(self.settlement_price_micro),
            effective_at=None if self.effective_ms is None else self.effective_ms // 1000,
            managed_cap=self.managed_cap,
            wallet_cap=self.wallet_cap,
            rules=_read_rules(json.dumps(self.rules)) if self.rules else PLAIN,
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one program offers for a direction."""

    from_program_id: str
    to_program_id: str
    from_units: int
    to_units: int
    minimum: int
    increment: int
    settlement_price_micro: int
    currency: str
    proposed_by: str
    managed_cap: int = MANAGED_CAP
    wallet_cap: int = 0
    rules: Mapping[str, Any] = field(default_factory=dict)
    starts_ms: int | None = None
    confirmed_ratio: bool = False
    fx: Mapping[str, Any] | None = None


@lru_cache(RULES_KEPT_MAX)
def _read_rules(text: str) -> Rules:
    return RulesForm.read(json.loads(text))


def draft(connection: sa.Connection, proposal: Proposal, now_ms: int) -> TermsRow:
    """Terms as they would be entered. Raises InvalidTerms, UnevenMinimum or InvalidRatio."""
    row = TermsRow(
        id=new_id("terms"),
        version=None,
        state=PROPOSING,
        reason=None,
        effective_ms=None,
        suspended_ms=None,
        created_ms=now_ms,
        foreign_block=None,
        revision=last_revision(connection) + 1,
        **{name: getattr(proposal, name) for name in Proposal.__slots__},
    )
    row.agreed()
    return row


def propose(connection: sa.Connection, proposal: Proposal, now_ms: int) -> TermsRow:
    """Enter proposed terms, on their way to the chain. Raises InvalidTerms, UnevenMinimum or InvalidRatio."""
    row = draft(connection, proposal, now_ms)
    _insert(connection, row)
    return row


def _insert(connection: sa.Connection, row: TermsRow) -> None:
    connection.execute(terms.insert().values({name: getattr(row, name) for name in TermsRow.__slots__}))


def last_revision(connection: sa.Connection) -> int:
    """The number of the newest change of any terms."""
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(terms.c.revision), 0))) or 0


def changed_since(connection: sa.Connection, revision: int) -> list[TermsRow]:
    """The terms that changed after that revision, as they are now, in the order of their last changes."""
    query = sa.select(terms).where(terms.c.revision > revision).order_by(terms.c.revision, terms.c.id)
    return [TermsRow(**row._mapping) for row in connection.execute(query)]


def of_revision(connection: sa.Connection, revision: int) -> list[TermsRow]:
    """The terms whose last change has exactly this number, as they are now."""
    query = sa.select(terms).where(terms.c.revision == revision).order_by(terms.c.id)
    return [TermsRow(**row._mapping) for row in connection.execute(query)]


def _change() -> sa.Update:
    """A change of terms, with the number that says that it is one."""
    newest = sa.select(sa.func.max(terms.c.revision)).scalar_subquery()
    return terms.update().values(revision=newest + 1)


def by_id(connection: sa.Connection, terms_id: str) -> TermsRow:
    """The terms with this id. Raises UnknownTerms."""
    row = connection.execute(sa.select(terms).where(terms.c.id == terms_id)).one_or_none()
    if row is None:
        raise UnknownTerms(f"there are no terms {terms_id}", field="terms_id")
    return TermsRow(**row._mapping)


def standing(connection: sa.Connection, row: TermsRow, at_ms: int) -> str:
    """The state that callers see: for adopted terms whether they are announced, in force, superseded or suspended."""
    if row.state != ADOPTED:
        return row.state
    if row.suspended_ms is not None:
        return SUSPENDED
    assert row.effective_ms is not None and row.version is not None
    if row.effective_ms > at_ms:
        return ANNOUNCED
    newest = _newest_adopted(connection, row.from_program_id, row.to_program_id, at_ms)
    return IN_FORCE if newest is not None and newest.id == row.id else SUPERSEDED


def in_force(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> TermsRow:
    """The terms of one direction at a moment.

    Raises NoTerms where there are none, DirectionClosed where they are suspended or were adopted past this service.
    """
    row = _newest_adopted(connection, from_program_id, to_program_id, at_ms)
    if row is None:
        direction = _named(connection, from_program_id, to_program_id)
        raise NoTerms(f"no terms are in force for swaps {direction}", field="to_program_id")
    if row.suspended_ms is not None:
        direction = _named(connection, from_program_id, to_program_id)
        raise DirectionClosed(f"the terms are suspended for swaps {direction}", field="to_program_id")
    if row.foreign:
        direction = _named(connection, from_program_id, to_program_id)
        raise DirectionClosed(
            f"the terms for swaps {direction} were adopted on the chain, past this service, which does not know their"
            " rules; it takes swaps again under terms that are proposed here",
            field="to_program_id",
        )
    return row


def is_in_force(connection: sa.Connection, row: TermsRow, at_ms: int) -> bool:
    """Whether exactly these are the terms of their direction at a moment."""
    newest = _newest_adopted(connection, row.from_program_id, row.to_program_id, at_ms)
    return newest is not None and newest.id == row.id and newest.suspended_ms is None


def name_direction(connection: sa.Connection, row: TermsRow) -> str:
    """The direction of terms, for a person: `from AIR to BOX`."""
    return _named(connection, row.from_program_id, row.to_program_id)


def _named(connection: sa.Connection, from_program_id: str, to_program_id: str) -> str:
    symbols = (programs.by_id(connection, one).symbol for one in (from_program_id, to_program_id))
    return "from {} to {}".format(*symbols)


def last_adopted(connection: sa.Connection, from_program_id: str, to_program_id: str) -> TermsRow | None:
    """The newest version that both programs of a direction agreed on, be it announced, suspended or in force."""
    return _newest_adopted(connection, from_program_id, to_program_id, TIME_MS_MAX)


def adopted_with(connection: sa.Connection, program_id: str) -> list[TermsRow]:
    """Every version that was adopted in the directions out of a program and into it, oldest first."""
    either = sa.or_(terms.c.from_program_id == program_id, terms.c.to_program_id == program_id)
    rows = connection.execute(sa.select(terms).where(either, terms.c.state == ADOPTED).order_by(terms.c.version))
    return [TermsRow(**row._mapping) for row in rows]


def was_ever_adopted(connection: sa.Connection, from_program_id: str, to_program_id: str) -> bool:
    """Whether any version of a direction's terms was ever adopted, be it suspended or replaced since."""
    query = sa.select(terms.c.id).where(
        terms.c.from_program_id == from_program_id, terms.c.to_program_id == to_program_id, terms.c.state == ADOPTED
    )
    return connection.execute(query.limit(1)).first() is not None


def next_change_ms(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> int | None:
    """When announced terms will replace those in force, or None."""
    row = next_change(connection, from_program_id, to_program_id, at_ms)
    return None if row is None else row.effective_ms


def next_change(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> TermsRow | None:
    """The announced terms that will be the first to replace those in force, or None."""
    row = connection.execute(
        sa.select(terms)
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.state == ADOPTED,
            terms.c.suspended_ms.is_(None),
            terms.c.effective_ms > at_ms,
        )
        .order_by(terms.c.effective_ms, terms.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else TermsRow(**row._mapping)


def require_state(row: TermsRow, wanted: str, doing: str) -> None:
    """Raises TermsStateConflict unless the terms are in the state that `doing` needs."""
    if row.state != wanted:
        raise TermsStateConflict(
            f"terms {row.id} are {row.state}; to {doing} them they must be {wanted}", field="terms_id"
        )


def set_state(connection: sa.Connection, terms_id: str, state: str, reason: str | None = None) -> None:
    """Move terms on."""
    connection.execute(_change().where(terms.c.id == terms_id).values(state=state, reason=reason))


def proposed(connection: sa.Connection, terms_id: str, version: int) -> None:
    """The exchange contract numbered the proposal, which replaces any of the same direction that is still open."""
    row = by_id(connection, terms_id)
    if row.state != PROPOSING:
        return  # told once more after a reorganisation
    _close_open(connection, row.from_program_id, row.to_program_id, "a newer proposal replaced it")
    connection.execute(_change().where(terms.c.id == terms_id).values(state=PROPOSED, version=version))


def proposed_elsewhere(connection: sa.Connection, from_program_id: str, to_program_id: str) -> None:
    """Terms were proposed past this service: the contract takes no consent to a proposal that is older."""
    _close_open(connection, from_program_id, to_program_id, "a newer proposal, made past this service, replaced it")


def adopted(
    connection: sa.Connection, from_program_id: str, to_program_id: str, version: int, effective_ms: int
) -> bool:
    """Both programs agreed on this version. Answers whether it was proposed here."""
    done = connection.execute(
        _change()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.version == version,
            terms.c.foreign_block.is_(None),
        )
        .values(state=ADOPTED, effective_ms=effective_ms)
    )
    return done.rowcount > 0


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Where and when a version that nobody proposed here was adopted."""

    version: int
    effective_ms: int
    block: int
    block_ms: int


def adopted_elsewhere(connection: sa.Connection, agreed: Proposal, at: Elsewhere) -> TermsRow:
    """Both programs agreed on a version that nobody proposed here.

    It replaces the one before it like any other, but nobody is quoted under it.
    """
    row = replace(
        draft(connection, agreed, at.block_ms),
        version=at.version,
        state=ADOPTED,
        reason=ADOPTED_ELSEWHERE,
        effective_ms=at.effective_ms,
        foreign_block=at.block,
    )
    _close_open(connection, row.from_program_id, row.to_program_id, "newer terms were adopted past this service")
    _insert(connection, row)
    return row


def forget_above(connection: sa.Connection, number: int) -> None:
    """The blocks above this number were reorganised away, and with them what only they told of.

    What was proposed here stays as it was told: its transactions are sent again.
    """
    connection.execute(
        _change()
        .where(terms.c.foreign_block > number, terms.c.state == ADOPTED)
        .values(state=FAILED, reason=TOLD_BY_NO_BLOCK)
    )


def suspended(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> None:
    """One side closed the direction: nothing adopted or proposed so far will be in force any more."""
    _close_open(connection, from_program_id, to_program_id, "the direction was suspended")
    connection.execute(
        _change()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.state == ADOPTED,
            terms.c.suspended_ms.is_(None),
        )
        .values(suspended_ms=at_ms)
    )


def lower_caps(
    connection: sa.Connection,
    from_program_id: str,
    to_program_id: str,
    version: int,
    *,
    managed_cap: int,
    wallet_cap: int,
) -> None:
    """One side lowered the caps of a version."""
    connection.execute(
        _change()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.version == version,
        )
        .values(managed_cap=managed_cap, wallet_cap=wallet_cap)
    )


def caps_of_batch(connection: sa.Connection, batch_id: str) -> dict[str, int]:
    """For each direction of a batch of swaps, the source points that managed accounts may swap in a period."""
    rows = connection.execute(
        sa.select(terms.c.from_program_id, terms.c.to_program_id, terms.c.managed_cap)
        .distinct()
        .join(quote_hop, quote_hop.c.terms_id == terms.c.id)
        .join(swap, swap.c.quote_id == quote_hop.c.quote_id)
        .join(operation, operation.c.id == swap.c.operation_id)
        .where(operation.c.batch_id == batch_id)
    )
    return {limits.cap_of(row.from_program_id, row.to_program_id): row.managed_cap for row in rows}


def _close_open(connection: sa.Connection, from_program_id: str, to_program_id: str, reason: str) -> None:
    connection.execute(
        _change()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.state.in_((PROPOSED, CONSENTING)),
        )
        .values(state=FAILED, reason=reason)
    )


def page(
    connection: sa.Connection, from_program_id: str | None, to_program_id: str | None, ask: pages.Ask
) -> pages.Page[TermsRow]:
    """Terms with their history, newest first."""
    query = sa.select(terms)
    if from_program_id is not None:
        query = query.where(terms.c.from_program_id == from_program_id)
    if to_program_id is not None:
        query = query.where(terms.c.to_program_id == to_program_id)
    return pages.read(connection, query, terms.c.id, ask, lambda row: TermsRow(**row._mapping), newest_first=True)


def by_version(connection: sa.Connection, from_program_id: str, to_program_id: str, version: int) -> TermsRow | None:
    """A direction's terms of this version with their rules, or None where these are not known here."""
    row = connection.execute(
        sa.select(terms).where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.version == version,
            terms.c.state == ADOPTED,
            terms.c.foreign_block.is_(None),
        )
    ).one_or_none()
    return None if row is None else TermsRow(**row._mapping)


def _newest_adopted(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> TermsRow | None:
    row = connection.execute(
        sa.select(terms)
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.state == ADOPTED,
            terms.c.effective_ms <= at_ms,
        )
        .order_by(terms.c.version.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else TermsRow(**row._mapping)
