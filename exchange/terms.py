"""Terms: what two programs agreed for one direction."""

from dataclasses import dataclass

from exchange.checks import check_whole
from exchange.errors import InvalidTerms
from exchange.points import POINTS_MAX, MicroUnits, Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, TIME_MAX, Rules, check_blocks

VERSION_MAX = 2**24 - 1
"""The contract counts the versions of a direction in 24 bits."""

PRICE_MAX = MicroUnits(2**48 - 1)
"""The contract keeps a price in 48 bits."""


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of what two programs agreed for one direction.

    `minimum` and `increment` are source points: the amounts in are `minimum`, `minimum + increment`, and so
    on. `settlement_price` is what the source program owes for each destination point. `version` is 0 until
    the contract has numbered the proposal; `effective_at` is in Unix seconds, and None until both programs
    consented. The caps are source points that managed accounts, and holders of wallets, may swap in a period.
    What the contract does not hold is in `rules`.

    Raises `InvalidTerms` naming the field that is at fault, and `UnevenMinimum`.
    """

    id: str
    source: str
    destination: str
    version: int
    ratio: Ratio
    minimum: Points
    increment: Points
    settlement_price: MicroUnits
    effective_at: int | None
    managed_cap: int = POINTS_MAX
    wallet_cap: int = 0
    rules: Rules = PLAIN

    def __post_init__(self) -> None:
        if self.source == self.destination:
            raise InvalidTerms("terms are between two different programs", field="destination")
        check_whole("version", self.version, 0, VERSION_MAX)
        check_whole("minimum", self.minimum, 1, POINTS_MAX)
        check_whole("increment", self.increment, 1, POINTS_MAX)
        check_whole("settlement_price", self.settlement_price, 0, PRICE_MAX)
        check_whole("managed_cap", self.managed_cap, 0, POINTS_MAX)
        check_whole("wallet_cap", self.wallet_cap, 0, POINTS_MAX)
        if self.effective_at is not None:
            check_whole("effective_at", self.effective_at, 0, TIME_MAX)
        check_blocks(self.rules, self.minimum, self.increment)
        self._check_better()

    def _check_better(self) -> None:
        """A ratio below that of the terms would never count: whoever wrote it meant another ratio for the terms."""
        for place, bonus in enumerate(self.rules.bonuses):
            if bonus.ratio is not None and bonus.ratio.exact < self.ratio.exact:
                raise InvalidTerms(
                    f"the ratio {bonus.ratio} of the bonus {bonus.name} is less than the {self.ratio} that all get; "
                    "the ratio of the terms is the least, and what is more is a bonus",
                    field=f"bonuses.{place}.ratio",
                    limit=str(self.ratio),
                    nearest=str(self.ratio),
                )
