"""Before the first purchase: programs, keys, terms, members and links.

Everything is looked for before it is made, so that a second start, or a start after a crash, goes on with
what is there.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from bridge.answers import Member, Program, Terms
from bridge.client import Client, ProblemAnswer
from bridge.demo.errors import ForeignData, Stuck
from bridge.demo.households import member_number
from bridge.demo.scheme import CREDIT_LIMIT_MICRO, DEALS, KEY_SCOPES, LIMITS, MANAGED_CAP, SCHEMES, Deal, Scheme
from bridge.demo.state import State
from bridge.demo.work import progress, spread

POLL_S = 0.2
PROGRAM_WAIT_S_MAX = 120.0
TERMS_WAIT_S_MAX = 120.0

ClientFactory = Callable[[str | None], Client]


@dataclass(frozen=True, slots=True)
class Side:
    """One program as the demo works with it: its record, and a client under its own key."""

    scheme: Scheme
    program: Program
    client: Client

    @property
    def id(self) -> str:
        """The program's id."""
        return self.program["id"]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The members by household and kind of shop, how many were new, and which households are linked."""

    members: dict[str, dict[str, Member]]
    created: int
    linked: frozenset[str]
    links_created: int
    links_refused: int


def open_programs(operator: Client, clients: ClientFactory, state: State) -> dict[str, Side]:
    """The three programs, active, each with its key."""
    found = {program["symbol"]: program for program in operator.programs()}
    for scheme in SCHEMES.values():
        if scheme.symbol not in found:
            found[scheme.symbol] = operator.create_program(
                name=scheme.name,
                symbol=scheme.symbol,
                currency=scheme.currency,
                earning_rate=scheme.earning_rate,
                limits=LIMITS,
                credit_limit_micro=CREDIT_LIMIT_MICRO,
                point_value_micro=scheme.value_micro,
            )
    sides: dict[str, Side] = {}
    for kind, scheme in SCHEMES.items():
        program = _active(operator, found[scheme.symbol])
        if program["earning_rate"] != scheme.earning_rate:
            raise ForeignData(f"the program {scheme.symbol} has other rates than the demo's; use --reset")
        key = state.program_key(program["id"], partial(_new_key, operator, program))
        sides[kind] = Side(scheme, program, clients(key))
    return sides


def _new_key(operator: Client, program: Program) -> str:
    try:
        return operator.create_key(program["id"], KEY_SCOPES)["key"]
    except ProblemAnswer as problem:
        raise ForeignData(
            f"no key can be made for {program['symbol']} ({problem.detail}); begin anew with --reset"
        ) from problem


def _active(operator: Client, program: Program) -> Program:
    deadline = time.monotonic() + PROGRAM_WAIT_S_MAX
    while program["state"] != "active":
        if time.monotonic() > deadline:
            raise Stuck(f"{program['symbol']} is still {program['state']} after {PROGRAM_WAIT_S_MAX:.0f} s")
        time.sleep(POLL_S)
        program = operator.program(program["id"])
    return program


def agree_terms(sides: Mapping[str, Side]) -> dict[tuple[str, str], Deal]:
    """Terms in each agreed direction: proposed by the source's program, consented by the destination's.

    All are proposed before any is waited for, since each takes a transaction.
    """
    pending = {deal: _latest(deal, sides) for deal in DEALS}
    for deal, terms in pending.items():
        if terms is None:
            pending[deal] = _propose(deal, sides)
    for step in ("proposed", "in_force"):
        for deal, terms in pending.items():
            assert terms is not None
            pending[deal] = _reach(deal, terms, sides, step)
        if step == "proposed":
            for deal, terms in pending.items():
                assert terms is not None
                if terms["state"] == "proposed":
                    pending[deal] = sides[deal.destination].client.consent(terms["id"])
    return {(deal.source, deal.destination): deal for deal in DEALS}


def _latest(deal: Deal, sides: Mapping[str, Side]) -> Terms | None:
    """The terms of a direction that are in force or on their way there."""
    listed = sides[deal.source].client.list_terms(
        from_program_id=sides[deal.source].id, to_program_id=sides[deal.destination].id
    )
    live = [terms for terms in listed if terms["state"] in _ORDER]
    return max(live, key=lambda terms: _ORDER.index(terms["state"]), default=None)


_ORDER = ("proposing", "proposed", "consenting", "announced", "in_force")


def _propose(deal: Deal, sides: Mapping[str, Side]) -> Terms:
    return sides[deal.source].client.propose_terms(
        from_program_id=sides[deal.source].id,
        to_program_id=sides[deal.destination].id,
        ratio=deal.ratio,
        minimum=deal.minimum,
        increment=deal.increment,
        settlement_price_micro=deal.price_micro,
        managed_cap=MANAGED_CAP,
        rules=dict(deal.rules),
    )


def _reach(deal: Deal, terms: Terms, sides: Mapping[str, Side], state: str) -> Terms:
    deadline = time.monotonic() + TERMS_WAIT_S_MAX
    while terms["state"] not in _ORDER or _ORDER.index(terms["state"]) < _ORDER.index(state):
        where = f"the terms {deal.source} to {deal.destination}"
        if terms["state"] not in _ORDER:
            raise Stuck(f"{where} are {terms['state']}")
        if time.monotonic() > deadline:
            raise Stuck(f"{where} are still {terms['state']} after {TERMS_WAIT_S_MAX:.0f} s")
        time.sleep(POLL_S)
        terms = sides[deal.source].client.show_terms(terms["id"])
    return terms


def enrol(sides: Mapping[str, Side], kinds: Mapping[str, tuple[str, ...]], console: Console, workers: int) -> Enrolment:
    """Every household a member wherever it buys, and the memberships of each household linked."""
    members = _known_members(sides, kinds)
    missing = [
        (household, kind) for household, wanted in kinds.items() for kind in wanted if kind not in members[household]
    ]

    def enrol_one(pair: tuple[str, str]) -> Member:
        household, kind = pair
        return sides[kind].client.enrol(member_number(household)).member

    with progress(console, "Enrolling members", len(missing)) as advance:
        enrolled = spread(enrol_one, missing, workers=workers, advance=advance)
    for (household, kind), member in zip(missing, enrolled, strict=True):
        members[household][kind] = member
    linked, created, refused = _link_all(sides, members, console, workers)
    return Enrolment(members, len(missing), linked, created, refused)


def _known_members(sides: Mapping[str, Side], households: Iterable[str]) -> dict[str, dict[str, Member]]:
    """Who is enrolled already. A few pages, where asking for each member would be thousands of calls."""
    members: dict[str, dict[str, Member]] = {household: {} for household in households}
    by_number = {member_number(household): household for household in members}
    for kind, side in sides.items():
        for member in side.client.members():
            household = by_number.get(member["member_number"])
            if household is not None:
                members[household][kind] = member
    return members


def _link_all(
    sides: Mapping[str, Side],
    members: Mapping[str, Mapping[str, Member]],
    console: Console,
    workers: int,
) -> tuple[frozenset[str], int, int]:
    several = [household for household, mine in members.items() if len(mine) > 1]
    missing = [household for household in several if not _is_linked(members[household])]

    def link_one(household: str) -> bool:
        mine = _unlinked(members[household])
        codes = [sides[kind].client.link_code(member["id"])["code"] for kind, member in mine]
        try:
            sides[mine[0][0]].client.link(codes)
        except ProblemAnswer:
            return False
        return True

    with progress(console, "Linking households", len(missing)) as advance:
        outcomes = spread(link_one, missing, workers=workers, advance=advance)
    refused = {household for household, ok in zip(missing, outcomes, strict=True) if not ok}
    return frozenset(several) - refused, len(missing) - len(refused), len(refused)


def _is_linked(mine: Mapping[str, Member]) -> bool:
    links = {member["link_id"] for member in mine.values()}
    return None not in links and len(links) == 1


def _unlinked(mine: Mapping[str, Member]) -> Sequence[tuple[str, Member]]:
    """The sides that a link still needs: those without one, and one of those that have it already."""
    without = [pair for pair in mine.items() if pair[1]["link_id"] is None]
    having = [pair for pair in mine.items() if pair[1]["link_id"] is not None]
    return [*having[:1], *without] if without else having
