"""The weather: what miners, other nodes, admins and clocks do to a run, as far as its scenario has it."""

from collections.abc import Callable
from random import Random
from typing import Any

from bridge.chain.contracts import Limit
from bridge.forms.rules import RulesForm
from bridge.store import terms
from bridge.store.database import Database
from bridge.store.terms import Proposal
from exchange.rules import PLAIN
from tests.simulation.chain import BLOCK_MAX, FUNDS_WEI, GWEI, Network
from tests.simulation.ground import PRICE_MICRO, RATIOS, WIDE, Ground
from tests.simulation.history import History
from tests.simulation.oracle import Oracle
from tests.simulation.reckoning import CREDIT_WIDE_MICRO
from tests.simulation.scenario import LATE_FINALITY, Scenario
from tests.simulation.theft import stolen_post
from tests.simulation.transaction import read

#: How far the service's clock is off at times, in milliseconds.
SKEWS_MS = (-7_200_000, -600_000, -5_000, 5_000, 600_000, 7_200_000)
SPIKES = (2, 5, 30, 400)
#: For how long a batch of a thief is valid who wants it to look like the service's own.
CAREFUL_S = 120
#: What meets swaps on their way happens more often, and mostly where they are.
AGAINST_SWAPS = ("reorganisation", "suspended terms", "lowered cap", "lowered credit", "new terms")
OFTEN, AIMED = 2, 0.7


