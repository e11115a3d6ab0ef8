"""Measures routes, their index and the gate on markets of 10, 100 and 1,000 programs: `make bench-rates`.

Beside them, in the same run, what networkx takes for the same. Exits 1 where an answer differs from the baseline's.
"""

import argparse
import json
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import networkx as nx

from exchange.path import HOPS_MAX
from exchange.terms import Terms
from gate_bench import GateTimes, Times, gate_times, networkx_times
from market_maker import RULED_PERCENT, make_even_market, make_market, make_ruled_market
from routes_bench import (
    BASELINE_QUESTIONS,
    BASELINE_ROUTES_MAX,
    IndexTimes,
    Question,
    RouteTimes,
    index_times,
    questions_on,
    route_times,
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a run measures: market sizes with their hubs, questions for the routes, changes for index and gate."""

    sizes: tuple[tuple[int, int], ...] = ((10, 1), (100, 3), (1_000, 5))
    questions: int = 1_000
    baseline_questions: int = BASELINE_QUESTIONS
    baseline_routes: int = BASELINE_ROUTES_MAX
    changes: int = 500
    searches: int = 3


FULL: Final = Effort()
QUICK: Final = Effort(((10, 1), (100, 3)), questions=100, baseline_routes=500, changes=50, searches=1)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one market took."""

    market: str
    programs: int
    hubs: int
    directions: int
    routes: RouteTimes
    index: IndexTimes
    gate: GateTimes
    gate_baseline: Times


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-rates", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="up to 100 programs only, and fewer questions")
    chosen = parser.parse_args(arguments)
    effort = QUICK if chosen.quick else FULL
    measured = measure(effort)
    sys.stdout.write(json.dumps(as_json(measured), indent=2) + "\n" if chosen.json else as_text(measured, effort))
    differing = list(disagreements(measured))
    sys.stderr.writelines(f"{line}\n" for line in differing)
    return 1 if differing else 0


def measure(effort: Effort) -> list[Measured]:
    """Every size plain, with hubs, both with rules as well, and so that every cycle returns just what went in."""
    return [
        _measure(name, programs, hubs, market, effort)
        for programs, hubs_there in effort.sizes
        for name, hubs, market in (
            ("plain", 0, make_market(programs)),
            ("hubs", hubs_there, make_market(programs, hubs=hubs_there)),
            ("ruled", 0, make_ruled_market(programs)),
            ("ruled", hubs_there, make_ruled_market(programs, hubs=hubs_there)),
            ("even", 0, make_even_market(programs)),
        )
    ]


def _measure(name: str, programs: int, hubs: int, market: Sequence[Terms], effort: Effort) -> Measured:
    return Measured(
        market=name,
        programs=programs,
        hubs=hubs,
        directions=len(market),
        routes=route_times(
            market, questions_on(programs, effort.questions), effort.baseline_questions, effort.baseline_routes
        ),
        index=index_times(market, effort.changes),
        gate=gate_times(market, effort.changes),
        gate_baseline=networkx_times(market, effort.searches),
    )


def disagreements(measured: Iterable[Measured]) -> Iterable[str]:
    """Where the search and the baseline differ, in words."""
    for each in measured:
        for one in each.routes.disagreements:
            yield (
                f"{each.market} market of {each.programs:,}: for {_asked(one.question)} the search found {one.found:,} "
                f"points and the baseline {one.tried:,}"
            )


def as_json(measured: Sequence[Measured]) -> dict[str, Any]:
    """Times are whole microseconds of the processor: what else the machine does is not in them."""
    return {"machine": _machine(), "markets": [_market(each) for each in measured]}


def as_text(measured: Sequence[Measured], effort: Effort) -> str:
    """The tables, one after the other."""
    sections = (_head(), _routes(measured, effort), _index(measured), _gate(measured))
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _market(each: Measured) -> dict[str, Any]:
    routes, index, gate = each.routes, each.index, each.gate
    return {
        "market": each.market,
        "programs": each.programs,
        "hubs": each.hubs,
        "directions": each.directions,
        "routes": {
            "questions": routes.questions,
            "complete": routes.complete,
            "unreachable": routes.unreachable,
            "search_us": _spread(routes.search),
            "baseline_questions": routes.baseline_questions,
            "baseline_cut_off": routes.cut_off,
            "search_same_us": _spread(routes.search_same),
            "baseline_us": _spread(routes.baseline),
            "baseline_listed_us": _spread(routes.baseline_listed),
            "ratio": routes.ratio,
            "disagreements": [asdict(one) for one in routes.disagreements],
        },
        "index": {
            "build_us": index.build_us,
            "changes": index.changes,
            "put_us": _spread(index.put),
            "removed_us": _spread(index.removed),
        },
        "gate": {
            "build_us": gate.build_us,
            "changes": len(gate.change.sorted_us),
            "refused": gate.refused,
            "warned": gate.warned,
            "change_us": _spread(gate.change),
            "baseline_us": _spread(each.gate_baseline),
        },
    }


def _spread(times: Times) -> dict[str, int]:
    return {"median": times.median_us, "p99": times.p99_us, "max": times.max_us}


def _machine() -> dict[str, str]:
    return {"python": platform.python_version(), "machine": platform.machine(), "networkx": nx.__version__}


def _head() -> list[str]:
    machine = _machine()
    return [
        f"Milliseconds of the processor; Python {machine['python']} ({machine['machine']}), "
        f"networkx {machine['networkx']}.",
        "Hubs, whose number is in parentheses, have directions from and to every program. In a ruled market up to",
        f"{RULED_PERCENT}% of the directions have caps, bonuses or minimums by tier. In an even market every cycle",
        "returns just what went in, which no real one does.",
    ]


def _routes(measured: Sequence[Measured], effort: Effort) -> list[str]:
    head = (
        "market", "programs", "directions", "asked", "complete", "median", "p99", "max", "asked", "cut off", "listed",
        "networkx", "ratio",
    )  # fmt: skip
    return [
        f"Routes: the best of up to {HOPS_MAX} hops. networkx lists the simple paths, and each is priced alike. It is",
        f"asked the first questions only, and cut off after {effort.baseline_routes:,} paths; the ratio is of the",
        "medians on these. Listed is what it takes to list the paths and price none.",
        *_table(head, [_routes_row(each) for each in measured]),
    ]


def _routes_row(each: Measured) -> tuple[str, ...]:
    routes = each.routes
    return (
        *_name(each),
        f"{routes.questions:,}",
        f"{100 * routes.complete // routes.questions}%",
        *_ms_of(routes.search),
        f"{routes.baseline_questions:,}",
        f"{routes.cut_off:,}",
        _ms(routes.baseline_listed.median_us),
        _ms(routes.baseline.median_us),
        f"{routes.ratio:,}x",
    )


def _index(measured: Sequence[Measured]) -> list[str]:
    head = ("market", "programs", "directions", "changes", "put", "p99", "removed", "p99", "rebuilt")
    return [
        "Index: a direction put in the place of another, and one taken out; beside it all of them put anew.",
        *_table(head, [_index_row(each) for each in measured]),
    ]


def _index_row(each: Measured) -> tuple[str, ...]:
    put, removed = each.index.put, each.index.removed
    return (
        *_name(each),
        f"{each.index.changes:,}",
        *(_ms(us) for us in (put.median_us, put.p99_us, removed.median_us, removed.p99_us, each.index.build_us)),
    )


def _gate(measured: Sequence[Measured]) -> list[str]:
    head = (
        "market", "programs", "directions", "changes", "refused", "warned", "median", "p99", "max", "networkx", "ratio",
    )  # fmt: skip
    return [
        "Gate: a changed direction examined exactly, with its warning, and put unless refused. networkx searches all",
        "of the market for one gaining cycle, on logarithms in floating point.",
        *_table(head, [_gate_row(each) for each in measured]),
    ]


def _gate_row(each: Measured) -> tuple[str, ...]:
    gate, baseline = each.gate, each.gate_baseline.median_us
    return (
        *_name(each),
        f"{len(gate.change.sorted_us):,}",
        f"{gate.refused:,}",
        f"{gate.warned:,}",
        *_ms_of(gate.change),
        _ms(baseline),
        f"{baseline // max(1, gate.change.median_us):,}x",
    )


def _name(each: Measured) -> tuple[str, str, str]:
    name = f"{each.market} ({each.hubs})" if each.hubs else each.market
    return name, f"{each.programs:,}", f"{each.directions:,}"


def _asked(question: Question) -> str:
    return f"{question.amount:,} of {question.source} to {question.destination}"


def _ms_of(times: Times) -> tuple[str, str, str]:
    return _ms(times.median_us), _ms(times.p99_us), _ms(times.max_us)


def _ms(us: int) -> str:
    return f"{us // 1_000:,}.{us % 1_000:03}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [_line(row, widths) for row in (head, *rows)]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first = row[0].ljust(widths[0])
    return "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])


if __name__ == "__main__":
    sys.exit(main())
