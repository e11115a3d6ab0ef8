"""A scenario: which kinds of fault one seed injects, and how often. Each seed has a random subset of them."""

from dataclasses import dataclass
from random import Random

from tests.faults.answers import Kind
from tests.simulation.crashes import COMMON, POINTS, step_of

#: What can go wrong, by kind.
WIRE = (
    Kind.LOSE_REQUEST,
    Kind.LOSE_ANSWER,
    Kind.LATE_REQUEST,
    Kind.DOUBLE_REQUEST,
    Kind.OLD_HEAD,
    Kind.EMPTY_LOGS,
    Kind.HIDE_RECEIPT,
    Kind.HIDE_TRANSACTION,
    Kind.REFUSE,
    Kind.REFUSE_TAKEN,
    Kind.HTML_PAGE,
    Kind.TRUNCATED,
)
CHAIN = (
    "reorganisation",
    "dropped transaction",
    "late transaction",
    "base fee spike",
    "empty signer",
    "reverted transaction",
    "few transactions a block",
)
ADMINS = ("pause", "lowered limit", "lowered cap", "lowered credit", "suspended terms", "new terms")
OURS = ("crash", "clock jump", "lost client answer")
KINDS = (*(each.value.replace("-", " ") for each in WIRE), *CHAIN, *ADMINS, *OURS)
#: With these a transaction may be mined that the node does not show: no chain of our own has them.
_ELSEWHERE = {"dropped transaction", "late transaction", Kind.OLD_HEAD.value.replace("-", " "), "late request"}
#: What happens together with a theft: nothing that could take the thief's transaction away.
BESIDE_THEFT = ("crash", "crash", "restored ledger", "lost client answer", "lose answer", "reverted transaction")
#: Blocks become final later, and without another block.
LATE_FINALITY, LATE_SHARE = "late finality", 0.2
#: Steps that are taken only where no empty blocks are made, and such that only one of several processes takes.
_OF_LAZY, _OF_SEVERAL = {"Poster._sign_once", "Poster._tick"}, {"Leadership._give_back"}
#: What it takes to come to steps that are seldom taken.
NEEDS = {
    "Follower._finalise": LATE_FINALITY,
    "Follower._undo": "reorganisation",
    "Leadership._give_back": "hand over",
    "Recovery.examine": "restored ledger",
    "Recovery.step": "restored ledger",
    "Submitter._outbid": "base fee spike",
    "Submitter._write_trouble": "empty signer",
    "Poster._dissolve_stream": "dropped transaction",
    "Poster._dissolve_unsigned": "pause",
    "Poster._sign_once": "reverted transaction",
    "Poster._tick": "reverted transaction",
}
#: Points that one seed aims its crashes at, and how much more often at those to which no run comes many times.
AIMS, RARE_WEIGHT = 8, 4
#: The share of seeds in which processes crash.
CRASHING = 0.7
#: How many processes a run has, and what goes wrong where there are several.
PROCESSES = (1, 1, 1, 2, 3)
AMONG, AMONG_SHARE = ("stall", "sleep", "kill", "hand over"), 0.7
#: The share of seeds whose chain makes no empty blocks.
LAZY = 0.2
#: The share of seeds whose node tells the state of a block that it does not show yet.
MAKING, MAKING_SHARE = "block in the making", 0.4
#: One seed in so many restores the ledger from a backup, and one in so many has a stolen key.
RESTORED_ONE_IN = 5
STOLEN_ONE_IN = 25


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one run is like. `wire_one_in` is how often a request to the node goes wrong, `crash_one_in` how often a
    fault point is the last that the process reaches.
    """

    kinds: frozenset[str]
    wire_one_in: int
    crash_one_in: int
    final_depth: int
    finality: str
    entries_max: int
    batch_life_s: int
    linger_ms: int
    lazy: bool
    steps: int
    #: how many run the service, on one ledger
    processes: int = 1
    #: at which visit of which fault points the process crashes, whatever the dice say
    aims: tuple[tuple[str, int], ...] = ()

    def has(self, kind: str) -> bool:
        """Whether a kind of fault may happen."""
        return kind in self.kinds

    @property
    def own_chain(self) -> bool:
        """Whether what waits to be mined waits in the one node that is asked, as in the embedded chain."""
        return self.lazy and not self.kinds & _ELSEWHERE

    @classmethod
    def of(cls, dice: Random, steps: int) -> "Scenario":
        share = dice.choice((0.0, 0.2, 0.5, 0.5, 0.8))
        kinds = {kind for kind in KINDS if dice.random() < share}
        if dice.randrange(RESTORED_ONE_IN) == 0:
            kinds.add("restored ledger")
        if dice.randrange(STOLEN_ONE_IN) == 0:
            kinds = {"stolen key", *(kind for kind in BESIDE_THEFT if dice.random() < 0.5)}
        own = Random(dice.random())  # more points to aim at change nothing else of a seed
        if own.random() < CRASHING and "stolen key" not in kinds:
            kinds.add("crash")
        aims = _aims(own) if "crash" in kinds else ()
        aimed = {step_of(point) for point, _ in aims}
        if "stolen key" not in kinds:
            kinds |= {NEEDS[each] for each in aimed if each in NEEDS}
        processes = own.choice([one for one in PROCESSES if one > 1] if aimed & _OF_SEVERAL else PROCESSES)
        if processes > 1 and "stolen key" not in kinds:
            kinds |= {each for each in AMONG if own.random() < AMONG_SHARE}
        lazy = dice.random() < LAZY or bool(aimed & _OF_LAZY and LATE_FINALITY not in kinds)
        if lazy:  # as the embedded chain is: a block is final when it is made, and none is made of nothing
            kinds -= {"reorganisation", LATE_FINALITY}
        if own.random() < MAKING_SHARE and "stolen key" not in kinds:
            kinds.add(MAKING)
        if own.random() < LATE_SHARE and "stolen key" not in kinds and not lazy:
            kinds.add(LATE_FINALITY)
        depth = 0 if lazy else dice.choice((2, 2, 3, 5))
        return cls(
            kinds=frozenset(kinds),
            wire_one_in=dice.choice((20, 50, 150)),
            crash_one_in=dice.choice((20, 60, 150)),
            final_depth=depth,
            finality=dice.choice((f"depth:{depth}" if LATE_FINALITY not in kinds else "finalized", "finalized")),
            entries_max=dice.choice((3, 8, 30)),
            batch_life_s=dice.choice((20, 60, 120)),
            linger_ms=dice.choice((0, 0, 2_000)),
            lazy=lazy,
            steps=steps,
            processes=processes,
            aims=aims,
        )


def _aims(dice: Random) -> tuple[tuple[str, int], ...]:
    """A few points, the seldom ones more often than others, and at which visit of each the process ends."""
    weights = [1 if step_of(point) in COMMON else RARE_WEIGHT for point in POINTS]
    chosen = dict.fromkeys(dice.choices(POINTS, weights, k=AIMS))
    return tuple((point, dice.choice((1, 2, 4, 8)) if step_of(point) in COMMON else 1) for point in chosen)


#: Nothing goes wrong at all.
CALM = Scenario(
    kinds=frozenset(),
    wire_one_in=1,
    crash_one_in=1,
    final_depth=2,
    finality="depth:2",
    entries_max=30,
    batch_life_s=120,
    linger_ms=0,
    lazy=False,
    steps=0,
)
