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
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.forms.faults import FAULTS_MAX, Fault, FileFault, empty_fault, faults_of
from bridge.forms.faults import Path as FieldPath
from bridge.forms.fields import Flag, MomentField, MoneyField, RatioField, RowField, Text, Whole
from bridge.forms.lines import BYTES_MAX, Lines, StopReading, read_lines
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

TEXT_MAX = 2_000
"""Characters of a note or a source."""


Form = TypeVar("Form", bound=BaseModel)


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
        if self.increment is not None:  # it may stand for the minimum too, and is what is at fault then
            check_whole("increment", self.increment, 1, POINTS_MAX)
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
                raise InvalidTerms(f"an entry with a {name} needs a ratio, such as 3:1", field="ratio")
        rules = self.rules()
        if any(bonus.ratio is not None for bonus in rules.bonuses):
            raise InvalidTerms("better than which ratio? It says one, such as 3:1", field="ratio")
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
        # The written bonuses come first, as a refusal names one by its place.
        return replace(rules, amounts=amounts, bonuses=(*rules.bonuses, *bonuses))

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
        self.faults = tuple(sorted(faults, key=lambda fault: fault.line)[:FAULTS_MAX])
        told = [str(fault) for fault in self.faults]
        if len(faults) > FAULTS_MAX:
            told.append(f"and more: reading stopped after {FAULTS_MAX} faults")
        first = self.faults[0]
        field = f"line {first.line}, {first.field}" if first.field else f"line {first.line}"
        super().__init__("\n".join(told), field=field, limit=first.limit, nearest=first.nearest)


@dataclass
class _Found:
    """What was found wrong with a file so far."""

    faults: list[FileFault] = field(default_factory=list)

    def entry(self, lines: Lines, path: FieldPath, value: object) -> TermsEntry | None:
        """The entry that was just read; None where something is wrong with it."""
        place = path[-1]
        assert isinstance(place, int), "entries stand in a list"
        if place >= ENTRIES_MAX:
            detail = f"a file has at most {ENTRIES_MAX:,} entries"
            self.faults.append(FileFault(lines.line_of(path), "terms", detail, ENTRIES_MAX))
            raise StopReading
        empty = []
        while lines.empty and lines.empty[-1][: len(path)] == path:  # those of other parts came before
            empty.append(lines.empty.pop()[len(path) :])
        entry = self.read(TermsEntry, lines, path, value, empty)
        if len(self.faults) + len(lines.faults) > FAULTS_MAX:
            raise StopReading
        return entry

    def read(
        self, form: type[Form], lines: Lines, path: FieldPath, value: object, empty: Sequence[FieldPath]
    ) -> Form | None:
        """The form of the part at `path`, in which nothing stands at the `empty` paths; None where that is wrong."""
        found: list[Fault] = []
        read = None
        try:
            read = form.model_validate(value)
        except ValidationError as error:
            found = faults_of(error.errors(), form)
        known = {fault.path for fault in found}
        found += [empty_fault(each, form) for each in empty if each not in known]
        for each in found:
            where = (*path, *each.path)
            name = ".".join(map(str, where))
            self.faults.append(FileFault(lines.line_of(where), name, each.detail, each.limit, each.nearest))
        return None if found else read


def load(source: str | Path) -> TermsFile:
    """The terms that a text, or the file at a path, says.

    Raises `FaultyTermsFile` with the faults of the file, as far as it is read, and `OSError` where there is none.
    """
    found = _Found()
    lines = read_lines(_text(source) if isinstance(source, Path) else source, "terms", found.entry)
    if lines.faults or (found.faults and lines.value is None):  # what follows was not read
        raise FaultyTermsFile([*lines.faults, *found.faults])
    document = found.read(TermsDocument, lines, (), _sound_only(lines.value), lines.empty)
    if document is None or found.faults:
        raise FaultyTermsFile(found.faults)
    placed = tuple(Placed(entry, lines.line_of(("terms", place))) for place, entry in enumerate(document.terms))
    if twice := _twice(placed, lines):
        raise FaultyTermsFile(twice)
    return TermsFile(placed)


def _sound_only(value: object) -> object:
    """A file's value without the entries whose faults are found already."""
    if isinstance(value, dict) and isinstance(value.get("terms"), list):
        return value | {"terms": [entry for entry in value["terms"] if entry is not None]}
    return value


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
            faults.append(FileFault(lines.line_of(("terms", place, "starts")), field, detail))
        first.setdefault(key, each.line)
    return faults
