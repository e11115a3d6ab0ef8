"""Findings: what speaks against terms before anybody proposes them, found without a service."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from exchange.best_rate import best_rate
from exchange.cycle import Cycle
from exchange.errors import InvalidTerms
from exchange.gain import explain_refusal, gaining_amount
from exchange.gate import Gate
from exchange.inversion import inverse_of, looks_inverted
from exchange.splitting import splitting_pays
from exchange.terms import Terms
from exchange.wallets import require_rules_of_wallets

if TYPE_CHECKING:
    from bridge.forms.terms_file import TermsFile

ERROR = "error"
WARNING = "warning"

Direction = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend (`error`) or to look at (`warning`); `line` is that of a file, where it is about one."""

    severity: str
    type: str
    detail: str
    line: int | None = None
    field: str | None = None
    limit: int | str | None = None
    nearest: int | str | None = None

    def __str__(self) -> str:
        where = ", ".join(str(part) for part in (self.line and f"line {self.line}", self.field) if part)
        hint = "" if self.nearest is None else f" (nearest: {self.nearest})"
        return f"{self.severity}: {where + ': ' if where else ''}{self.detail}{hint} [{self.type}]"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Written:
    """Terms that a file says, with the line of their entry."""

    terms: Terms
    line: int
    confirmed: bool


def examine(file: "TermsFile", now: int) -> list[Finding]:
    """Everything that can be said of a readable file at a moment, errors first, by line."""
    written = _written(file)
    found = [*_unbound(written), *_inversions(written), *_splittings(written), *_cycles(written, now)]
    return sorted(found, key=lambda each: (each.severity, each.line or 0))


def _written(file: "TermsFile") -> list[Written]:
    # Capitals make no other program, here as where the service looks it up.
    called = {name.lower(): name for name in reversed(file.programs)}
    written = []
    for placed in file.placed:
        if placed.entry.has_ratio:
            source, destination = (called[name.lower()] for name in placed.entry.direction)
            written.append(Written(placed.entry.terms("", source, destination), placed.line, placed.entry.confirmed))
    return written


def _unbound(written: Iterable[Written]) -> Iterator[Finding]:
    """Terms open to holders of wallets, with rules that hold on no chain."""
    for each in written:
        try:
            require_rules_of_wallets(each.terms)
        except InvalidTerms as refusal:
            yield Finding(ERROR, refusal.type, refusal.detail, each.line, refusal.field, refusal.limit, refusal.nearest)


def _inversions(written: Sequence[Written]) -> Iterator[Finding]:
    """Ratios that look as if their sides had been exchanged, beside the version before, where nobody confirmed them."""
    for versions in _by_direction(written).values():
        for before, after in pairwise(versions):
            ratio = after.terms.ratio
            reason = None if after.confirmed else looks_inverted(ratio, previous=before.terms.ratio)
            if reason is not None:
                detail = f"{ratio} looks inverted: {reason}; say `confirmed: true` where it is meant"
                nearest = str(inverse_of(ratio))
                yield Finding(ERROR, "inverted-ratio", detail, after.line, "ratio", str(ratio), nearest)


def _splittings(written: Iterable[Written]) -> Iterator[Finding]:
    """Terms under which several transfers could bring more than one: some mean that, but nobody should be surprised."""
    for each in written:
        if (splitting := splitting_pays(each.terms)) is not None:
            yield Finding(WARNING, "splitting-pays", f"splitting a transfer may pay: {splitting}", each.line)


def _by_direction(written: Iterable[Written]) -> dict[Direction, list[Written]]:
    """The versions of each direction, in the order in which they begin."""
    versions: dict[Direction, list[Written]] = {}
    for each in sorted(written, key=lambda one: one.terms.effective_at or 0):
        versions.setdefault((each.terms.source, each.terms.destination), []).append(each)
    return versions


# -- cycles -----------------------------------------------------------------------------------


def _cycles(written: Sequence[Written], now: int) -> Iterator[Finding]:
    """Cycles among the file's own directions: those that could gain, and those that lose so little that it is odd."""
    rates, best, lines = dict[Direction, Fraction](), dict[Direction, Terms](), dict[Direction, int]()
    for direction, versions in _still_usable(written, now).items():
        by_rate = {best_rate(each.terms, now): each.terms for each in versions}
        rates[direction] = max(by_rate)
        best[direction] = by_rate[rates[direction]]
        lines[direction] = versions[-1].line
    gate, gaining = Gate.gather((*direction, rate) for direction, rate in rates.items())
    for cycle in gaining:
        search = gaining_amount([best[direction] for direction in cycle.directions()], now)
        detail = f"points could gain on the way round: {explain_refusal(cycle, search, {})}"
        yield Finding(ERROR, "gaining-cycle", detail, _line_of(cycle, lines), "ratio")
    told = set[frozenset[Direction]]()
    for source, destination, rate in gate.rates():
        narrow = gate.examine(source, destination, rate)
        if narrow is None or (around := frozenset(narrow.directions())) in told:
            continue
        told.add(around)
        yield Finding(WARNING, "narrow-cycle", f"a cycle loses little: {narrow.describe({})}", _line_of(narrow, lines))


def _line_of(cycle: Cycle, lines: Mapping[Direction, int]) -> int:
    """The last line of a cycle: what stands above it was there before."""
    return max(lines[direction] for direction in cycle.directions())


def _still_usable(written: Iterable[Written], now: int) -> dict[Direction, list[Written]]:
    """The versions of each direction from the one in force on."""
    return {
        direction: [
            each
            for each, following in zip_longest(versions, versions[1:])
            if following is None or (following.terms.effective_at or 0) > now
        ]
        for direction, versions in _by_direction(written).items()
    }
