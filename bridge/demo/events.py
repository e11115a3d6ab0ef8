"""The purchases and coupons of 84.51° Complete Journey, read from the files beside this module.

The order of the file is the order of events: many purchases share a timestamp, so nothing here sorts by it.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from bridge.demo.errors import BadData

KINDS = ("grocery", "drugstore", "fuel")
MAY = "2017-05"
ALL = "2017"

PURCHASES_FILE = "earn_events.csv.gz"
COUPONS_FILE = "coupon_redemptions.csv.gz"
COLUMNS = {
    PURCHASES_FILE: ("event_id", "program", "household_id", "ts", "amount_cents"),
    COUPONS_FILE: ("household_id", "coupon_upc", "campaign_id", "redemption_date"),
}


@dataclass(frozen=True, slots=True)
class Purchase:
    """One basket at one kind of shop. `event_id` is unique in the file and serves as idempotency key."""

    event_id: str
    kind: str
    household: str
    at: str
    cents: int

    @property
    def date(self) -> str:
        """The UTC day, as in 2017-05-31."""
        return self.at[:10]


@dataclass(frozen=True, slots=True)
class Coupon:
    """One coupon that a household handed in. `nth` counts rows that are alike in everything, from 1."""

    household: str
    upc: str
    campaign: str
    date: str
    nth: int

    @property
    def key(self) -> str:
        """The idempotency key of its redemption."""
        return f"coupon-{self.household}-{self.upc}-{self.campaign}-{self.date}-{self.nth}"


@dataclass(frozen=True, slots=True)
class Period:
    """Which part of the year is replayed. The name goes into the keys of the swaps that follow it."""

    name: str

    @classmethod
    def parse(cls, text: str) -> "Period":
        """`may`, `all`, or a month such as 2017-03."""
        word = text.strip().lower()
        if word == "may":
            return cls(MAY)
        if word == "all":
            return cls(ALL)
        year, _, month = word.partition("-")
        if year != ALL or len(month) != 2 or not month.isdecimal() or not 1 <= int(month) <= 12:
            raise BadData(f"events: {text!r} is neither 'may', 'all' nor a month from 2017-01 to 2017-12")
        return cls(word)

    def holds(self, date: str) -> bool:
        """Whether a date or time that starts with one falls into the period.

        The whole file includes the first hours of 2018 in UTC, which were still 2017 at the tills.
        """
        return self.name == ALL or date.startswith(self.name)


def read_purchases(period: Period, folder: Traversable | None = None) -> list[Purchase]:
    """The period's purchases, in the file's order."""
    purchases: list[Purchase] = []
    last = ""
    for number, row in _rows(PURCHASES_FILE, folder):
        at = row["ts"].replace(" ", "T") + "Z"
        if at < last:
            raise BadData(f"{PURCHASES_FILE}, line {number}: {row['ts']} is earlier than the line before")
        last = at
        if not period.holds(at):
            continue
        if row["program"] not in KINDS:
            raise BadData(f"{PURCHASES_FILE}, line {number}: unknown kind of shop {row['program']!r}")
        purchases.append(
            Purchase(
                row["event_id"],
                row["program"],
                row["household_id"],
                at,
                _cents(row["amount_cents"], number),
            )
        )
    return purchases


def read_coupons(period: Period, folder: Traversable | None = None) -> list[Coupon]:
    """The period's coupons, in the file's order."""
    alike: Counter[tuple[str, str, str, str]] = Counter()
    coupons: list[Coupon] = []
    for _, row in _rows(COUPONS_FILE, folder):
        same = (row["household_id"], row["coupon_upc"], row["campaign_id"], row["redemption_date"])
        alike[same] += 1
        if period.holds(row["redemption_date"]):
            coupons.append(Coupon(*same, nth=alike[same]))
    return coupons


def _rows(name: str, folder: Traversable | None) -> Iterator[tuple[int, dict[str, str]]]:
    path = (files("bridge.demo") / "data" if folder is None else folder) / name
    try:
        with path.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text)
            missing = set(COLUMNS[name]) - set(reader.fieldnames or ())
            if missing:
                raise BadData(f"{name} lacks the columns {', '.join(sorted(missing))}")
            # The heading is line 1.
            yield from enumerate(reader, start=2)
    except (OSError, EOFError) as error:
        raise BadData(f"{name} cannot be read: {error}") from error


def _cents(text: str, line: int) -> int:
    if not text.isdecimal():
        raise BadData(f"{PURCHASES_FILE}, line {line}: {text!r} is not a number of cents")
    return int(text)
