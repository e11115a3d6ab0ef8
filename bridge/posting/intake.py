"""Intake: what one block says, written into the ledger in one transaction.

A batch is confirmed by the event that the contract emits for its sequence, compared with the digest that was frozen: a
receipt's status alone proves nothing about which batch was taken. Another digest at our sequence means that somebody
else uses the key: the breaker trips.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from bridge.chain.events import Event, LegSkipped, Posted, Settled, Skipped, Transfer
from bridge.chain.rpc import Block, Receipt
from bridge.posting import calls, holder_intake, notes
from bridge.posting.setup import announce
from bridge.store import (
    attempts,
    batches,
    blocks,
    chainstate,
    holder_books,
    holder_calls,
    holder_events,
    lanes,
    outcomes,
    programs,
    streams,
    terms,
)
from bridge.store.batches import Batch, Control, Mined
from bridge.store.blocks import KnownBlock
from bridge.store.streams import Stream

#: How long a call that came before its time waits before it is made again.
TOO_EARLY_PAUSE_MS = 15_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """An event of one of our contracts: who emitted it, in which transaction."""

    contract: bytes
    transaction_hash: bytes
    event: Event | Transfer


@dataclass(frozen=True, slots=True)
class BlockReport:
    """Everything that the ledger needs to know of one block."""

    block: Block
    receipts: Sequence[Receipt]
    reverts: dict[bytes, str]
    seen: Sequence[Seen]
    raw_transactions: Sequence[bytes]


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
    _confirm_batches(connection, report, ours, receipts, now_ms)
    _follow_set_up(connection, report, ours, receipts, now_ms)
    happened = holder_intake.happenings(report.seen)
    holder_events.note(connection, happened, block_number=found.number, block_ms=found.timestamp * 1000, now_ms=now_ms)
    finalise(connection, final_number, now_ms)


def finalise(connection: sa.Connection, final_number: int, now_ms: int) -> None:
    """Every block up to this number is final, and so are its batches."""
    blocks.finalise(connection, final_number)
    frozen = outcomes.finalise(connection, final_number, now_ms)
    if frozen:
        _log.error("ledger and chain disagree: the chain skipped debits; accounts %s are frozen", frozen)
    holder_books.book(connection, final_number, now_ms)


def undo_above(connection: sa.Connection, number: int, now_ms: int) -> bool:
    """The blocks above this number were reorganised away. Below finality nothing is undone and the breaker trips.

    Answers whether they were undone.
    """
    final = blocks.newest_final(connection)
    if final is not None and number < final.number:
        chainstate.trip_breaker(
            connection, f"the chain replaced block {final.number}, which was final; its ancestor is {number}", now_ms
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
    for one in report.seen:
        if not isinstance(one.event, Posted | Settled):
            continue
        stream = _stream_of(connection, one)
        found = ours.get(one.transaction_hash)
        if stream is None or found is None or found.stream_id != stream.id or found.digest != one.event.digest:
            named = "a path that this ledger never used" if stream is None else f"stream {stream.key}"
            chainstate.trip_breaker(
                connection,
                f"sequence {one.event.sequence} of {named} was used on the chain by transaction"
                f" 0x{one.transaction_hash.hex()} for a batch that this ledger did not freeze: is a key stolen?",
                now_ms,
            )
            continue
        assert found.sequence == one.event.sequence
        places = skipped.get((one.transaction_hash, one.event.sequence), set())
        outcomes.confirm(connection, found.id, _mined(receipts[one.transaction_hash]), places, now_ms)
        taken.add(found.id)
    for transaction_hash, found in ours.items():
        if found.stream_id is not None and found.id not in taken:
            reason = report.reverts.get(transaction_hash, "mined without the event of its batch")
            _log.warning("batch %s was refused by the chain: %s", found.id, reason)
            batches.note_revert(connection, found.id, reason)


def _stream_of(connection: sa.Connection, one: Seen) -> Stream | None:
    if isinstance(one.event, Posted):
        program = programs.by_token(connection, one.contract)
        return None if program is None else streams.for_program(connection, program.id)
    assert isinstance(one.event, Settled)
    return streams.by_path_id(connection, one.event.path)


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
            reason = report.reverts.get(transaction_hash, "reverted")
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