class Weather:
    """What the service cannot help. `skew_ms` is by how much its clock is ahead of the network's."""

    def __init__(
        self, ground: Ground, network: Network, scenario: Scenario, dice: Random, history: History, oracle: Oracle
    ) -> None:
        self.skew_ms = 0
        self.now_ms = 0
        self._ground = ground
        self._network = network
        self._scenario = scenario
        self._dice = dice
        self._history = history
        self._oracle = oracle
        self._versions = dict.fromkeys(((one.source.id, one.destination.id) for one in ground.agreements), 1)
        self._tokens = {one.id: one.deployed_token for one in ground.programs}
        self._ways: dict[str, Callable[[Database], None]] = {
            "reorganisation": self._reorganise,
            "dropped transaction": self._drop,
            "late transaction": self._remember,
            "base fee spike": self._spike,
            "empty signer": self._empty_signer,
            "reverted transaction": self._revert,
            LATE_FINALITY: self._delay_finality,
            "pause": self._pause,
            "lowered limit": self._lower_limit,
            "lowered cap": self._lower_cap,
            "lowered credit": self._lower_credit,
            "suspended terms": self._suspend,
            "new terms": self._new_terms,
            "clock jump": self._jump,
            "stolen key": self._steal,
        }
        self._possible = sorted(set(self._ways) & scenario.kinds)
        self._weights = [OFTEN if one in AGAINST_SWAPS else 1 for one in self._possible]
        #: which directions are being swapped along just now
        self.under_way: Callable[[], list[tuple[str, str]]] = list

    def mine(self) -> None:
        """The network makes a block, of all that waits or of little of it."""
        if self._scenario.lazy and not self._network.anything_to_mine():
            return
        few = self._scenario.has("few transactions a block") and self._dice.random() < 0.5
        if few:
            self._history.fault("few transactions a block")
        self._block(self._dice.randint(1, 2) if few else BLOCK_MAX)

    def change(self, ledger: Database) -> None:
        """Something of the scenario happens."""
        if self._possible:
            self._ways[self._dice.choices(self._possible, self._weights)[0]](ledger)

    def calm(self) -> None:
        """All faults end: what was taken away is given back, but for terms that were suspended."""
        self.skew_ms = 0
        self._network.base_fee_wei = GWEI
        self._network.revert_in = 0
        self._network.finalise_from_now_on()
        for program in self._ground.programs:
            self._decide(kind="pause", token=program.deployed_token, on=False)
            self._decide(kind="credit", token=program.deployed_token, micro=CREDIT_WIDE_MICRO)
            for limit in Limit:
                wide = {"limit": int(limit), "capacity": WIDE.capacity, "refill": WIDE.refill}
                self._decide(kind="limit", token=program.deployed_token, **wide)
        for index in self._signers():
            self._decide(kind="fund", who=bytes([index]) * 20, wei=FUNDS_WEI)

    # -- what can happen ----------------------------------------------------------------------------

    def _block(self, most: int, *, old: tuple[Any, ...] = (), at_ms: int | None = None) -> None:
        made = self._network.next_block(self.now_ms if at_ms is None else at_ms, most, old=old)
        self._history.note(f"block {made.number} {made.hash.hex()[:8]} of {len(made.transactions)}")
        self._oracle.block_made()

    def _reorganise(self, _: Database) -> None:
        """Another branch wins; it is longer most of the time, and what it takes is up to its miners."""
        depth = self._dice.randint(1, self._scenario.final_depth)
        lost = [place for place in range(40) if self._dice.random() < 0.3]
        head, made_ms = self._network.head, [one.block.timestamp * 1000 for one in self._network.blocks]
        away = self._network.fork(depth, lost)
        if self._network.head == head:
            return
        self._history.fault("reorganisation", f"from {head} to {self._network.head}, {len(away)} lost")
        others = tuple(away) if self._dice.random() < 0.5 else ()
        for _again in range(head - self._network.head + self._dice.choice((1, 1, 1, 0, -1))):
            # The other branch was made at the same time as ours, and shown to us only now.
            number = self._network.head + 1
            at_ms = made_ms[number] if number < len(made_ms) else self.now_ms
            self._block(self._dice.choice((0, 1, BLOCK_MAX)), old=others, at_ms=at_ms)

    def _drop(self, _: Database) -> None:
        one = self._network.forget(self._dice.randrange(1000))
        if one is not None:
            self._history.fault("dropped transaction", f"{one.hash.hex()[:8]} nonce {one.nonce}")

    def _remember(self, _: Database) -> None:
        """A miner takes what our node dropped, or what was replaced."""
        waiting = [each for each in self._network.heard.values() if each.hash not in self._network.where]
        known = {each.hash for each in self._network.pool.values()}
        old = tuple(each for each in waiting if each.hash not in known and each.deed is None)
        if old:
            self._history.fault("late transaction", f"{len(old)}")
            self._block(BLOCK_MAX, old=old)

    def _spike(self, _: Database) -> None:
        spiked = self._network.base_fee_wei != GWEI
        self._network.base_fee_wei = GWEI if spiked else GWEI * self._dice.choice(SPIKES)
        if not spiked:
            self._history.fault("base fee spike", f"{self._network.base_fee_wei}")

    def _empty_signer(self, _: Database) -> None:
        index = self._dice.choice(self._signers())
        powers = self._network.network_state.powers
        empty = powers.wei.get(bytes([index]) * 20, FUNDS_WEI) == 0
        if not empty:
            self._history.fault("empty signer", f"{index}")
        self._decide(kind="fund", who=bytes([index]) * 20, wei=FUNDS_WEI if empty else 0)

    def _signers(self) -> list[int]:
        """The exchange's operator and each program's issuer."""
        return [1, *(one.key_index for one in self._ground.issuers)]

    def _revert(self, _: Database) -> None:
        self._network.revert_in = 1
        self._history.fault("reverted transaction")

    def _delay_finality(self, _: Database) -> None:
        """No block becomes final for a while; then some do, without another block."""
        if self._network.finality_waits:
            self._network.finalise_from_now_on()
        else:
            self._history.fault(LATE_FINALITY)
            self._network.finality_waits = True

    def _pause(self, _: Database) -> None:
        token = self._token()
        on = token not in self._network.network_state.powers.paused
        if on:
            self._history.fault("pause", token[:3].decode())
        self._decide(kind="pause", token=token, on=on)

    def _lower_limit(self, _: Database) -> None:
        token, limit = self._token(), self._dice.choice(list(Limit))
        low = self._network.network_state.powers.limits[token, limit] == WIDE
        capacity, refill = self._dice.choice(((30, 5), (120, 20))) if low else (WIDE.capacity, WIDE.refill)
        if low:
            self._history.fault("lowered limit", f"{token[:3].decode()} {limit.name} to {capacity}")
        self._decide(kind="limit", token=token, limit=int(limit), capacity=capacity, refill=refill)

    def _lower_cap(self, _: Database) -> None:
        hop = self._hop()
        capacity = self._dice.choice((20, 100, 400))
        self._history.fault("lowered cap", f"{capacity}")
        self._decide_terms(hop, kind="cap", version=self._versions[hop], managed=capacity)

    def _lower_credit(self, _: Database) -> None:
        token = self._token()
        low = self._network.network_state.powers.credit_limits.get(token, CREDIT_WIDE_MICRO) == CREDIT_WIDE_MICRO
        micro = self._dice.choice((100, 500, 2_000)) if low else CREDIT_WIDE_MICRO
        if low:
            self._history.fault("lowered credit", f"{token[:3].decode()} to {micro}")
        self._decide(kind="credit", token=token, micro=micro)

    def _suspend(self, ledger: Database) -> None:
        """A direction closes, and now and then opens again under new terms."""
        hop = self._hop()
        if tuple(self._tokens[one] for one in hop) not in self._network.network_state.powers.terms:
            self._adopt(ledger, hop)
            return
        self._history.fault("suspended terms")
        self._decide_terms(hop, kind="suspend")

    def _new_terms(self, ledger: Database) -> None:
        """Other terms replace those in force, without the notice that the contract would ask for."""
        self._history.fault("new terms")
        self._adopt(ledger, self._hop())

    def _adopt(self, ledger: Database, hop: tuple[str, str]) -> None:
        self._versions[hop] += 1
        ratio, version = self._dice.choice(RATIOS), self._versions[hop]
        rules = RulesForm.of(PLAIN).written()
        proposal = Proposal(*hop, *ratio, 1, 1, PRICE_MICRO, "USD", hop[0], rules=rules)
        with ledger.write() as connection:
            row = terms.propose(connection, proposal, self.now_ms + self.skew_ms)
            terms.proposed(connection, row.id, version)
        told = {"from_units": ratio[0], "to_units": ratio[1], "price": PRICE_MICRO, "managed": terms.MANAGED_CAP}
        self._decide_terms(hop, kind="adopt", version=version, **told)

    def _jump(self, _: Database) -> None:
        self.skew_ms = 0 if self.skew_ms else self._dice.choice(SKEWS_MS)
        if self.skew_ms:
            self._oracle.reckoning.clock_jumped = True
            self._history.fault("clock jump", f"{self.skew_ms} ms")

    def _steal(self, _: Database) -> None:
        """Somebody else posts with a program's issuer key, once; one of two knows for how long batches are valid."""
        if self._oracle.theft:
            return
        program = self._dice.choice(self._ground.issuers)
        self._oracle.careful_thief = self._dice.random() < 0.5
        valid_until = self.now_ms // 1000 + CAREFUL_S if self._oracle.careful_thief else 2**40
        raw = stolen_post(self._network.network_state, program.key_index, program.token, valid_until)
        self._oracle.theft = True
        self._history.fault("stolen key", program.token[:3].decode())
        one = read(raw)
        self._network.heard[one.hash] = one
        self._network.pool[one.sender, one.nonce] = one

    # -- inside -------------------------------------------------------------------------------------

    def _token(self) -> bytes:
        return self._dice.choice(list(self._tokens.values()))

    def _hop(self) -> tuple[str, str]:
        """Mostly a direction in which something is swapped just now."""
        busy = self.under_way()
        return self._dice.choice(busy if busy and self._dice.random() < AIMED else sorted(self._versions))

    def _decide(self, **deed: Any) -> None:
        told = {name: value.hex() if isinstance(value, bytes) else value for name, value in deed.items()}
        self._network.decide(told)

    def _decide_terms(self, hop: tuple[str, str], **deed: Any) -> None:
        source, destination = (self._tokens[one] for one in hop)
        self._decide(token=source, other=destination, **deed)
