"""Intake: what one block says, written into the ledger in one transaction.

A batch is confirmed by the event that the contract emits for its sequence, compared with the digest that was frozen: a
receipt's status alone proves nothing about which batch was taken. A batch that was not frozen here is followed all the
same, and means that somebody else uses the key or that this ledger is older than the chain; see `imports`.
"""

import logging

import sqlalchemy as sa

from bridge.chain.events import LegSkipped, Posted, Settled, Skipped
from bridge.chain.rpc import Receipt
from bridge.posting import calls, holder_intake, imports, notes
from bridge.posting.report import BlockReport, Seen
from bridge.posting.setup import announce
from bridge.store import (
    attempts,
    batches,
    blocks,
    breaker,
    chainstate,
    holder_books,
    holder_calls,
    holder_events,
    lanes,
    outcomes,
    programs,
    terms,
)
from bridge.store.batches import Batch, Control, Mined
from bridge.store.blocks import KnownBlock
from bridge.store.breaker import Alarm

#: How long a call that came before its time waits before it is made again.
TOO_EARLY_PAUSE_MS = 15_000

_log = logging.getLogger(__name__)


def take_in(connection: sa.Connection, report: BlockReport, final_number: int, now_ms: int) -> None:
    """Enter the next canonical block: confirm its batches, follow the contracts' set-up, finalise what became final."""
    found = report.block
    tip = blocks.tip(connection)
    assert tip is None or (tip.number + 1 == found.number and tip.hash == found.parent_hash), "blocks come in order"
    blocks.add(
        connection,
        KnownBlock(found.number, found.hash, found.parent_hash, found.timestamp, final=False),
        report.raw_transactions,
    )
    receipts = {receipt.transaction_hash: receipt for receipt in report.receipts}
    ours = batches.of_transactions(connection, list(receipts))
    attempts.mined(connection, ours, found.number)
    for transaction_hash, lost in report.lost.items():
        attempts.mined_elsewise(connection, lost.batch_id, lost.nonce, found.number)
        ours[transaction_hash] = batches.by_id(connection, lost.batch_id)
    _confirm_batches(connection, report, ours, receipts, now_ms)
    _follow_set_up(connection, report, ours, receipts, now_ms)
    happened = holder_intake.happenings(report.seen)
    holder_events.note(connection, happened, block_number=found.number, block_ms=found.timestamp * 1000, now_ms=now_ms)
    finalise(connection, final_number, now_ms)


def finalise(connection: sa.Connection, final_number: int, now_ms: int) -> None:
    """Every block up to this number is final, and so are its batches and what holders did.

    Block by block: what a foreign batch took may be what a holder brought in the block before.
    """
    blocks.finalise(connection, final_number)
    for number in blocks.eventful(connection, final_number):
        frozen = outcomes.finalise(connection, number, now_ms)
        if frozen:
            _log.error("ledger and chain disagree: the chain skipped debits; accounts %s are frozen", frozen)
        holder_books.book(connection, number, now_ms)


def undo_above(connection: sa.Connection, number: int, now_ms: int) -> bool:
    """The blocks above this number were reorganised away. Below finality nothing is undone and the breaker trips.

    Answers whether they were undone.
    """
    final = blocks.newest_final(connection)
    if final is not None and number < final.number:
        breaker.trip(
            connection,
            Alarm.DEEP_REORGANISATION,
            f"the chain replaced block {final.number}, which was final; its ancestor is {number}",
            now_ms,
        )
        return False
    batches.forget_refusals(connection, number)
    attempts.undo_above(connection, number)
    holder_events.forget_above(connection, number)
    terms.forget_above(connection, number)
    for batch_id in blocks.remove_above(connection, number):
        found = batches.by_id(connection, batch_id)
        outcomes.unconfirm(connection, batch_id, now_ms)
        if found.state == batches.FAILED:
            _asked_again(connection, found)
    return True


def _confirm_batches(
    connection: sa.Connection,
    report: BlockReport,
    ours: dict[bytes, Batch],
    receipts: dict[bytes, Receipt],
    now_ms: int,
) -> None:
    skipped: dict[tuple[bytes, int], set[int]] = {}
    for one in report.seen:
        if isinstance(one.event, Skipped | LegSkipped):
            skipped.setdefault((one.transaction_hash, one.event.sequence), set()).add(one.event.index)
    taken: set[str] = set()
    for place, one in enumerate(report.seen):
        if not isinstance(one.event, Posted | Settled):
            continue
        found = ours.get(one.transaction_hash)
        places = skipped.get((one.transaction_hash, one.event.sequence), set())
        receipt = receipts.get(one.transaction_hash)
        mined = Mined(one.transaction_hash, report.block.number, 0 if receipt is None else receipt.gas_used, place)
        if found is None or not _is_of(connection, one, found):
            imports.follow(connection, report, one, mined, places, now_ms)
            continue
        assert found.sequence == one.event.sequence
        outcomes.confirm(connection, found.id, mined, places, now_ms)
        if one in report.foreign:
            batches.tell(connection, found.id, imports.told(report, one, report.foreign[one], places))
        taken.add(found.id)
    for transaction_hash, found in ours.items():
        if found.stream_id is not None and found.id not in taken:
            reason = report.reverts.get(transaction_hash, "mined without the event of its batch")
            _log.warning("batch %s was refused by the chain: %s", found.id, reason)
            batches.note_revert(connection, found.id, reason)


