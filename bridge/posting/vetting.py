"""Vetting: what speaks against terms, before they go to the chain and nobody can take them back.

Asked when terms are proposed, when they are consented to, and by whoever only wants to know. The rules of the terms
themselves are checked where they are made (`exchange.terms`); here it is how they stand to everything else: to the
version before, to what points are worth, and to the directions of all other programs.

What takes long, such as looking for an amount that gains, is not for the ledger's writer: everything is asked before,
and within the transaction once more only what must not change in between (`require_no_gain`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from bridge.fx.settlement import to_settlement
from bridge.posting.gatekeeper import Gatekeeper, Round, names
from bridge.store import chainstate, programs, terms
from bridge.store.programs import Program
from bridge.store.terms import Proposal, TermsRow
from exchange.best_rate import best_rate
from exchange.errors import GainingCycle, NoRate
from exchange.explanation import BASIS, Worth, percent
from exchange.fx import RateSource, worth
from exchange.gain import explain_refusal, gaining_amount
from exchange.gate import WARNING_SHARE, refusal
from exchange.inversion import require_not_inverted
from exchange.points import MicroUnits
from exchange.splitting import splitting_pays
from exchange.terms import Terms
from exchange.wallets import require_rules_of_wallets

_GAINING = Fraction(0)
"""No warning: only cycles that gain."""

NARROW_CYCLE, HIGH_RATIO, SPLITTING_PAYS = "narrow-cycle", "high-ratio", "splitting-pays"
WALLETS_UNRULED, STALE_RATE = "wallets-unruled", "stale-rate"

#: A rate of exchange older than this many days is worth a look. None is refused for its age unless the settings say so.
RATE_AGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Warned:
    """What is no reason to refuse terms, and yet worth a look."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class Vetted:
    """A proposal against which nothing speaks but the warnings; its price is in the currency of settlements."""

    proposal: Proposal
    warnings: tuple[Warned, ...]


