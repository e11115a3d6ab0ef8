"""The gate in step with the ledger: what counts of a direction, and what happens to a cycle that is there already."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction

import pytest

from bridge.forms.rules import RulesForm
from bridge.fx.ecb import EcbRates
from bridge.posting import setup
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.market import MarketKeeper
from bridge.posting.vetting import (
    NARROW_CYCLE,
    RATE_AGE_DAYS,
    SPLITTING_PAYS,
    STALE_RATE,
    WALLETS_UNRULED,
    Vetting,
)
from bridge.store import terms
from bridge.store.programs import Program
from bridge.store.terms import Proposal
from exchange.errors import DirectionClosed, GainingCycle, InvalidTerms, InvertedRatio, TermsStateConflict
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import Bonus, PointsFee, Received, Rules, When
from tests.bridge.store.ledgers import Ledger

DAY_MS = 86_400_000


class Desk:
    """A gatekeeper on a ledger, and the verbs of proposing."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.gatekeeper = Gatekeeper()
        self.vetting = Vetting(self.gatekeeper, EcbRates())

    def wanted(
        self, source: Program, destination: Program, ratio: tuple[int, int], rules: Rules | None = None
    ) -> Proposal:
        written = {} if rules is None else RulesForm.of(rules).written()
        return Proposal(source.id, destination.id, *ratio, 1, 1, 7, "USD", source.id, rules=written)

    def propose(
        self,
        source: Program,
        destination: Program,
        ratio: tuple[int, int],
        rules: Rules | None = None,
        version: int = 1,
    ) -> str:
        """Vet and propose, as the API does; the terms' id, once the chain numbered them."""
        wanted = self.wanted(source, destination, ratio, rules)
        vetted = self.ledger.ask(self.vetting.proposed, wanted, self.ledger.now_ms)
        row = self.ledger.do(setup.propose, vetted.proposal, self.vetting, self.ledger.now_ms)
        self.ledger.do(terms.proposed, row.id, version)
        return row.id

    def consent(self, terms_id: str) -> None:
        self.ledger.do(setup.consent, terms_id, None, self.vetting, self.ledger.now_ms)

    def adopt(self, source: Program, destination: Program, version: int = 1, in_ms: int = 0) -> None:
        self.ledger.do(terms.adopted, source.id, destination.id, version, self.ledger.now_ms + in_ms)

    def admits(self, source: Program, destination: Program, ratio: tuple[int, int], rules: Rules | None = None) -> bool:
        """Whether such terms could be proposed now; asked as proposing does, and undone."""
        wanted = self.wanted(source, destination, ratio, rules)
        before = self.ledger.everything()
        try:
            self.ledger.ask(self.vetting.proposed, wanted, self.ledger.now_ms)
        except GainingCycle:
            return False
        finally:
            assert self.ledger.everything() == before, "asking changes nothing"
        return True


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


