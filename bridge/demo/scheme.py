"""The three programs of the demo, and what they agree with each other.

The rates are invented. They are set so that a point's worth differs from program to program, and so that each
swap costs a little: no cycle of swaps ends with more points than it began.
"""

from dataclasses import dataclass
from itertools import permutations

from bridge.answers import EarningRate, Limit, Ratio

COUPON_POINTS = 200
# The demo replays within minutes what took a year, so the limits are those of a year and not of minutes: the whole
# file earns 3.5 million points at the largest program, its coupons cost 0.4 million, and no household swaps more than
# half of what it has. So nothing waits, and yet a stolen key could do no more than a year's business.
LIMITS: dict[str, Limit] = {
    "issuance": {"capacity": 5_000_000, "refill_per_second": 1},
    "redemption": {"capacity": 1_000_000, "refill_per_second": 1},
    "release": {"capacity": 100_000, "refill_per_second": 1},
}
MANAGED_CAP = 2_000_000
# 20,000 dollars: more than half of all Basket points are worth at any partner.
CREDIT_LIMIT_MICRO = 20_000_000_000

KEY_SCOPES = ("earn", "redeem", "swap", "terms", "members", "read")


@dataclass(frozen=True, slots=True)
class Scheme:
    """One program: for every full `per_cents` cents spent, `points` points."""

    kind: str
    name: str
    symbol: str
    currency: str
    points: int
    per_cents: int

    @property
    def earning_rate(self) -> EarningRate:
        """The rate as the API takes it."""
        return {"points": self.points, "per_minor_units": self.per_cents}

    def earned(self, cents: int) -> int:
        """What the service should award; worked out here too, so that each answer can be checked."""
        return cents * self.points // self.per_cents


@dataclass(frozen=True, slots=True)
class Deal:
    """Terms of one direction. `price_micro` is what a destination point costs, in micro-dollars."""

    source: str
    destination: str
    from_units: int
    to_units: int
    minimum: int
    increment: int
    price_micro: int

    @property
    def ratio(self) -> Ratio:
        """The ratio as the API takes it."""
        return {"from_units": self.from_units, "to_units": self.to_units}


SCHEMES = {
    "grocery": Scheme("grocery", "Basket", "BSKT", "Basket points", points=1, per_cents=100),
    "drugstore": Scheme("drugstore", "Remedy", "RMDY", "Remedy points", points=5, per_cents=100),
    "fuel": Scheme("fuel", "Octane", "OCTN", "Octane points", points=2, per_cents=100),
}

# A Basket point is worth 10,000 micro-dollars to its program, an Octane point 5,000, a Remedy point 2,000.
DEALS = (
    Deal("drugstore", "grocery", 6, 1, minimum=30, increment=6, price_micro=10_000),
    Deal("grocery", "drugstore", 1, 4, minimum=10, increment=1, price_micro=2_000),
    Deal("fuel", "grocery", 5, 2, minimum=25, increment=5, price_micro=10_000),
    Deal("grocery", "fuel", 3, 5, minimum=30, increment=3, price_micro=5_000),
    Deal("drugstore", "fuel", 3, 1, minimum=30, increment=3, price_micro=5_000),
    Deal("fuel", "drugstore", 1, 2, minimum=20, increment=1, price_micro=2_000),
)

assert {(deal.source, deal.destination) for deal in DEALS} == set(permutations(SCHEMES, 2))
