"""Times of routes and of their index, beside trying every route that networkx lists on the same market.

The baseline prices each listed route with the very pricing that the search answers by, so both must find the same best
amount: what is compared is the search alone. Since it takes so much longer, it is asked few questions and tries so many
routes at most for each; where that cuts it off, the search must have found at least as much.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from random import Random
from time import process_time_ns
from typing import Final

import networkx as nx

from exchange.errors import NoRoute, SarrafError
from exchange.market import Market
from exchange.path import HOPS_MAX, Hop
from exchange.pricing import price_route
from exchange.routes import find_routes
from exchange.terms import Terms
from gate_bench import Times
from market_maker import program_id

AMOUNTS: Final = (999, 2_500, 10_000, 33_333, 100_000, 1_000_000, 1_000_000_007, 10**12)
"""What is offered: from as much as small minimums ask for, up to amounts that no member ever has."""

QUESTIONS: Final = 1_000
"""Questions that the search is asked."""

BASELINE_QUESTIONS: Final = 12
"""The first of these, which the baseline is asked as well."""

BASELINE_ROUTES_MAX: Final = 1_000
"""Routes that the baseline tries for one question; when it has tried as many in a market, it is asked no more there."""

CHANGES: Final = 1_000
"""Changed directions that the index is timed with."""


@dataclass(frozen=True, slots=True)
class Question:
    """The best route from one program to another for an amount offered."""

    source: str
    destination: str
    amount: int


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A question that both answered differently; amounts are points out, 0 where no route was found."""

    question: Question
    found: int
    tried: int


@dataclass(frozen=True, slots=True)
class RouteTimes:
    """What questions took: `search` all of them, `search_same` and `baseline` those that both were asked.

    `baseline_listed` is what listing the routes took of the baseline's time; the rest is pricing them.
    """

    questions: int
    complete: int
    unreachable: int
    search: Times
    baseline_questions: int
    cut_off: int
    search_same: Times
    baseline: Times
    baseline_listed: Times
    disagreements: tuple[Disagreement, ...]

    @property
    def ratio(self) -> int:
        """How many times the search's median the baseline's is, on the same questions, rounded down."""
        return self.baseline.median_us // max(1, self.search_same.median_us)


@dataclass(frozen=True, slots=True)
class IndexTimes:
    """What the index took: `put` is changed terms put in the place of others, `removed` a direction taken out."""

    build_us: int
    changes: int
    put: Times
    removed: Times


@dataclass(frozen=True, slots=True)
class Answer:
    """The most that an answer found, 0 for no route; whether it is surely that; and its time.

    For the baseline also how many routes it tried, and what listing them took of the time.
    """

    amount: int
    complete: bool
    us: int
    routes: int = 1
    listed_us: int = 0


def questions_on(programs: int, count: int = QUESTIONS, seed: int = 1) -> list[Question]:
    """Random questions; the same arguments always ask the same."""
    random = Random(seed)
    return [
        Question(program_id(source), program_id(destination), random.choice(AMOUNTS))
        for source, destination in (random.sample(range(programs), 2) for _ in range(count))
    ]


def route_times(
    market: Sequence[Terms],
    questions: Sequence[Question],
    baseline_questions: int = BASELINE_QUESTIONS,
    routes_max: int = BASELINE_ROUTES_MAX,
) -> RouteTimes:
    """Asks the search every question, and the baseline as many of the first ones as its routes allow."""
    index, graph = build_index(market), build_graph(market)
    found = [searched(index, each) for each in questions]
    tries = list[Answer]()
    for each in questions[:baseline_questions]:
        if sum(one.routes for one in tries) < routes_max:
            tries.append(tried(graph, each, routes_max))
    return RouteTimes(
        questions=len(questions),
        complete=sum(each.complete for each in found),
        unreachable=sum(each.amount == 0 for each in found),
        search=_times(found),
        baseline_questions=len(tries),
        cut_off=sum(not each.complete for each in tries),
        search_same=_times(found[: len(tries)]),
        baseline=_times(tries),
        baseline_listed=Times(tuple(sorted(each.listed_us for each in tries))),
        disagreements=tuple(
            Disagreement(question, answer.amount, trial.amount)
            for question, answer, trial in zip(questions, found, tries, strict=False)
            if not agree(answer, trial)
        ),
    )


def agree(found: Answer, tried: Answer) -> bool:
    """Whether both may be right: the one that is not complete may have less, and only that one."""
    if found.amount < tried.amount:
        return not found.complete
    return found.amount == tried.amount or not tried.complete


def build_index(market: Sequence[Terms]) -> Market:
    index = Market()
    for each in market:
        index.put(each)
    return index


def build_graph(market: Sequence[Terms]) -> nx.DiGraph:
    graph = nx.DiGraph()
    for each in market:
        graph.add_edge(each.source, each.destination, hop=Hop(each))
    return graph


def searched(index: Market, question: Question) -> Answer:
    begun = process_time_ns()
    try:
        routes = find_routes(index, question.source, question.destination, question.amount)
    except NoRoute:
        return Answer(0, True, _us_since(begun))
    us = _us_since(begun)
    return Answer(routes[0].price.amount_out, routes.complete, us)


def tried(graph: nx.DiGraph, question: Question, routes_max: int) -> Answer:
    """The most that any of the first `routes_max` simple routes gives, each priced on its own."""
    begun = process_time_ns()
    best = 0
    listing = _routes(graph, question)
    routes = list(islice(listing, routes_max))
    complete = len(routes) < routes_max or next(listing, None) is None
    listed_us = _us_since(begun)
    for hops in routes:
        try:
            best = max(best, price_route(hops, question.amount).amount_out)
        except SarrafError:
            continue
    return Answer(best, complete, _us_since(begun), len(routes), listed_us)


def index_times(market: Sequence[Terms], changes: int = CHANGES, seed: int = 1) -> IndexTimes:
    """Builds the index, then takes random directions out of it and puts them back, and puts each once more."""
    begun = process_time_ns()
    index = build_index(market)
    build_us = _us_since(begun)
    random = Random(seed)
    put, removed = list[int](), list[int]()
    for _ in range(changes):
        terms = random.choice(market)
        begun = process_time_ns()
        index.put(terms)
        put.append(_us_since(begun))
        begun = process_time_ns()
        index.remove(terms.source, terms.destination)
        removed.append(_us_since(begun))
        index.put(terms)
    return IndexTimes(build_us, changes, Times(tuple(sorted(put))), Times(tuple(sorted(removed))))


def _routes(graph: nx.DiGraph, question: Question) -> Iterator[list[Hop]]:
    paths = nx.all_simple_paths(graph, question.source, question.destination, cutoff=HOPS_MAX)
    return ([graph.edges[one, other]["hop"] for one, other in pairwise(path)] for path in paths)


def _times(answers: Sequence[Answer]) -> Times:
    return Times(tuple(sorted(each.us for each in answers)))


def _us_since(begun: int) -> int:
    return (process_time_ns() - begun) // 1_000