def promotion(share: int, ends_ms: int) -> Rules:
    """So many percent more, until then."""
    extra = Ratio(Points(100), Points(share))
    return Rules(bonuses=(Bonus("promotion", share=extra, when=When(ends=ends_ms // 1000)),))


def test_propose__of_terms_that_complete_a_gaining_cycle__then_is_refused_with_names_rates_and_product(
    desk: Desk, air: Program, box: Program, car: Program
) -> None:
    desk.ledger.agree(air, box, (1, 2))
    desk.ledger.agree(box, car, (3, 2))
    before = desk.ledger.everything()

    with pytest.raises(GainingCycle) as refused:
        desk.propose(car, air, (4, 5))

    detail = refused.value.detail
    assert "CAR to AIR at 4:5, AIR to BOX at 1:2, BOX to CAR at 3:2: 5/3 of what went in" in detail
    assert "An amount that gains:" in detail
    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("ratio", "4:3", "4:3")
    assert desk.ledger.everything() == before


def test_propose__of_a_bonus_that_completes_a_gaining_cycle__then_names_the_limit_and_no_nearest_ratio(
    desk: Desk, air: Program, box: Program
) -> None:
    desk.ledger.agree(air, box, (1, 2))

    with pytest.raises(GainingCycle) as refused:
        desk.propose(box, air, (2, 1), promotion(10, desk.ledger.now_ms + DAY_MS))

    assert (refused.value.limit, refused.value.nearest) == ("2:1", None)


def test_propose__of_a_cycle_that_returns_exactly_what_went_in__then_is_taken_with_a_warning(
    desk: Desk, air: Program, box: Program
) -> None:
    desk.ledger.agree(air, box, (1, 2))

    vetted = desk.ledger.ask(desk.vetting.proposed, desk.wanted(box, air, (2, 1)), desk.ledger.now_ms)

    assert [each.type for each in vetted.warnings] == [NARROW_CYCLE]
    assert "BOX to AIR at 2:1, AIR to BOX at 1:2: exactly what went in could come back" in vetted.warnings[0].detail


def test_propose__of_terms_under_which_splitting_pays__then_is_taken_with_a_warning(
    desk: Desk, air: Program, box: Program
) -> None:
    flat = Rules(bonuses=(Bonus("welcome", flat=Points(5)),))

    vetted = desk.ledger.ask(desk.vetting.proposed, desk.wanted(air, box, (3, 1), flat), desk.ledger.now_ms)

    assert [each.type for each in vetted.warnings] == [SPLITTING_PAYS]
    assert "welcome" in vetted.warnings[0].detail


@pytest.mark.parametrize(
    "rules",
    [
        Rules(tiers=frozenset({"gold"})),
        Rules(fees=(PointsFee(Points(1)),)),
        Rules(received=Received(onward=False)),
    ],
)
def test_propose__of_terms_open_to_wallets_with_rules_that_bind_no_wallet__then_is_refused(
    desk: Desk, air: Program, box: Program, rules: Rules
) -> None:
    wanted = desk.wanted(air, box, (3, 1), rules)
    assert not desk.ledger.ask(desk.vetting.proposed, wanted, desk.ledger.now_ms).warnings

    with pytest.raises(InvalidTerms, match=rules.bound_only_here[0]) as refused:
        desk.ledger.ask(desk.vetting.proposed, replace(wanted, wallet_cap=1), desk.ledger.now_ms)

    assert (refused.value.field, refused.value.limit, refused.value.nearest) == ("wallet_cap", 0, 0)


@pytest.mark.parametrize(("wallet_cap", "minimum", "increment", "warned"), [
    (9, 2, 1, True), (9, 1, 2, True), (9, 1, 1, False), (0, 2, 2, False)
])  # fmt: skip
def test_propose__of_terms_open_to_wallets_with_a_minimum_or_increment__then_is_taken_with_a_warning(
    desk: Desk, air: Program, box: Program, wallet_cap: int, minimum: int, increment: int, warned: bool
) -> None:
    wanted = replace(desk.wanted(air, box, (3, 1)), wallet_cap=wallet_cap, minimum=minimum, increment=increment)

    vetted = desk.ledger.ask(desk.vetting.proposed, wanted, desk.ledger.now_ms)

    assert (WALLETS_UNRULED in [each.type for each in vetted.warnings]) == warned


@pytest.mark.parametrize(("age", "warned"), [(RATE_AGE_DAYS, False), (RATE_AGE_DAYS + 1, True)])
def test_propose__of_a_price_at_an_old_rate_of_exchange__then_is_taken_with_a_warning_that_names_the_day(
    desk: Desk, air: Program, box: Program, age: int, warned: bool
) -> None:
    last = EcbRates().rate("EUR", "USD", date.max).date
    desk.ledger.now_ms = int(datetime.combine(last + timedelta(days=age), time(12), UTC).timestamp()) * 1000
    wanted = replace(desk.wanted(air, box, (3, 1)), settlement_price_micro=10_000, currency="EUR")

    vetted = desk.ledger.ask(desk.vetting.proposed, wanted, desk.ledger.now_ms)

    told = [each.detail for each in vetted.warnings if each.type == STALE_RATE]
    assert (len(told) == 1) == warned and all(last.isoformat() in each for each in told)
    row = desk.ledger.do(setup.propose, vetted.proposal, desk.vetting, desk.ledger.now_ms)
    consented = desk.ledger.ask(desk.vetting.consented, row, desk.ledger.now_ms + DAY_MS)
    assert [each.detail for each in consented if each.type == STALE_RATE] == told


def test_consent__then_the_gate_is_asked_again(desk: Desk, air: Program, box: Program) -> None:
    """Each of two proposals is harmless while the other is only proposed."""
    there, back = desk.propose(air, box, (1, 2)), desk.propose(box, air, (1, 1))

    desk.consent(there)

    with pytest.raises(GainingCycle):
        desk.consent(back)
    assert desk.ledger.ask(terms.by_id, back).state == terms.PROPOSED
    with pytest.raises(TermsStateConflict):
        desk.consent(there)


def test_propose__in_the_transaction_of_another__then_sees_it(desk: Desk, air: Program, box: Program) -> None:
    """The writer commits many commands at once: each must see those before it."""
    there = desk.propose(air, box, (1, 2))
    back = desk.wanted(box, air, (1, 1))
    with desk.ledger.database.write() as connection:
        setup.consent(connection, there, None, desk.vetting, desk.ledger.now_ms)
        with pytest.raises(GainingCycle):
            setup.propose(connection, back, desk.vetting, desk.ledger.now_ms)


def test_gate__when_the_chain_refuses_a_consent__then_the_terms_no_longer_count(
    desk: Desk, air: Program, box: Program
) -> None:
    terms_id = desk.propose(air, box, (1, 2))
    desk.consent(terms_id)
    assert not desk.admits(box, air, (1, 1))

    desk.ledger.do(terms.set_state, terms_id, terms.PROPOSED, "refused")

    assert desk.admits(box, air, (1, 1))


def test_gate__of_announced_terms__then_counts_them_before_and_those_in_force_until_then(
    desk: Desk, air: Program, box: Program
) -> None:
    desk.ledger.agree(air, box, (1, 2))
    desk.ledger.agree(air, box, (3, 1), version=2, effective_ms=desk.ledger.now_ms + DAY_MS)
    assert not desk.admits(box, air, (1, 1))

    desk.ledger.now_ms += DAY_MS

    assert desk.admits(box, air, (1, 1)), "what was replaced is over"
    assert not desk.admits(box, air, (1, 4))
    desk.ledger.agree(air, box, (1, 9), version=3, effective_ms=desk.ledger.now_ms + DAY_MS)
    assert not desk.admits(box, air, (1, 1)), "what was announced counts at once: points can wait for it"


def test_gate__when_a_bonus_has_ended__then_it_no_longer_counts(desk: Desk, air: Program, box: Program) -> None:
    desk.ledger.agree(air, box, (1, 1), rules=promotion(50, desk.ledger.now_ms + DAY_MS))
    assert not desk.admits(box, air, (1, 1))

    desk.ledger.now_ms += DAY_MS

    assert desk.admits(box, air, (1, 1))
    desk.ledger.now_ms -= 1_000
    assert not desk.admits(box, air, (1, 1)), "a clock that is set back finds it counting"


def test_gate__when_a_direction_is_suspended__then_it_no_longer_counts(desk: Desk, air: Program, box: Program) -> None:
    desk.ledger.agree(air, box, (1, 2))
    assert not desk.admits(box, air, (1, 1))

    desk.ledger.do(terms.suspended, air.id, box.id, desk.ledger.now_ms)

    assert desk.admits(box, air, (1, 1))


def test_gate__of_a_cycle_that_two_programs_made_on_the_chain__then_bars_the_later_direction_until_it_is_gone(
    desk: Desk, air: Program, box: Program, car: Program
) -> None:
    market = MarketKeeper(desk.gatekeeper)
    desk.ledger.agree(air, box, (1, 2))
    desk.ledger.agree(box, car, (1, 1))
    desk.ledger.agree(box, air, (1, 1))  # never asked: adopted on the chain

    def standing() -> tuple[set[tuple[str, str]], int]:
        with desk.ledger.database.read() as connection:
            barred = desk.gatekeeper.barred(connection, desk.ledger.now_ms)
            with market.open(connection, desk.ledger.now_ms) as found:
                return set(barred), len(found)

    assert standing() == ({(box.id, air.id)}, 2)
    with desk.ledger.database.read() as connection:
        desk.gatekeeper.require_open(connection, [(air.id, box.id), (box.id, car.id)], desk.ledger.now_ms)
        with pytest.raises(DirectionClosed, match="BOX to AIR at 1:1, AIR to BOX at 1:2: 2/1 of what went in"):
            desk.gatekeeper.require_open(connection, [(air.id, box.id), (box.id, air.id)], desk.ledger.now_ms)

    desk.ledger.do(terms.suspended, air.id, box.id, desk.ledger.now_ms)
    assert standing() == (set(), 2), "the direction was closed that gained with it"


def test_gate__asked_by_readers_before_and_after__then_the_market_hears_of_what_was_barred(
    desk: Desk, air: Program, box: Program
) -> None:
    """The gatekeeper may have followed already when the market comes to ask."""
    market = MarketKeeper(desk.gatekeeper)
    desk.ledger.agree(air, box, (1, 2))
    with desk.ledger.database.read() as connection, market.open(connection, desk.ledger.now_ms) as found:
        assert len(found) == 1
    desk.ledger.agree(box, air, (1, 1))
    desk.ledger.ask(desk.gatekeeper.barred, desk.ledger.now_ms)

    with desk.ledger.database.read() as connection, market.open(connection, desk.ledger.now_ms) as found:
        assert len(found) == 1


def test_gate__of_more_directions_than_it_takes_one_by_one__then_is_the_same(
    desk: Desk, air: Program, box: Program, car: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ledger.agree(air, box, (1, 2))
    desk.ledger.agree(box, car, (3, 2))
    desk.ledger.agree(car, air, (1, 1))
    one_by_one = desk.ledger.ask(desk.gatekeeper.barred, desk.ledger.now_ms)
    monkeypatch.setattr("bridge.posting.gatekeeper.REBUILD_MIN", 1)

    together = desk.ledger.ask(Gatekeeper().barred, desk.ledger.now_ms)

    assert set(one_by_one) == set(together) == {(car.id, air.id)}
    assert {each.product for each in one_by_one.values()} == {Fraction(4, 3)}


def test_propose__of_an_inverted_ratio__then_names_the_inverse_unless_it_is_confirmed(
    desk: Desk, air: Program, box: Program
) -> None:
    desk.ledger.agree(air, box, (3, 1))
    wanted = desk.wanted(air, box, (1, 3))

    with pytest.raises(InvertedRatio) as refused:
        desk.ledger.ask(desk.vetting.proposed, wanted, desk.ledger.now_ms)
    vetted = desk.ledger.ask(desk.vetting.proposed, replace(wanted, confirmed_ratio=True), desk.ledger.now_ms)

    assert (refused.value.field, refused.value.nearest) == ("ratio", "3:1")
    assert (vetted.proposal.from_units, vetted.proposal.to_units) == (1, 3)
