"""The board: what points of a program become elsewhere, and what brings them, for all partners in one call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from bridge.api.access import Reader
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, RatioShape, problem_answers, time_of
from bridge.forms.rules import BonusForm, FeeForm
from bridge.store import programs, terms
from bridge.store.programs import Program
from bridge.store.terms import TermsRow
from exchange.explanation import BASIS, Worth
from exchange.rules import When

router = APIRouter(prefix="/v1/board", tags=["terms"])


class PointValueShape(Answer):
    """What one point gives in money at home, and what the points received for it do, at the ratio alone."""

    given_micro: int
    received_micro: int
    currency: str
    lost_bp: int
    note: str


class RateChange(Answer):
    """A change of a direction's ratio; `before` is null where nothing was in force."""

    at: str
    terms_id: str
    before: RatioShape | None
    after: RatioShape


class BoardDirection(Answer):
    """One direction as it stands now: `in_force`, `announced`, `suspended`, or one in which nobody is quoted: `barred`
    where points could gain on the way round, `foreign` where the terms were adopted past the service.

    `inverse` is the ratio with its sides exchanged, exactly; whether one may swap back, and at which ratio, says the
    other direction. `fees` and `bonuses` are written as in terms; only bonuses whose time it is are shown.
    """

    terms_id: str
    version: int
    state: str
    ratio: RatioShape
    inverse: RatioShape
    minimum: int
    increment: int
    fees: list[dict[str, Any]]
    bonuses: list[dict[str, Any]]
    changed: RateChange
    coming: RateChange | None
    value: PointValueShape | None


class Partner(Answer):
    """A partner: what the program's points become there (`out`), and what comes back (`back`).

    `round_trip` is what is left of one point that goes there and back at the two ratios, as an exact fraction.
    """

    program_id: str
    symbol: str
    name: str
    out: BoardDirection | None
    back: BoardDirection | None
    round_trip: str | None


class BoardAnswer(Answer):
    """All partners of a program, by symbol, as of a moment."""

    program_id: str
    symbol: str
    at: str
    partners: list[Partner]


@dataclass(frozen=True, slots=True)
class _History:
    """The adopted versions of one direction, as they stand at a moment."""

    now: TermsRow | None
    before: TermsRow | None
    coming: TermsRow | None

    @classmethod
    def of(cls, versions: Sequence[TermsRow], at_ms: int) -> "_History":
        """`versions` is in their order."""
        begun = [row for row in versions if row.effective_ms is not None and row.effective_ms <= at_ms]
        later = [row for row in versions if row not in begun and row.suspended_ms is None]
        now, before = (begun[-1] if begun else None), (begun[-2] if len(begun) > 1 else None)
        return cls(now, before, min(later, key=lambda row: row.effective_ms or 0, default=None))


@router.get("", responses=problem_answers(401, 403, 404, 422))
def show(
    service: TheService,
    _: Reader,
    program_id: Annotated[str, Query(max_length=40)],
) -> BoardAnswer:
    """Every partner of a program, both ways: an indication, as public as the terms that it is made of."""
    return service.read(lambda connection: _Board(service, connection, program_id).answer())


class _Board:
    """One reading of the board."""

    def __init__(self, service: Service, connection: sa.Connection, program_id: str) -> None:
        self.service = service
        self.now_ms = service.clock()
        self.program = programs.by_id(connection, program_id)
        self.programs = {each.id: each for each in programs.all_programs(connection)}
        self.barred = service.gatekeeper.barred(connection, self.now_ms)
        self.versions: dict[tuple[str, str], list[TermsRow]] = {}
        for row in terms.adopted_with(connection, program_id):
            self.versions.setdefault((row.from_program_id, row.to_program_id), []).append(row)

    def answer(self) -> BoardAnswer:
        partners = {each for direction in self.versions for each in direction} - {self.program.id}
        return BoardAnswer(
            program_id=self.program.id,
            symbol=self.program.symbol,
            at=time_of(self.now_ms),
            partners=[self._partner(each) for each in self._by_symbol(partners)],
        )

    def _by_symbol(self, ids: Iterable[str]) -> list[Program]:
        return sorted((self.programs[each] for each in ids), key=lambda each: each.symbol)

    def _partner(self, partner: Program) -> Partner:
        out, back = self._direction(self.program, partner), self._direction(partner, self.program)
        return Partner(
            program_id=partner.id,
            symbol=partner.symbol,
            name=partner.name,
            out=out,
            back=back,
            round_trip=None if out is None or back is None else str(_exact(out.ratio) * _exact(back.ratio)),
        )

    def _direction(self, source: Program, destination: Program) -> BoardDirection | None:
        history = _History.of(self.versions.get((source.id, destination.id), ()), self.now_ms)
        shown = history.now or history.coming
        if shown is None:
            return None
        assert shown.version is not None
        rules = shown.agreed().rules
        now = self.now_ms // 1000
        return BoardDirection(
            terms_id=shown.id,
            version=shown.version,
            state=self._state(shown),
            ratio=_ratio(shown),
            inverse=RatioShape(from_units=shown.to_units, to_units=shown.from_units),
            minimum=shown.minimum,
            increment=shown.increment,
            fees=[_written(FeeForm.of(fee)) for fee in rules.fees if _is_time(fee.when, now)],
            bonuses=[_written(BonusForm.of(bonus)) for bonus in rules.bonuses if _is_time(bonus.when, now)],
            changed=_change(shown, history.before if shown is history.now else None),
            coming=None if history.coming is None else _change(history.coming, history.now),
            value=_value(shown, self.service.vetting.worth(source, destination, self.now_ms)),
        )

    def _state(self, shown: TermsRow) -> str:
        if shown.suspended_ms is not None:
            return terms.SUSPENDED
        if shown.foreign:
            return "foreign"
        if shown.effective_ms is not None and shown.effective_ms > self.now_ms:
            return terms.ANNOUNCED
        return "barred" if (shown.from_program_id, shown.to_program_id) in self.barred else terms.IN_FORCE


def _change(after: TermsRow, before: TermsRow | None) -> RateChange:
    assert after.effective_ms is not None
    return RateChange(
        at=time_of(after.effective_ms),
        terms_id=after.id,
        before=None if before is None else _ratio(before),
        after=_ratio(after),
    )


def _is_time(when: When, now: int) -> bool:
    return (when.starts is None or when.starts <= now) and (when.ends is None or now < when.ends)


def _written(form: BonusForm | FeeForm) -> dict[str, Any]:
    return form.model_dump(mode="json", exclude_defaults=True, by_alias=True)


def _ratio(row: TermsRow) -> RatioShape:
    return RatioShape(from_units=row.from_units, to_units=row.to_units)


def _exact(ratio: RatioShape) -> Fraction:
    return Fraction(ratio.to_units, ratio.from_units)


def _value(row: TermsRow, worth: Worth | None) -> PointValueShape | None:
    if worth is None or worth.source <= 0:
        return None
    received = _exact(_ratio(row)) * worth.destination
    return PointValueShape(
        given_micro=floor(worth.source),
        received_micro=floor(received),
        currency=worth.currency,
        lost_bp=floor((1 - received / worth.source) * BASIS),
        note=worth.note,
    )
