"""Notice: when consent may go to the chain, so that terms are in force neither before their start nor too soon.

The contract takes adopted terms into force its own notice after the block that holds the consent (the first terms of a
direction: its delay). So whatever else was promised is kept by consenting late enough.
"""

import sqlalchemy as sa

from bridge.store import chainstate, terms
from bridge.store.terms import TermsRow
from exchange.errors import DirectionClosed, NoTerms

DAY_MS = 86_400_000
#: How far the chain's clock may be behind ours: a consent that must not come early comes so much later.
CLOCK_LAG_MS = 2_000


def consent_due_ms(connection: sa.Connection, row: TermsRow, now_ms: int) -> int | None:
    """When the consent to these terms may be sent, None for at once.

    Not before they could only be in force from their start on, and so long before they replace others as those
    promised: those in force from now on, those announced from when they begin. Nor while an adopted version still waits
    for its time: then the contract takes no consent.

    It is reckoned once, when the consent is queued. What could make it later is another adopted version, and the
    contract takes none while the proposal of these terms is the newest: once it is not, their consent is refused.
    """
    waits_ms = _chain_notice_ms(connection, row)
    earliest = [now_ms]
    if row.starts_ms is not None:
        earliest.append(row.starts_ms - waits_ms + CLOCK_LAG_MS)
    if days := _notice_days(connection, row, now_ms):
        earliest.append(now_ms + days * DAY_MS - waits_ms + CLOCK_LAG_MS)
    announced = terms.next_change(connection, row.from_program_id, row.to_program_id, now_ms)
    if announced is not None:
        assert announced.effective_ms is not None, "it was adopted"
        earliest.append(announced.effective_ms + CLOCK_LAG_MS)
        if days := announced.agreed().rules.notice_days:
            earliest.append(announced.effective_ms + days * DAY_MS - waits_ms + CLOCK_LAG_MS)
    due_ms = max(earliest)
    return due_ms if due_ms > now_ms else None


def _chain_notice_ms(connection: sa.Connection, row: TermsRow) -> int:
    """How long after the consent's block the contract takes the terms into force, at least."""
    deployment = chainstate.get(connection)
    assert deployment is not None, "terms are proposed to an exchange"
    known = terms.was_ever_adopted(connection, row.from_program_id, row.to_program_id)
    return (deployment.notice_s if known else deployment.delay_s) * 1000


def _notice_days(connection: sa.Connection, row: TermsRow, now_ms: int) -> int:
    """The notice that the terms in force promised, 0 where there are none."""
    try:
        return terms.in_force(connection, row.from_program_id, row.to_program_id, now_ms).agreed().rules.notice_days
    except (NoTerms, DirectionClosed):
        return 0
