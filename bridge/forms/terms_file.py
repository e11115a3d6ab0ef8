"""Files of terms: directions between programs as people write and review them, in YAML.

    terms:
      - from: Marriott Bonvoy
        to: United MileagePlus
        ratio: 3:1.1
        minimum: 3000
        price: USD 0.012
        bonuses:
          - {name: "5,000 for each 60,000", per: "60000:5000"}

An entry says one version of one direction: from, to and either a ratio or a table, and whatever rules there are.
Entries of one direction follow one another by the moment at which each `starts`. An entry with neither ratio nor table
only says limits. Programs have names here; whoever reads the file knows which programs they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.forms.faults import FileFault, faults_of
from bridge.forms.fields import Flag, MomentField, MoneyField, RatioField, RowField, Text, Whole
from bridge.forms.lines import BYTES_MAX, Lines, read_lines
from bridge.forms.rules import RulesForm
from bridge.forms.spelling import Money, spell_moment, spell_money
from bridge.forms.table import table_amounts, table_bonuses, table_ratio
from exchange.checks import check_name, check_whole
from exchange.errors import InvalidTerms, InvalidTermsFile
from exchange.points import POINTS_MAX, ZERO, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import Rules, check_blocks
from exchange.terms import PRICE_MAX, Terms

ENTRIES_MAX = 5_000
"""Directions in one file: more than any program has partners."""

FAULTS_MAX = 50
"""Faults that are told of one file: whoever mends these reads the rest next time."""

TEXT_MAX = 2_000
"""Characters of a note or a source."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is known of a direction whose ratio is not: which amounts may go, and all rules. Nothing is priced by it."""

    source: str
    destination: str
    minimum: Points | None
    increment: Points | None
    rules: Rules


class TermsEntry(RulesForm):
    """One version of one direction."""

    from_program: Text = Field(alias="from", description="the program that points leave", examples=["Nectar"])
    to_program: Text = Field(alias="to", description="the program where they arrive", examples=["Avios"])
    ratio: RatioField | None = Field(
        default=None, description="source points, then the destination points that they become; the least anybody gets"
    )
    table: tuple[RowField, ...] = Field(
        default=(), description="the only valid amounts, each with what it gives, instead of a ratio"
    )
    minimum: Whole | None = Field(
        default=None, description="the least amount in source points; left out, one increment", examples=[1000]
    )
    increment: Whole | None = Field(
        default=None, description="amounts above the minimum go in steps of it; left out, 1", examples=[1000]
    )
    price: MoneyField | None = Field(
        default=None, description="what the source program owes for each destination point"
    )
    managed_cap: Whole = Field(
        default=POINTS_MAX, description="source points of managed accounts in a period of the contract's caps"
    )
    wallet_cap: Whole = Field(default=0, description="the same of holders of wallets; 0 closes the direction to them")
    starts: MomentField | None = Field(
        default=None, description="from when on; left out, as soon as both programs consented"
    )
    confirmed: Flag = Field(
        default=False, description="the ratio is meant as it stands, though it looks inverted", examples=[True]
    )
    notes: Annotated[Text, Field(max_length=TEXT_MAX)] | None = None
    source: Annotated[Text, Field(max_length=TEXT_MAX)] | None = Field(
        default=None, description="where it is published"
    )

    @classmethod
    def of_terms(cls, terms: Terms, source: str, destination: str, currency: str) -> Self:
        """The entry that says these terms between two named programs, at a price in `currency`."""
        written = {
            "from": source,
            "to": destination,
            "ratio": terms.ratio,
            "minimum": terms.minimum,
            "increment": terms.increment,
            "price": Money(currency, terms.settlement_price),
            "managed_cap": terms.managed_cap,
            "wallet_cap": terms.wallet_cap,
            "starts": None if terms.effective_at is None else spell_moment(terms.effective_at),
        }
        return cls.model_validate({**written, **RulesForm.of(terms.rules).written()})

    @property
    def has_ratio(self) -> bool:
        """Whether the entry says terms; otherwise it says limits."""
        return self.ratio is not None or bool(self.table)

    @property
    def direction(self) -> tuple[str, str]:
        """From which program to which."""
        return self.from_program, self.to_program

    def core(self) -> object:
        """Terms or limits, between programs that are called as here."""
        check_name("from", self.from_program)
        check_name("to", self.to_program)
        if self.from_program == self.to_program:
            raise InvalidTerms("terms are between two different programs", field="to")
        return self.terms() if self.has_ratio else self.limits()

    def terms(self, terms_id: str = "", source: str | None = None, destination: str | None = None) -> Terms:
        """The terms, between programs with these ids; names stand for ids that are left out.

        Without a price the source program owes nothing: whoever proposes terms looks first whether there is one.
        """
        assert self.has_ratio, "an entry without a ratio says limits"
        self._check_price()
        return Terms(
            id=terms_id,
            source=self.from_program if source is None else source,
            destination=self.to_program if destination is None else destination,
            version=0,
            ratio=self._ratio(),
            minimum=Points(self._minimum()),
            increment=Points(1 if self.increment is None else self.increment),
            settlement_price=MicroUnits(0) if self.price is None else self.price.micro,
            effective_at=self.starts,
            managed_cap=Points(self.managed_cap),
            wallet_cap=Points(self.wallet_cap),
            rules=self.rules(),
        )

    def limits(self) -> Limits:
        """The limits that stand here."""
        for name in ("minimum", "increment"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1, POINTS_MAX)
        for name in ("price", "starts"):
            if getattr(self, name) is not None:
                raise InvalidTerms(f"an entry with a {name} needs a ratio", field="ratio", nearest="3:1")
        rules = self.rules()
        if any(bonus.ratio is not None for bonus in rules.bonuses):
            raise InvalidTerms("better than which ratio?", field="ratio", nearest="3:1")
        if self.minimum is not None and self.increment is not None:
            check_blocks(rules, self.minimum, self.increment)
        return Limits(
            source=self.from_program,
            destination=self.to_program,
            minimum=None if self.minimum is None else Points(self.minimum),
            increment=None if self.increment is None else Points(self.increment),
            rules=rules,
        )

    def rules(self) -> Rules:
        """The rules, with those that a table stands for."""
        rules = super().rules()
        if not self.table:
            return rules
        if self.ratio is not None or rules.amounts:
            raise InvalidTerms("a table stands instead of a ratio and of amounts", field="table")
        amounts, bonuses = table_amounts(self.table), table_bonuses(self.table)
        return replace(rules, amounts=amounts, bonuses=(*bonuses, *rules.bonuses))

    def _ratio(self) -> Ratio:
        return table_ratio(self.table) if self.ratio is None else self.ratio

    def _minimum(self) -> int:
        return next(each for each in (self.minimum, self.increment, 1) if each is not None)

    def _check_price(self) -> None:
        if self.price is not None and self.price.micro > PRICE_MAX:
            most = spell_money(Money(self.price.currency, PRICE_MAX))
            raise InvalidTerms(f"a price is at most {most}", field="price", limit=most, nearest=most)


