"""Terms between programs, as proposed here and adopted on the chain."""

from dataclasses import dataclass

import sqlalchemy as sa

from bridge.store import pages
from bridge.store.ids import new_id
from bridge.store.schema import operation, swap, terms
from exchange.errors import NoTerms, TermsStateConflict, UnknownTerms
from exchange.points import MicroUnits, Points
from exchange.ratio import Ratio
from exchange.terms import Terms

PROPOSING, PROPOSED, CONSENTING, ADOPTED, FAILED = "proposing", "proposed", "consenting", "adopted", "failed"
#: How an adopted version stands at a moment; derived, not stored.
ANNOUNCED, IN_FORCE, SUPERSEDED, SUSPENDED = "announced", "in_force", "superseded", "suspended"


#: Source points that managed accounts may swap in a period, unless terms say otherwise.
MANAGED_CAP = 10_000_000


@dataclass(frozen=True, slots=True)
class TermsRow:
    """Terms with their story. `state` is the stored one; `standing` tells how an adopted version stands now."""

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
    state: str
    reason: str | None
    proposed_by: str
    effective_ms: int | None
    suspended_ms: int | None
    created_ms: int

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


def propose(connection: sa.Connection, proposal: Proposal, now_ms: int) -> TermsRow:
    """Enter proposed terms, on their way to the chain. Raises InvalidTerms or InvalidRatio."""
    row = TermsRow(
        id=new_id("terms"),
        version=None,
        state=PROPOSING,
        reason=None,
        effective_ms=None,
        suspended_ms=None,
        created_ms=now_ms,
        **{name: getattr(proposal, name) for name in Proposal.__slots__},
    )
    row.agreed()
    connection.execute(terms.insert().values({name: getattr(row, name) for name in TermsRow.__slots__}))
    return row


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
    """The terms of one direction at a moment. Raises NoTerms where there are none or they are suspended."""
    row = _newest_adopted(connection, from_program_id, to_program_id, at_ms)
    if row is None or row.suspended_ms is not None:
        state = "no terms are in force" if row is None else "the terms are suspended"
        raise NoTerms(f"{state} for swaps from {from_program_id} to {to_program_id}", field="to_program_id")
    return row


def next_change_ms(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> int | None:
    """When announced terms will replace those in force, or None."""
    change_ms: int | None = connection.scalar(
        sa.select(sa.func.min(terms.c.effective_ms)).where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.state == ADOPTED,
            terms.c.suspended_ms.is_(None),
            terms.c.effective_ms > at_ms,
        )
    )
    return change_ms


def require_state(row: TermsRow, wanted: str, doing: str) -> None:
    """Raises TermsStateConflict unless the terms are in the state that `doing` needs."""
    if row.state != wanted:
        raise TermsStateConflict(
            f"terms {row.id} are {row.state}; to {doing} them they must be {wanted}", field="terms_id"
        )


def set_state(connection: sa.Connection, terms_id: str, state: str, reason: str | None = None) -> None:
    """Move terms on."""
    connection.execute(terms.update().where(terms.c.id == terms_id).values(state=state, reason=reason))


def proposed(connection: sa.Connection, terms_id: str, version: int) -> None:
    """The exchange contract numbered the proposal, which replaces any of the same direction that is still open."""
    row = by_id(connection, terms_id)
    if row.state != PROPOSING:
        return  # told once more after a reorganisation
    _close_open(connection, row.from_program_id, row.to_program_id, "a newer proposal replaced it")
    connection.execute(terms.update().where(terms.c.id == terms_id).values(state=PROPOSED, version=version))


def adopted(
    connection: sa.Connection, from_program_id: str, to_program_id: str, version: int, effective_ms: int
) -> None:
    """Both programs agreed on this version."""
    connection.execute(
        terms.update()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.version == version,
        )
        .values(state=ADOPTED, effective_ms=effective_ms)
    )


def suspended(connection: sa.Connection, from_program_id: str, to_program_id: str, at_ms: int) -> None:
    """One side closed the direction: nothing adopted or proposed so far will be in force any more."""
    _close_open(connection, from_program_id, to_program_id, "the direction was suspended")
    connection.execute(
        terms.update()
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
        terms.update()
        .where(
            terms.c.from_program_id == from_program_id,
            terms.c.to_program_id == to_program_id,
            terms.c.version == version,
        )
        .values(managed_cap=managed_cap, wallet_cap=wallet_cap)
    )


def cap_of_batch(connection: sa.Connection, batch_id: str) -> int:
    """The source points that managed accounts may swap in a period under the terms of a batch of swaps."""
    cap: int = connection.execute(
        sa.select(terms.c.managed_cap)
        .join(swap, swap.c.terms_id == terms.c.id)
        .join(operation, operation.c.id == swap.c.operation_id)
        .where(operation.c.batch_id == batch_id)
        .limit(1)
    ).scalar_one()
    return cap


def _close_open(connection: sa.Connection, from_program_id: str, to_program_id: str, reason: str) -> None:
    connection.execute(
        terms.update()
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
