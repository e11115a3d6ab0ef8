"""The three programs of the demo, and what they agree with each other.

The rates are invented. They are set so that a point's worth differs from program to program, and so that each
swap costs a little: no cycle of swaps ends with more points than it began.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
    """One program: for every full `per_cents` cents spent, `points` points.

    `value_micro` is what one of its points is worth when it is redeemed at home, in micro-dollars.
    """

    kind: str
    name: str
    symbol: str
    currency: str
    points: int
    per_cents: int
    value_micro: int

    @property
    def earning_rate(self) -> EarningRate:
        """The rate as the API takes it."""
        return {"points": self.points, "per_minor_units": self.per_cents}

    def earned(self, cents: int) -> int:
        """What the service should award; worked out here too, so that each answer can be checked."""
        return cents * self.points // self.per_cents


@dataclass(frozen=True, slots=True)
class Deal:
    """Terms of one direction. `price_micro` is what a destination point costs, in micro-dollars.

    `rules` is what the ratio does not say, as the API takes it.
    """

    source: str
    destination: str
    from_units: int
    to_units: int
    minimum: int
    increment: int
    price_micro: int
    rules: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def ratio(self) -> Ratio:
        """The ratio as the API takes it."""
        return {"from_units": self.from_units, "to_units": self.to_units}


SCHEMES = {
    "grocery": Scheme("grocery", "Basket", "BSKT", "Basket points", points=1, per_cents=100, value_micro=10_000),
    "drugstore": Scheme("drugstore", "Remedy", "RMDY", "Remedy points", points=5, per_cents=100, value_micro=2_000),
    "fuel": Scheme("fuel", "Octane", "OCTN", "Octane points", points=2, per_cents=100, value_micro=5_000),
}

FULL_TANK = {"name": "full tank", "share": "10%", "when": {"at_least": 45}}

# Each price is what a point of the destination is worth at home: its program neither gains nor loses by the swap.
DEALS = (
    Deal("drugstore", "grocery", 6, 1, minimum=30, increment=6, price_micro=10_000),
    Deal("grocery", "drugstore", 1, 4, minimum=10, increment=1, price_micro=2_000),
    Deal("fuel", "grocery", 5, 2, minimum=25, increment=5, price_micro=10_000),
    Deal("grocery", "fuel", 3, 5, minimum=15, increment=3, price_micro=5_000, rules={"bonuses": [FULL_TANK]}),
    Deal("fuel", "drugstore", 1, 2, minimum=20, increment=1, price_micro=2_000),
)

# The drugstore and the fuel stations agreed on one direction only. The other leads by way of the grocery.
ROUTED = ("drugstore", "fuel")