class TermsDocument(BaseModel):
    """A file of terms."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Terms")

    terms: tuple[TermsEntry, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry and the line on which it begins."""

    entry: TermsEntry
    line: int


@dataclass(frozen=True, slots=True)
class TermsFile:
    """What a file of terms says, in its order."""

    placed: tuple[Placed, ...]

    @property
    def entries(self) -> tuple[TermsEntry, ...]:
        """All entries."""
        return tuple(each.entry for each in self.placed)

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of all programs, each once, in the order in which they come."""
        return tuple(dict.fromkeys(name for entry in self.entries for name in entry.direction))

    def terms(self) -> tuple[TermsEntry, ...]:
        """The entries that say terms, by direction, each direction's by the moment at which they start."""
        having = [entry for entry in self.entries if entry.has_ratio]
        return tuple(
            sorted(having, key=lambda entry: (entry.direction, ZERO if entry.starts is None else entry.starts))
        )

    def limits(self) -> tuple[Limits, ...]:
        """What the entries without a ratio say."""
        return tuple(entry.limits() for entry in self.entries if not entry.has_ratio)

    def in_force(self, at: int) -> Mapping[tuple[str, str], TermsEntry]:
        """The entry of each direction that is in force at a moment, in Unix seconds."""
        return {
            direction: [*entries][-1]
            for direction, entries in groupby(
                (entry for entry in self.terms() if entry.starts is None or entry.starts <= at),
                key=lambda entry: entry.direction,
            )
        }


class FaultyTermsFile(InvalidTermsFile):
    """Raised when a file of terms cannot be read as such; `faults` has what is wrong, line by line."""

    def __init__(self, faults: Sequence[FileFault]) -> None:
        assert faults, "a file is refused for a reason"
        self.faults = tuple(faults[:FAULTS_MAX])
        told = [str(fault) for fault in self.faults]
        if len(faults) > FAULTS_MAX:
            told.append(f"and {len(faults) - FAULTS_MAX} more faults")
        first = self.faults[0]
        field = f"line {first.line}, {first.field}" if first.field else f"line {first.line}"
        super().__init__("\n".join(told), field=field, limit=first.limit, nearest=first.nearest)


def load(source: str | Path) -> TermsFile:
    """The terms that a text, or the file at a path, says.

    Raises `FaultyTermsFile` with all faults of the file, and `OSError` where there is none.
    """
    lines = read_lines(_text(source) if isinstance(source, Path) else source)
    if lines.faults:
        raise FaultyTermsFile(lines.faults)
    if isinstance(lines.value, dict) and isinstance(lines.value.get("terms"), list):
        count = len(lines.value["terms"])
        if count > ENTRIES_MAX:
            line = lines.line_of(("terms", ENTRIES_MAX))
            detail = f"a file has at most {ENTRIES_MAX:,} entries, this one {count:,}"
            raise FaultyTermsFile([FileFault(line, "terms", detail, ENTRIES_MAX, ENTRIES_MAX)])
    try:
        document = TermsDocument.model_validate(lines.value)
    except ValidationError as error:
        found = faults_of(error.errors(), TermsDocument)
        faults = [
            FileFault(lines.line_of(each.path), each.field, each.detail, each.limit, each.nearest) for each in found
        ]
        raise FaultyTermsFile(sorted(faults, key=lambda each: each.line)) from None
    placed = tuple(Placed(entry, lines.line_of(("terms", place))) for place, entry in enumerate(document.terms))
    if twice := _twice(placed, lines):
        raise FaultyTermsFile(twice)
    return TermsFile(placed)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(BYTES_MAX + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > BYTES_MAX:
            return " " * len(data)  # too long in any case, which is what is told
        line = data.count(b"\n", 0, error.start) + 1
        raise FaultyTermsFile([FileFault(line, "", "a file of terms is text in UTF-8")]) from None


def _twice(placed: Sequence[Placed], lines: Lines) -> list[FileFault]:
    """The entries that say again, for the same moment, what an earlier one says of the same direction."""
    faults, first = [], dict[tuple[str, str, int | None], int]()
    for place, each in enumerate(placed):
        key = (*each.entry.direction, each.entry.starts)
        if key in first:
            field = f"terms.{place}.starts"
            detail = f"the entry on line {first[key]} says this direction from the same moment on"
            faults.append(FileFault(lines.line_of(("terms", place, "starts")), field, detail, nearest="2026-02-23"))
        first.setdefault(key, each.line)
    return faults
