"""The ledger from which every run starts: four programs with members, links, wallets, and terms in every direction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from random import Random

from bridge.chain.contracts import Bounds, Limit
from bridge.store import earns, ids, keys, lanes, programs, terms
from bridge.store import limits as ledger_limits
from bridge.store.earns import EarnRequest
from bridge.store.keys import ApiKey
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.wallets import Wallet
from exchange.days import DAY_MS
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Bonus, Expiry, PointsFee, Received, Rules
from tests.bridge.store.ledgers import NOW_MS, Ledger
from tests.postgres import Address
from tests.simulation.chain import Network
from tests.simulation.crashes import FaultPoints
from tests.simulation.dice import SeededIds
from tests.simulation.history import History
from tests.simulation.ledgers import PostgresStore, SqliteStore, Store
from tests.simulation.node import Node
from tests.simulation.process import Clocks, Process
from tests.simulation.scenario import CALM
from tests.simulation.wire import Wire

SYMBOLS = ("AIR", "BOX", "CAR", "DEN")
RATIOS = ((1, 1), (2, 1), (1, 2), (3, 2), (5, 3))
PRICE_MICRO = 7
#: What nearly every member has from the start, final on the chain, so that swaps can go at once.
BALANCE = 150
#: Who has nothing at the start, and so comes to owe something.
POOR = "dan"
#: How much of it expires within a run in the program whose points expire after so many days, and how soon.
AGING, EXPIRY_DAYS = 60, 30
AGING_S = (25, 60, 110)
#: How many days ahead that program's members are told.
NOTICE_DAYS = (1, 7, 30)
#: What one member may owe two of the programs.
DEBT_LIMIT = 40
OWING = ("AIR", "BOX")
#: Who proposes and decides adjustments of each program.
PERSONS = ("paula", "quentin")
#: How long that takes at the most.
PAID_IN_MS = 30_000
#: Blocks in which all that must have become final, and such that follow, deeper than any scenario's finality.
ROUNDS_MAX, BEHIND = 60, 6
#: What terms say beyond their ratio.
RULES = (
    PLAIN,
    Rules(bonuses=(Bonus("half", share=Ratio(Points(2), Points(1))),)),
    Rules(bonuses=(Bonus("welcome", flat=Points(3)),), fees=(PointsFee(Points(2)),)),
    Rules(fees=(PointsFee(Points(1)),), received=Received(Expiry.INHERITS)),
)
#: The most that one swap costs in points.
FEE_MAX = 2
#: What every limit lets through unless it is lowered.
WIDE = Bounds(10**9, 10**6)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The first terms of one direction."""

    source: Program
    destination: Program
    ratio: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Issuer:
    """The key that posts a program's entries."""

    token: bytes
    key_index: int


@dataclass(frozen=True, slots=True)
class Held:
    """Points that a member has from the start, and when they expire, if they do."""

    member_id: str
    points: int
    expires_ms: int | None


@dataclass(frozen=True)
class Ground:
    """A closed ledger in a file, and what is in it."""

    store: Store
    network: Network
    now_ms: int
    held: Sequence[Held]
    programs: Sequence[Program]
    members: Sequence[Member]
    wallets: Sequence[Wallet]
    agreements: Sequence[Agreement]
    issuers: Sequence[Issuer]
    #: the keys of each program's persons
    persons: Mapping[str, Sequence[ApiKey]]

    def alive(self, member_id: str, now_ms: int) -> int:
        """What of a member's first points has not expired yet, if nothing of them is spent."""
        return sum(
            one.points
            for one in self.held
            if one.member_id == member_id and (one.expires_ms is None or one.expires_ms > now_ms)
        )

    def program_of(self, token: bytes) -> Program:
        """The program of a token."""
        return next(one for one in self.programs if one.deployed_token == token)

    @property
    def final_number(self) -> int:
        """The newest block before a run that no reorganisation takes away; none behind it holds anything."""
        return self.network.final_number


_made: dict[Address | None, Ground] = {}


def ground(server: Address | None = None) -> Ground:
    """The one ledger that all runs of this process copy: in a file, or on a server."""
    if server not in _made:
        _made[server] = _make(SqliteStore() if server is None else PostgresStore(server))
    return _made[server]