def _is_of(connection: sa.Connection, one: Seen, found: Batch) -> bool:
    """Whether an event of our transaction tells of the batch that was frozen for it."""
    assert isinstance(one.event, Posted | Settled)
    stream = imports.stream_of(connection, one)
    return stream is not None and (found.stream_id, found.digest) == (stream.id, one.event.digest)


def _mined(receipt: Receipt) -> Mined:
    return Mined(receipt.transaction_hash, receipt.block_number, receipt.gas_used)


def _follow_set_up(
    connection: sa.Connection,
    report: BlockReport,
    ours: dict[bytes, Batch],
    receipts: dict[bytes, Receipt],
    now_ms: int,
) -> None:
    for transaction_hash, found in ours.items():
        if found.kind != "control":
            continue
        receipt = receipts[transaction_hash]
        if receipt.status == 1:
            outcomes.confirm(connection, found.id, _mined(receipt), (), now_ms)
            _created(connection, found, receipt, now_ms)
        else:
            reason = report.reverts[transaction_hash]
            _log.error("the chain refused %s for %s: %s", found.purpose, found.subject, reason)
            batches.fail_control(connection, found.id, _mined(receipt), reason)
            _refused(connection, found, reason, now_ms)
    for one in report.seen:
        by, block = ours.get(one.transaction_hash), report.block
        said = notes.Said(one.contract, by, block.number, block.timestamp * 1000)
        notes.take(connection, one.event, said)


def _created(connection: sa.Connection, found: Batch, receipt: Receipt, now_ms: int) -> None:
    if found.purpose == "deploy-exchange":
        assert receipt.contract_address is not None
        chainstate.deployed(
            connection,
            exchange=receipt.contract_address,
            transaction_hash=receipt.transaction_hash,
            block_number=receipt.block_number,
        )
    elif found.purpose == "deploy-token":
        assert receipt.contract_address is not None and found.subject is not None
        deployment = chainstate.get(connection)
        admin = lanes.by_role(connection, lanes.EXCHANGE_ADMIN)
        assert deployment is not None and deployment.exchange is not None and admin is not None
        programs.deployed(connection, found.subject, receipt.contract_address)
        if batches.open_controls(connection, "admit", found.subject):
            return  # created once more after a reorganisation
        program = programs.by_id(connection, found.subject)
        admit = calls.admit(
            program.id, admin.id, deployment.exchange, receipt.contract_address, program.credit_limit_micro
        )
        announce(connection, admit, now_ms)


def _refused(connection: sa.Connection, found: Batch, reason: str, now_ms: int) -> None:
    if reason.startswith("TooEarly("):
        _queue_again(connection, found, now_ms)
        return
    if found.subject is None:
        return
    if found.purpose == calls.RELAY:
        holder_calls.refused(connection, found.subject, reason)
    elif found.purpose == "propose":
        terms.set_state(connection, found.subject, terms.FAILED, reason)
    elif found.purpose == "consent" and terms.by_id(connection, found.subject).state == terms.CONSENTING:
        terms.set_state(connection, found.subject, terms.PROPOSED, reason)


def _queue_again(connection: sa.Connection, found: Batch, now_ms: int) -> None:
    """The chain's clock was behind ours: the same call once more, a little later."""
    call = Control(
        found.purpose, found.subject, found.lane_id, found.target, found.calldata, found.gas_limit, int(found.value_wei)
    )
    batches.add_control(connection, call, now_ms, now_ms + TOO_EARLY_PAUSE_MS)


def _asked_again(connection: sa.Connection, found: Batch) -> None:
    """The block that refused a call is gone: what it was about stands as it did while the call was under way."""
    under_way = {"propose": terms.PROPOSING, "consent": terms.CONSENTING}.get(found.purpose)
    if found.subject is not None and under_way is not None:
        terms.set_state(connection, found.subject, under_way)
    elif found.subject is not None and found.purpose == calls.RELAY:
        holder_calls.sent_again(connection, found.subject)
