"""The ledger from which every run starts: four programs with members, links, wallets, and terms in every direction."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from bridge.chain.contracts import Bounds, Limit
from bridge.store import ids, lanes, programs, terms
from bridge.store import limits as ledger_limits
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.wallets import Wallet
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Bonus, Expiry, PointsFee, Received, Rules
from tests.bridge.store.ledgers import NOW_MS, Ledger
from tests.simulation.chain import Network
from tests.simulation.dice import SeededIds

SYMBOLS = ("AIR", "BOX", "CAR", "DEN")
RATIOS = ((1, 1), (2, 1), (1, 2), (3, 2), (5, 3))
PRICE_MICRO = 7
#: What terms say beyond their ratio.
RULES = (
    PLAIN,
    Rules(bonuses=(Bonus("half", share=Ratio(Points(2), Points(1))),)),
    Rules(bonuses=(Bonus("welcome", flat=Points(3)),), fees=(PointsFee(Points(2)),)),
    Rules(fees=(PointsFee(Points(1)),), received=Received(Expiry.INHERITS)),
)
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
    genesis: bytes
    programs: Sequence[Program]
    members: Sequence[Member]
    wallets: Sequence[Wallet]
    agreements: Sequence[Agreement]
    issuers: Sequence[Issuer]

    def program_of(self, token: bytes) -> Program:
        """The program of a token."""
        return next(one for one in self.programs if one.deployed_token == token)

    def lay(self, network: Network) -> None:
        """Put on the chain what the ledger says is there: terms, limits and bindings."""
        state = network.network_state
        for one in self.agreements:
            hop = one.source.deployed_token, one.destination.deployed_token
            ratio = Ratio(Points(one.ratio[0]), Points(one.ratio[1]))
            network.agree(state.powers, hop, 1, ratio, PRICE_MICRO, terms.MANAGED_CAP)
        for program in self.programs:
            for limit in Limit:
                state.powers.limits[program.deployed_token, limit] = WIDE
        tokens = {one.id: one.deployed_token for one in self.programs}
        for wallet in self.wallets:
            state.bindings[tokens[wallet.program_id], wallet.reference] = wallet.address


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
    issuers = [Issuer(one.deployed_token, keys[one.issuer_lane_id]) for one in found]
    genesis = (0).to_bytes(32)
    return Ground(directory / "ledger.sqlite3", genesis, found, members, wallets, agreements, issuers)