class Vetting:
    """Knows the market's best rates, and rates of exchange."""

    def __init__(self, gatekeeper: Gatekeeper, rates: RateSource) -> None:
        self._gatekeeper = gatekeeper
        self._rates = rates

    def proposed(self, connection: sa.Connection, wanted: Proposal, now_ms: int) -> Vetted:
        """The proposal, with its price converted; an empty currency is that of settlements.

        Raises UnknownProgram, ProgramNotActive, InvalidRatio, InvalidTerms, UnevenMinimum, NoRate, InvertedRatio,
        GainingCycle.
        """
        source = programs.by_id(connection, wanted.from_program_id)
        destination = programs.by_id(connection, wanted.to_program_id)
        assert source.deployed_token and destination.deployed_token
        proposal = self._converted(connection, wanted, now_ms)
        agreed = terms.draft(connection, proposal, now_ms).agreed()
        require_rules_of_wallets(agreed)
        before = terms.last_adopted(connection, source.id, destination.id)
        require_not_inverted(
            agreed.ratio,
            previous=None if before is None else before.agreed().ratio,
            worth=self.worth(source, destination, now_ms),
            confirmed=proposal.confirmed_ratio,
        )
        warnings = self._warnings(connection, agreed, source, destination, now_ms)
        return Vetted(proposal, (*warnings, *_of_rate(proposal.fx, now_ms)))

    def consented(self, connection: sa.Connection, row: TermsRow, now_ms: int) -> tuple[Warned, ...]:
        """What there is to say of terms to which the other program wants to consent. Raises GainingCycle."""
        source = programs.by_id(connection, row.from_program_id)
        destination = programs.by_id(connection, row.to_program_id)
        warnings = self._warnings(connection, row.agreed(), source, destination, now_ms)
        return (*warnings, *_of_rate(row.fx, row.created_ms))

    def require_no_gain(self, connection: sa.Connection, agreed: Terms, now_ms: int) -> None:
        """Raises GainingCycle. Within a transaction it comes before any change of terms."""
        found = self._gatekeeper.examine(connection, agreed, now_ms, _GAINING)
        if found is not None:
            raise _refusal(agreed, found, found.cycle.describe(names(connection)))

    def worth(self, source: Program, destination: Program, now_ms: int) -> Worth | None:
        """What points given and received are worth in the source's money; None where nobody knows."""
        given, received = source.point_value, destination.point_value
        if given is None or received is None:
            return None
        try:
            return worth(given, received, source.money, self._rates, day_of(now_ms))
        except NoRate:
            return None

    def _converted(self, connection: sa.Connection, wanted: Proposal, now_ms: int) -> Proposal:
        deployment = chainstate.get(connection)
        assert deployment is not None, "a ledger is bound before anybody asks"
        settlement, price = deployment.settlement_currency, MicroUnits(wanted.settlement_price_micro)
        converted = to_settlement(price, wanted.currency or settlement, settlement, self._rates, day_of(now_ms))
        fx: dict[str, Any] | None = None
        if converted.rate is not None:
            fx = {"price_micro": wanted.settlement_price_micro} | converted.rate.record()
        return replace(wanted, settlement_price_micro=converted.price_micro, currency=settlement, fx=fx)

    def _warnings(
        self, connection: sa.Connection, agreed: Terms, source: Program, destination: Program, now_ms: int
    ) -> tuple[Warned, ...]:
        return (
            *self._of_cycles(connection, agreed, now_ms),
            *_of_ratio(agreed, self.worth(source, destination, now_ms), now_ms),
            *_of_splitting(agreed),
            *_of_wallets(agreed),
        )

    def _of_cycles(self, connection: sa.Connection, agreed: Terms, now_ms: int) -> Iterator[Warned]:
        found = self._gatekeeper.examine(connection, agreed, now_ms, WARNING_SHARE)
        if found is None:
            return
        if not found.cycle.gains:
            yield Warned(NARROW_CYCLE, f"a cycle loses little: {found.cycle.describe(names(connection))}")
            return
        search = gaining_amount(found.terms, now_ms // 1000)
        raise _refusal(agreed, found, explain_refusal(found.cycle, search, names(connection)))


def day_of(now_ms: int) -> date:
    """The day in UTC."""
    return datetime.fromtimestamp(now_ms // 1000, UTC).date()


def _refusal(agreed: Terms, found: Round, told: str) -> GainingCycle:
    """The refusal of terms; where they have bonuses, a lesser ratio alone may not mend them."""
    refused = refusal(found.cycle, told)
    if found.cycle.rates[0] != agreed.ratio.exact:
        refused.nearest = None
    return refused


def _of_ratio(agreed: Terms, worth_of: Worth | None, now_ms: int) -> Iterator[Warned]:
    if worth_of is None or worth_of.source <= 0:
        return
    received = best_rate(agreed, now_ms // 1000) * worth_of.destination / worth_of.source
    if received > Fraction(1):
        share = percent(int(received * BASIS))
        yield Warned(HIGH_RATIO, f"at best a member receives {share} of the value given; {worth_of.note}")


def _of_splitting(agreed: Terms) -> Iterator[Warned]:
    if found := splitting_pays(agreed):
        yield Warned(SPLITTING_PAYS, f"several transfers may bring more than one: {found}")


def _of_wallets(agreed: Terms) -> Iterator[Warned]:
    least = max((agreed.minimum, *(each.minimum for each in agreed.rules.minimums)))
    if agreed.wallet_cap and max(least, agreed.increment) > 1:
        yield Warned(
            WALLETS_UNRULED, "holders of wallets swap any amount: the contract knows no minimum and no increment"
        )


def _of_rate(fx: Mapping[str, Any] | None, converted_ms: int) -> Iterator[Warned]:
    """`fx` is how the price was converted, at that moment; None where nothing was to do."""
    if fx is None:
        return
    age = (day_of(converted_ms) - date.fromisoformat(fx["date"])).days
    if age > RATE_AGE_DAYS:
        yield Warned(
            STALE_RATE,
            f"the price was converted at a rate of {fx['date']}, {age} days old: {fx['base']} to {fx['quote']}",
        )