def _make(store: Store) -> Ground:
    dice = Random("ground")
    with ids.taken_from(SeededIds(dice, lambda: NOW_MS)):
        ledger = Ledger(store.open())
        ledger.bind()
        wide = dict.fromkeys(ledger_limits.NAMES, ledger_limits.Bounds(WIDE.capacity, WIDE.refill))
        for place, symbol in enumerate(SYMBOLS):
            ledger.program(symbol, expiry_days=EXPIRY_DAYS if place == 0 else None, bounds=wide)
        ledger.do(programs.tell_ahead, ledger.named(SYMBOLS[0]).id, NOTICE_DAYS)
        for symbol in OWING:
            ledger.do(programs.may_be_owed, ledger.named(symbol).id, DEBT_LIMIT)
        chosen = [ledger.named(symbol) for symbol in SYMBOLS]
        persons = {program.id: [_person(ledger, program, one) for one in PERSONS] for program in chosen}
        agreements = []
        for number, (source, destination) in enumerate(permutations(chosen, 2)):
            ratio = RATIOS[number % len(RATIOS)]
            ledger.agree(source, destination, ratio, price=PRICE_MICRO, rules=RULES[number % len(RULES)])
            agreements.append(Agreement(source, destination, ratio))
        members = []
        for who, joined in (("ann", chosen), ("ben", chosen[:2]), ("cleo", chosen[1:3]), (POOR, chosen[:2])):
            enrolled = [ledger.member(program, who) for program in joined]
            members += ledger.link(*enrolled).members if len(enrolled) > 1 else enrolled
        wallets = [ledger.wallet(one) for one in members if one.member_number == "ann"]
        found = [ledger.ask(programs.by_id, one.id) for one in chosen]
        indices: dict[int, int] = {one.id: one.key_index for one in ledger.ask(lanes.all_lanes)}
        ledger.close()
        network = Network((0).to_bytes(32), NOW_MS, dice, CALM.final_depth)
        _lay(network, found, wallets, agreements)
        given = [each for one in members for each in _given(one, chosen[0])]
        now_ms = _pay_in(store, network, members, given)
    issuers = [Issuer(one.deployed_token, indices[one.issuer_lane_id]) for one in found]
    return Ground(store, network, now_ms, given, found, members, wallets, agreements, issuers, persons)


def _person(ledger: Ledger, program: Program, name: str) -> ApiKey:
    scopes = keys.SCOPES_OF_PERSONS
    return ledger.do(keys.create, program_id=program.id, scopes=scopes, now_ms=NOW_MS, person=name)[0]


def _given(who: Member, aging: Program) -> list[Held]:
    """What a member has from the start. In one program a part of it is so old that it soon expires."""
    if who.member_number == POOR:
        return []
    if who.program_id != aging.id:
        return [Held(who.id, BALANCE, None)]
    part = AGING // len(AGING_S)
    soon = [Held(who.id, part, NOW_MS + each * 1000 + PAID_IN_MS) for each in AGING_S]
    return [Held(who.id, BALANCE - AGING, NOW_MS + EXPIRY_DAYS * DAY_MS), *soon]


def _lay(
    network: Network, chosen: Sequence[Program], wallets: Sequence[Wallet], agreements: Sequence[Agreement]
) -> None:
    """Put on the chain what the ledger says is there: terms, limits and bindings."""
    state = network.network_state
    for one in agreements:
        hop = one.source.deployed_token, one.destination.deployed_token
        ratio = Ratio(Points(one.ratio[0]), Points(one.ratio[1]))
        network.agree(state.powers, hop, 1, ratio, PRICE_MICRO, terms.MANAGED_CAP)
    for program in chosen:
        for limit in Limit:
            state.powers.limits[program.deployed_token, limit] = WIDE
    tokens = {one.id: one.deployed_token for one in chosen}
    for wallet in wallets:
        state.bindings[tokens[wallet.program_id], wallet.reference] = wallet.address


def _pay_in(store: Store, network: Network, members: Sequence[Member], given: Sequence[Held]) -> int:
    """Let the service itself give every member points, where nothing goes wrong; answers the time when it is done."""
    history, now_ms = History(), [NOW_MS]
    points = FaultPoints(Random(0), history, 0)
    wire = Wire(Node(network, lambda: now_ms[0]), CALM, Random(0), points, history)
    clocks = Clocks(lambda: now_ms[0], lambda: now_ms[0])
    process = Process("ground", store.open(), wire, clocks, points, CALM)
    assert process.begin() and process.watch()
    program_ids = {one.id: one.program_id for one in members}
    for number, one in enumerate(given):
        asked = [EarnRequest(f"ground-{number}", one.member_id, None, None, one.points, None)]
        since_ms = NOW_MS if one.expires_ms is None else one.expires_ms - EXPIRY_DAYS * DAY_MS
        process.write(partial(earns.accept, program_id=program_ids[one.member_id], requests=asked, now_ms=since_ms))
    behind = BEHIND
    for _ in range(ROUNDS_MAX):
        now_ms[0] += 1_000
        network.next_block(now_ms[0])
        while process.follow() or process.post():
            pass
        behind -= not network.pool
        if behind == 0:
            break
    process.hand_over()
    process.close()
    assert now_ms[0] < NOW_MS + PAID_IN_MS
    assert sum(network.held(network.final_number).values()) == sum(one.points for one in given)
    return now_ms[0]
