"""The ledger from which every run starts: four programs with members, links, wallets, and terms in every direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from bridge.chain.contracts import Bounds, Limit
from bridge.store import earns, ids, lanes, programs, terms
from bridge.store import limits as ledger_limits
from bridge.store.earns import EarnRequest
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.wallets import Wallet
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Bonus, Expiry, PointsFee, Received, Rules
from tests.bridge.store.ledgers import NOW_MS, Ledger
from tests.simulation.chain import Network
from tests.simulation.crashes import FaultPoints
from tests.simulation.dice import SeededIds
from tests.simulation.history import History
from tests.simulation.node import Node
from tests.simulation.process import Process
from tests.simulation.scenario import CALM
from tests.simulation.wire import Wire

SYMBOLS = ("AIR", "BOX", "CAR", "DEN")
RATIOS = ((1, 1), (2, 1), (1, 2), (3, 2), (5, 3))
PRICE_MICRO = 7
#: What every member has from the start, final on the chain, so that swaps can go at once.
BALANCE = 150
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


@dataclass(frozen=True)
class Ground:
    """A closed ledger in a file, and what is in it."""

    path: Path
    network: Network
    now_ms: int
    balance: int
    programs: Sequence[Program]
    members: Sequence[Member]
    wallets: Sequence[Wallet]
    agreements: Sequence[Agreement]
    issuers: Sequence[Issuer]

    def program_of(self, token: bytes) -> Program:
        """The program of a token."""
        return next(one for one in self.programs if one.deployed_token == token)

    @property
    def final_number(self) -> int:
        """The newest block before a run that no reorganisation takes away; none behind it holds anything."""
        return self.network.final_number


_made: list[Ground] = []


def ground() -> Ground:
    """The one ledger that all runs of this process copy."""
    if not _made:
        _made.append(_make(Path(mkdtemp(prefix="sarraf-simulation-"))))
    return _made[0]


def _make(directory: Path) -> Ground:
    dice = Random("ground")
    with ids.taken_from(SeededIds(dice, lambda: NOW_MS)):
        ledger = Ledger.in_file(directory / "ledger.sqlite3")
        ledger.bind()
        wide = dict.fromkeys(ledger_limits.NAMES, ledger_limits.Bounds(WIDE.capacity, WIDE.refill))
        for place, symbol in enumerate(SYMBOLS):
            ledger.program(symbol, expiry_days=30 if place == 0 else None, bounds=wide)
        chosen = [ledger.named(symbol) for symbol in SYMBOLS]
        agreements = []
        for number, (source, destination) in enumerate(permutations(chosen, 2)):
            ratio = RATIOS[number % len(RATIOS)]
            ledger.agree(source, destination, ratio, price=PRICE_MICRO, rules=RULES[number % len(RULES)])
            agreements.append(Agreement(source, destination, ratio))
        members = []
        for who, joined in (("ann", chosen), ("ben", chosen[:2]), ("cleo", chosen[1:3]), ("dan", chosen[:1])):
            enrolled = [ledger.member(program, who) for program in joined]
            members += ledger.link(*enrolled).members if len(enrolled) > 1 else enrolled
        wallets = [ledger.wallet(one) for one in members if one.member_number == "ann"]
        found = [ledger.ask(programs.by_id, one.id) for one in chosen]
        keys = {one.id: one.key_index for one in ledger.ask(lanes.all_lanes)}
        ledger.close()
        network = Network((0).to_bytes(32), NOW_MS, dice, CALM.final_depth)
        _lay(network, found, wallets, agreements)
        now_ms = _pay_in(directory / "ledger.sqlite3", network, members)
    issuers = [Issuer(one.deployed_token, keys[one.issuer_lane_id]) for one in found]
    return Ground(directory / "ledger.sqlite3", network, now_ms, BALANCE, found, members, wallets, agreements, issuers)


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


def _pay_in(path: Path, network: Network, members: Sequence[Member]) -> int:
    """Let the service itself give every member points, where nothing goes wrong; answers the time when it is done."""
    history, now_ms = History(), [NOW_MS]
    points = FaultPoints(Random(0), history, 0)
    wire = Wire(Node(network), CALM, Random(0), points, history)
    process = Process(path, wire, lambda: now_ms[0], points, CALM)
    assert process.begin()
    for one in members:
        asked = [EarnRequest(f"ground-{one.id}", one.id, None, None, BALANCE, None)]
        process.write(partial(earns.accept, program_id=one.program_id, requests=asked, now_ms=now_ms[0]))
    behind = BEHIND
    for _ in range(ROUNDS_MAX):
        now_ms[0] += 1_000
        network.next_block(now_ms[0])
        while process.follow() or process.post():
            pass
        behind -= not network.pool
        if behind == 0:
            break
    process.close()
    assert sum(network.held(network.final_number).values()) == BALANCE * len(members)
    return now_ms[0]
