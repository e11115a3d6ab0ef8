"""Imports: batches that the chain tells of and this ledger did not freeze.

Either the ledger was restored from a copy that is older than the chain, or somebody else uses a key. Whichever it is,
the chain is the truth and is followed; but only a ledger that was marked as restored expects it, any other trips the
breaker. So does, in a restored one, a batch that is valid for longer than the lost ledger can have made it.
"""

import logging
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.errors import RpcRefused
from bridge.chain.events import Posted, Released, Settled
from bridge.chain.rpc import Block, Rpc, SentCall
from bridge.posting.report import BlockReport, ForeignCall, Seen
from bridge.posting.suspicion import suspicion
from bridge.store import batches, blocks, breaker, chainstate, programs, streams
from bridge.store.batches import Foreign, Mined, Told
from bridge.store.breaker import Alarm
from bridge.store.streams import Stream
from exchange.words import EntryKind, digest, path_id, read_words

_log = logging.getLogger(__name__)


# -- what the follower reads ------------------------------------------------------------------


def read_calls(rpc: Rpc, seen: Sequence[Seen], block: Block) -> dict[Seen, ForeignCall]:
    """The calls behind these batches of a block, as far as they can be read. Raises ChainError.

    One that a contract made for its sender stands in no call data, and is left out.
    """
    found: dict[Seen, ForeignCall] = {}
    sent = rpc.sent_calls([one.transaction_hash for one in seen]) if seen else []
    for one, call in zip(seen, sent, strict=True):
        if call is None and one.transaction_hash in block.transactions:
            # A node that lists a transaction in a block and does not have it is not done: asked again next time.
            raise RpcRefused(0, f"a transaction of block {block.number} is missing", method="eth_getTransactionByHash")
        read = None if call is None or call.to != one.contract else _read(rpc, one, call, block.number)
        if read is not None:
            found[one] = read
    return found


def _read(rpc: Rpc, one: Seen, call: SentCall, block_number: int) -> ForeignCall | None:
    if isinstance(one.event, Posted):
        posted = contracts.decode_post(call.data)
        if posted is None or (posted.sequence, digest(posted.words)) != (one.event.sequence, one.event.digest):
            return None
        calldata = contracts.encode_post(posted.sequence, posted.valid_until, posted.words)
        return ForeignCall(posted.sequence, posted.valid_until, posted.words, calldata)
    assert isinstance(one.event, Settled)
    settled = contracts.decode_settle(call.data)
    if settled is None or (path_id(settled.path), settled.sequence, digest(settled.words)) != (
        one.event.path,
        one.event.sequence,
        one.event.digest,
    ):
        return None
    directions = zip(settled.path, settled.path[1:], settled.versions, strict=False)
    asked = [(one.contract, contracts.encode_terms_of(*direction)) for direction in directions]
    agreed = [contracts.decode_terms(answer) for answer in _ask_about(rpc, asked, block_number)]
    return ForeignCall(
        settled.sequence,
        settled.valid_until,
        settled.words,
        contracts.encode_settle(settled.path, settled.versions, settled.sequence, settled.valid_until, settled.words),
        settled.path,
        tuple(
            (version, terms.from_units, terms.to_units, terms.price)
            for version, terms in zip(settled.versions, agreed, strict=True)
        ),
    )


def _ask_about(rpc: Rpc, asked: Sequence[tuple[bytes, bytes]], block_number: int) -> list[bytes]:
    """The terms as of a block. Ratio and price of a version never change, so a node that keeps no old state can tell
    them as of its head."""
    try:
        return rpc.call_many(asked, block_number)
    except RpcRefused:
        head = rpc.head_number()
        if head < block_number:  # another node behind the same address, which lags
            raise
        return rpc.call_many(asked, head)


# -- what the ledger makes of it --------------------------------------------------------------


def stream_of(connection: sa.Connection, one: Seen) -> Stream | None:
    """The stream whose batch this event tells of, or None for a path that was never used here."""
    if isinstance(one.event, Posted):
        program = programs.by_token(connection, one.contract)
        return None if program is None else streams.for_program(connection, program.id)
    assert isinstance(one.event, Settled)
    return streams.by_path_id(connection, one.event.path)


def follow(
    connection: sa.Connection, report: BlockReport, one: Seen, mined: Mined, skipped: Collection[int], now_ms: int
) -> None:
    """Enter a batch that this ledger did not freeze. Unless the ledger was marked as restored, the breaker trips."""
    assert isinstance(one.event, Posted | Settled)
    call = report.foreign.get(one)
    stream = stream_of(connection, one) or _new_path(connection, call)
    named = "a path that this ledger never used" if stream is None else f"stream {stream.key}"
    by = f"transaction 0x{mined.transaction_hash.hex()}"
    what = f"sequence {one.event.sequence} of {named} was used on the chain by {by}"
    unread = " and cannot read" if stream is None or call is None else ""
    if unread or call is None or not _may_be_lost(connection, call, report.block):
        found = f"{what} for a batch that this ledger did not freeze{unread}: {suspicion(connection)}"
        breaker.trip(connection, Alarm.FOREIGN_BATCH, found, now_ms)
    if stream is None:
        return
    batches.add_foreign(
        connection,
        Foreign(
            stream_id=stream.id,
            lane_id=stream.lane_id,
            kind=stream.kind,
            sequence=one.event.sequence,
            digest=one.event.digest,
            words=b"" if call is None else call.words,
            calldata=b"" if call is None else call.calldata,
            told=Told() if call is None else told(report, one, call, skipped),
            skipped=() if call is None else skipped,
        ),
        mined,
        now_ms,
    )
    streams.set_last_sequence(connection, stream.id, batches.last_used(connection, stream.id))
    _log.warning("%s for a batch that this ledger did not freeze", what)


def _may_be_lost(connection: sa.Connection, call: ForeignCall, block: Block) -> bool:
    """Whether a ledger that was lost may have frozen this batch: before it was mined, and before the restore.

    A thief who knows for how long batches are valid is not told apart from it.
    """
    under_way, deployment = chainstate.recovery(connection), chainstate.get(connection)
    if under_way is None or not under_way.marked:
        return False
    assert deployment is not None, "a ledger without a chain follows none"
    frozen_s = block.timestamp
    if under_way.until_block is not None and (began := blocks.at(connection, under_way.until_block)) is not None:
        frozen_s = min(frozen_s, max(under_way.since_ms // 1000, began.timestamp))
    return call.valid_until <= frozen_s + deployment.longest_batch_s


def told(report: BlockReport, one: Seen, call: ForeignCall, skipped: Collection[int]) -> Told:
    """What the block says of a batch beyond its words: the terms of its hops, and where its releases went."""
    to = [
        each.event.wallet
        for each in report.seen
        if isinstance(each.event, Released)
        and (each.contract, each.transaction_hash) == (one.contract, one.transaction_hash)
    ]
    places = [
        word.place for word in read_words(call.words) if word.kind is EntryKind.RELEASE and word.place not in skipped
    ]
    return Told(call.hops, tuple(zip(places, to, strict=True)))


def _new_path(connection: sa.Connection, call: ForeignCall | None) -> Stream | None:
    """The stream of a path whose programs are all known here."""
    if call is None or not call.path:
        return None
    along = [programs.by_token(connection, token) for token in call.path]
    known = [one.id for one in along if one is not None]
    return streams.for_path(connection, known) if len(known) == len(along) else None
