"""Notice: when a consent is sent, so that nobody's promise is broken."""

from unittest.mock import create_autospec

import pytest

from bridge.posting import notice, setup
from bridge.posting.vetting import Vetting
from bridge.store import attempts, terms
from bridge.store.programs import Program
from bridge.store.terms import Proposal, TermsRow
from exchange.rules import Rules
from tests.bridge.posting.conftest import Office
from tests.bridge.store.ledgers import DAY_MS, TIMES

NOTICE_MS = TIMES.notice_s * 1000


def _proposed(office: Office, source: Program, destination: Program, starts_ms: int | None = None) -> TermsRow:
    proposal = Proposal(source.id, destination.id, 2, 1, 1, 1, 7, "USD", source.id, starts_ms=starts_ms)
    row = office.ledger.do(terms.propose, proposal, office.ledger.now_ms)
    office.ledger.do(terms.proposed, row.id, 9)
    return office.ledger.ask(terms.by_id, row.id)


def _due_ms(office: Office, row: TermsRow) -> int | None:
    return office.ledger.ask(notice.consent_due_ms, row, office.ledger.now_ms)


def test_consent__to_terms_without_a_start__is_due_at_once(office: Office, air: Program, box: Program) -> None:
    assert _due_ms(office, _proposed(office, air, box)) is None
    office.ledger.agree(air, box)
    assert _due_ms(office, _proposed(office, air, box)) is None


@pytest.mark.parametrize(("is_first", "before_ms"), [(True, 0), (False, NOTICE_MS)])
def test_consent__to_terms_with_a_start__comes_so_late_that_they_begin_then(
    office: Office, air: Program, box: Program, is_first: bool, before_ms: int
) -> None:
    """The contract takes the first terms of a direction into force at once here, later ones after its notice."""
    if not is_first:
        office.ledger.agree(air, box)
    starts_ms = office.ledger.now_ms + 10 * DAY_MS
    row = _proposed(office, air, box, starts_ms)
    assert _due_ms(office, row) == starts_ms - before_ms + notice.CLOCK_LAG_MS
    office.ledger.now_ms = starts_ms - before_ms + notice.CLOCK_LAG_MS
    assert _due_ms(office, row) is None


def test_consent__to_terms_whose_start_is_past__is_due_at_once(office: Office, air: Program, box: Program) -> None:
    assert _due_ms(office, _proposed(office, air, box, office.ledger.now_ms - DAY_MS)) is None


def test_consent__where_the_terms_in_force_promised_notice__waits_for_it(
    office: Office, air: Program, box: Program
) -> None:
    office.ledger.agree(air, box, rules=Rules(notice_days=30))
    row = _proposed(office, air, box)
    assert _due_ms(office, row) == office.ledger.now_ms + 30 * DAY_MS - NOTICE_MS + notice.CLOCK_LAG_MS
    later = _proposed(office, air, box, office.ledger.now_ms + 77 * DAY_MS)
    assert _due_ms(office, later) == office.ledger.now_ms + 77 * DAY_MS - NOTICE_MS + notice.CLOCK_LAG_MS
    office.ledger.do(terms.suspended, air.id, box.id, office.ledger.now_ms)
    assert _due_ms(office, row) is None, "nothing is in force that could be replaced too soon"


def test_consent__while_an_adopted_version_waits__comes_after_it_began(
    office: Office, air: Program, box: Program
) -> None:
    office.ledger.agree(air, box)
    change_ms = office.ledger.now_ms + 200_000
    office.ledger.agree(air, box, version=2, effective_ms=change_ms)
    assert _due_ms(office, _proposed(office, air, box)) == change_ms + notice.CLOCK_LAG_MS


@pytest.mark.parametrize("days_before", [0, 90])
def test_consent__where_an_announced_change_promised_notice__waits_for_it_from_when_that_begins(
    office: Office, air: Program, box: Program, days_before: int
) -> None:
    office.ledger.agree(air, box, rules=Rules(notice_days=days_before))
    change_ms = office.ledger.now_ms + DAY_MS
    office.ledger.agree(air, box, version=2, effective_ms=change_ms, rules=Rules(notice_days=60))
    row = _proposed(office, air, box)
    from_now_ms, from_then_ms = office.ledger.now_ms + days_before * DAY_MS, change_ms + 60 * DAY_MS
    assert _due_ms(office, row) == max(from_now_ms, from_then_ms) - NOTICE_MS + notice.CLOCK_LAG_MS
    office.ledger.now_ms = change_ms
    assert _due_ms(office, row) == from_then_ms - NOTICE_MS + notice.CLOCK_LAG_MS, "once in force it says the same"


def test_consent__before_its_time__is_queued_and_not_signed(office: Office, air: Program, box: Program) -> None:
    row = _proposed(office, air, box, office.ledger.now_ms + DAY_MS)
    nothing_speaks_against = create_autospec(Vetting, instance=True)
    office.ledger.do(setup.consent, row.id, box.id, nothing_speaks_against, office.ledger.now_ms)
    assert office.ledger.ask(terms.by_id, row.id).state == terms.CONSENTING
    office.poster.step()
    assert office.chain.sent == []
    due_ms = office.ledger.now_ms + DAY_MS + notice.CLOCK_LAG_MS
    assert len(office.ledger.ask(attempts.unsigned_controls, due_ms)) == 1
    assert office.ledger.ask(attempts.unsigned_controls, due_ms - 1) == []
