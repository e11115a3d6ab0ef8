"""Restored operations: what only the chain tells of, entered as if it had been accepted and frozen here.

A foreign batch is taken in when it is final. Each of its words is first held against the operations that wait here or
stand in batches of ours: one of the same tag, kind, amount and reference is what was posted. What is left over was
accepted by a ledger that knew more than this one, or by nobody: it becomes a restored operation, so that the books
equal the chain, and so that a request that is repeated finds its answer (see `adoption`).

Here everything is only made to look as it does just before a batch of ours is posted. Posting is the same for all.
"""

import logging
import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from bridge.store import (
    accounts,
    batches,
    breaker,
    captures,
    expired_earns,
    holds,
    links,
    lots,
    members,
    pending_earns,
    positions,
    programs,
    repayments,
    streams,
    swaps,
    wallets,
)
from bridge.store import terms as agreed
from bridge.store.batches import Batch, Told
from bridge.store.breaker import Alarm
from bridge.store.ids import new_id
from bridge.store.programs import Program
from bridge.store.schema import UNRELEASED, account, batch, entry, lot, operation, quote_hop, swap, terms, wallet
from bridge.store.streams import Stream
from bridge.store.swaps import DAY_MS, Arriving, Leg
from exchange.errors import NotLinked
from exchange.lots import Take, draw
from exchange.operations import OperationKind, OperationState
from exchange.points import MICRO_UNITS_MAX, Points
from exchange.ratio import Ratio
from exchange.rules import Received
from exchange.words import EntryKind, PostedWord, read_words

RESTORED = "restored from the chain: this ledger did not know it"

#: What a word was asked for as; a binding is one of two, by its wallet.
_KINDS = {
    EntryKind.EARN: OperationKind.EARN,
    EntryKind.BONUS: OperationKind.BONUS,
    EntryKind.REINSTATEMENT: OperationKind.REVERSAL,
    EntryKind.REVERSAL: OperationKind.REVERSAL,
    EntryKind.REDEMPTION: OperationKind.REDEMPTION,
    EntryKind.FEE: OperationKind.FEE,
    EntryKind.EXPIRY: OperationKind.EXPIRY,
    EntryKind.RELEASE: OperationKind.RELEASE,
    EntryKind.SWAP: OperationKind.SWAP,
    EntryKind.ADJUSTMENT_UP: OperationKind.ADJUSTMENT,
    EntryKind.ADJUSTMENT_DOWN: OperationKind.ADJUSTMENT,
}
_WAITING = (OperationState.ACCEPTED.value, OperationState.SUBMITTED.value)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What came of a foreign batch: operations of ours that it posted, batches of ours that these were frozen in."""

    matched: int
    restored: int
    torn: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Holder:
    """An account that a word names, and whose it is."""

    id: int
    member_id: str | None


@dataclass
class _Desk:
    """One foreign batch on its way into the books."""

    connection: sa.Connection
    found: Batch
    stream: Stream
    told: Told
    block_ms: int
    now_ms: int
    skipped: frozenset[int]
    #: for each place among the words the entry that it is; 0 for none
    entry_ids: list[int]
    accounts: dict[bytes, _Holder] = field(default_factory=dict)
    #: operations that the batch carries
    carried: list[str] = field(default_factory=list)
    torn: set[str] = field(default_factory=set)
    restored: int = 0

    @property
    def source(self) -> Program:
        return programs.by_id(self.connection, self.stream.programs[0])


def take_in(connection: sa.Connection, found: Batch, block_ms: int, now_ms: int) -> TakenIn:
    """Enter what a final batch did that is not simply ours, up to where it can be posted like any other."""
    assert found.origin != batches.OURS and found.stream_id is not None
    if found.origin == batches.TORN:  # what is still its own is found again by its tag
        _detach(connection, found.id)
    words = read_words(batches.words_of(found))
    desk = _Desk(
        connection,
        found,
        streams.by_id(connection, found.stream_id),
        Told() if found.told is None else Told.read(found.told),
        block_ms,
        now_ms,
        frozenset(batches.unpacked_places(found.skipped)),
        [0] * found.item_count,
    )
    _find_accounts(desk, words)
    _release_pending(desk, words)
    left = _match(desk, _followable(desk, words))
    if desk.stream.kind == streams.PATH:
        _restore_swaps(desk, left)
    else:
        _restore_entries(desk, left)
    connection.execute(
        batch.update()
        .where(batch.c.id == found.id)
        .values(entry_ids=struct.pack(f">{len(desk.entry_ids)}Q", *desk.entry_ids))
    )
    matched = len(desk.carried) - desk.restored
    _log.warning(
        "batch %s of stream %s was not frozen here: %s operations were known, %s are restored",
        found.sequence,
        desk.stream.key,
        matched,
        desk.restored,
    )
    return TakenIn(matched, desk.restored, frozenset(desk.torn))


def _detach(connection: sa.Connection, batch_id: str) -> None:
    connection.execute(
        operation.update()
        .where(operation.c.batch_id == batch_id)
        .values(batch_id=None, state=OperationState.ACCEPTED.value)
    )


# -- accounts ---------------------------------------------------------------------------------


def _find_accounts(desk: _Desk, words: Iterable[PostedWord]) -> None:
    """The source's account of each reference among the words; those that are unknown are orphans."""
    references = list(dict.fromkeys(word.reference for word in words))
    chosen = account.c.program_id == desk.stream.programs[0], account.c.reference.in_(references)
    for row in desk.connection.execute(
        sa.select(account.c.id, account.c.reference, account.c.member_id).where(*chosen)
    ):
        desk.accounts[row.reference] = _Holder(row.id, row.member_id)
    for reference in references:
        if reference not in desk.accounts:
            desk.accounts[reference] = _orphan(desk, desk.source, reference)


def _orphan(desk: _Desk, program: Program, reference: bytes) -> _Holder:
    token = program.deployed_token
    return _Holder(accounts.add_orphan(desk.connection, program_id=program.id, token=token, reference=reference), None)


def _followable(desk: _Desk, words: Sequence[PostedWord]) -> list[PostedWord]:
    """The words but for debits of points that the books never saw, because they could not follow something before.

    The breaker trips over these, and the audit names their accounts.
    """
    ids = [one.id for one in desk.accounts.values()]
    rows = desk.connection.execute(
        sa.select(account.c.id, account.c.credits_posted - account.c.debits_posted).where(account.c.id.in_(ids))
    )
    standing: dict[int, int] = dict(rows.all())
    kept = []
    for word in words:
        held = desk.accounts[word.reference].id
        if word.kind.is_credit:
            standing[held] += word.amount
        elif word.place not in desk.skipped:
            if standing[held] < word.amount:
                reason = (
                    f"transaction 0x{(desk.found.transaction_hash or b'').hex()} took {word.amount} points of reference"
                    f" 0x{word.reference.hex()}, of which {standing[held]} are known here"
                )
                breaker.trip(desk.connection, Alarm.UNKNOWN_POINTS, reason, desk.now_ms)
                continue
            standing[held] -= word.amount
        kept.append(word)
    return kept


# -- what is known ----------------------------------------------------------------------------


def _release_pending(desk: _Desk, words: Iterable[PostedWord]) -> None:
    """Earns that wait here for their time while the batch carries them: who knew more released them.

    They may have been changed before that: of as many points as the chain says, they were released here too.
    """
    if desk.stream.kind == streams.PATH:
        return
    said = {(word.tag, desk.accounts[word.reference].id): word for word in words if word.kind is EntryKind.EARN}
    owners = {one.member_id for one in desk.accounts.values()} - {None}
    rows = desk.connection.execute(
        sa.select(operation.c.id, operation.c.tag, entry.c.account_id)
        .join(entry, entry.c.operation_id == operation.c.id)
        .where(sa.text(UNRELEASED), operation.c.member_id.in_(owners))
        .order_by(operation.c.seq)
    ).all()
    for row in rows:
        word = said.get((row.tag, row.account_id))
        if word is not None:
            pending_earns.posted_elsewhere(desk.connection, row.id, word.amount, desk.now_ms)


def _match(desk: _Desk, words: Sequence[PostedWord]) -> list[PostedWord]:
    """Attach to the batch what it posted of the operations that wait here; the words that are left over."""
    places: dict[tuple[bytes, EntryKind, int, bytes], list[int]] = defaultdict(list)
    for word in words:
        if word.kind is not EntryKind.BIND:
            places[word.tag, word.kind, word.amount, word.reference].append(word.place)
    tags = sorted({word.tag for word in words})
    done: set[int] = set()
    for row in _waiting(desk, tags):
        told = [(row.tag, EntryKind(each.kind), each.amount, each.reference) for each in row.entries]
        if any(len(places[one]) < count for one, count in Counter(told).items()):
            continue
        for one, each in zip(told, row.entries, strict=True):
            place = places[one].pop(0)
            desk.entry_ids[place] = each.id
            done.add(place)
        _attach(desk, row.operation_id, row.batch_id)
    done |= _match_bindings(desk, [word for word in words if word.kind is EntryKind.BIND])
    return [word for word in words if word.place not in done]


@dataclass(frozen=True, slots=True)
class _Entry:
    id: int
    kind: int
    amount: int
    reference: bytes


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An operation that is not on the chain yet, with what its words would say."""

    operation_id: str
    batch_id: str | None
    tag: bytes
    entries: list[_Entry]


def _waiting(desk: _Desk, tags: Sequence[bytes]) -> list[_Waiting]:
    rows = desk.connection.execute(
        sa.select(
            operation.c.id.label("operation_id"),
            operation.c.batch_id,
            operation.c.tag,
            entry.c.id,
            entry.c.kind,
            entry.c.amount,
            account.c.reference,
        )
        .join(entry, entry.c.operation_id == operation.c.id)
        .join(account, account.c.id == entry.c.account_id)
        .where(
            operation.c.stream_id == desk.stream.id,
            operation.c.state.in_(_WAITING),
            operation.c.tag.in_(tags),
            sa.or_(entry.c.kind != EntryKind.SWAP.value, entry.c.credit.is_(False)),
        )
        .order_by(operation.c.seq, entry.c.id)
    )
    found: dict[str, _Waiting] = {}
    for row in rows:
        one = found.setdefault(row.operation_id, _Waiting(row.operation_id, row.batch_id, row.tag, []))
        one.entries.append(_Entry(row.id, row.kind, row.amount, row.reference))
    return [one for one in found.values() if _same_terms(desk, one)]


def _same_terms(desk: _Desk, one: _Waiting) -> bool:
    """Whether the chain settled a swap under the terms that it was accepted under; anything else is no swap at all."""
    if desk.stream.kind != streams.PATH:
        return True
    versions = desk.connection.execute(
        sa.select(terms.c.version)
        .join(quote_hop, quote_hop.c.terms_id == terms.c.id)
        .join(swap, swap.c.quote_id == quote_hop.c.quote_id)
        .where(swap.c.operation_id == one.operation_id)
        .order_by(quote_hop.c.place)
    ).scalars()
    return list(versions) == [hop[0] for hop in desk.told.hops]


def _match_bindings(desk: _Desk, words: Sequence[PostedWord]) -> set[int]:
    done = set()
    for word in words:
        by = wallet.c.unbind_operation_id if word.wallet is None else wallet.c.bind_operation_id
        row = desk.connection.execute(
            sa.select(operation.c.id, operation.c.batch_id)
            .join(wallet, by == operation.c.id)
            .where(
                operation.c.stream_id == desk.stream.id,
                operation.c.state.in_(_WAITING),
                operation.c.tag == word.tag,
                wallet.c.account_id == desk.accounts[word.reference].id,
                sa.true() if word.wallet is None else wallet.c.address == word.wallet,
            )
        ).first()
        if row is not None:
            _attach(desk, row.id, row.batch_id)
            done.add(word.place)
    return done


def _attach(desk: _Desk, operation_id: str, batch_id: str | None) -> None:
    desk.connection.execute(operation.update().where(operation.c.id == operation_id).values(batch_id=desk.found.id))
    desk.carried.append(operation_id)
    if batch_id is not None:
        desk.torn.add(batch_id)


# -- what is not ------------------------------------------------------------------------------


def _restore_entries(desk: _Desk, words: Sequence[PostedWord]) -> None:
    """Restore the entries of a program's own batch, in the contract's order: credits, debits, what concerns wallets."""
    _restore_credits(desk, [word for word in words if word.kind.is_credit])
    debits: dict[tuple[bytes, EntryKind], list[PostedWord]] = defaultdict(list)
    for word in words:
        if word.kind is EntryKind.BIND:
            _restore_binding(desk, word)
        elif word.kind is EntryKind.RELEASE:
            _restore_release(desk, word)
        elif not word.kind.is_credit:
            debits[word.tag, word.kind].append(word)  # one redemption may take from several accounts
    redeemed = accounts.system_account(desk.connection, desk.source.id, accounts.REDEEMED)
    for legs in debits.values():
        operation_id = _operation(desk, legs)
        captured = _restore_capture(desk, operation_id, legs)
        _restore_repayment(desk, operation_id, legs)
        for leg, word in enumerate(legs):
            _debit(desk, operation_id, leg, word, redeemed, captured=captured)
        if legs[0].kind is EntryKind.EXPIRY:
            expired_earns.restore(desk.connection, operation_id, desk.accounts[legs[0].reference].member_id)


def _restore_credits(desk: _Desk, words: Sequence[PostedWord]) -> None:
    if not words:
        return
    source = desk.source
    issued = accounts.system_account(desk.connection, source.id, accounts.ISSUED)
    made = _made_of_credits(desk, words)
    changes = accounts.Changes()
    for word in words:
        changes.add(desk.accounts[word.reference].id, "credits_pending", word.amount)
        changes.add(issued, "debits_pending", word.amount)
    rows = [_entry_row(desk, *made[word.place], word, issued) for word in words]
    desk.connection.execute(entry.insert(), rows)
    expires_ms = None if source.expiry_days is None else desk.block_ms + source.expiry_days * DAY_MS
    desk.connection.execute(
        lot.insert(),
        [
            {
                "account_id": desk.accounts[word.reference].id,
                "operation_id": made[word.place][0],
                "amount": word.amount,
                "remaining": word.amount,
                "pending": False,
                "received": word.kind is EntryKind.BONUS,
                "earned_ms": desk.block_ms,
                "expires_ms": expires_ms,
            }
            for word in words
        ],
    )
    changes.apply(desk.connection)
    ids = desk.connection.execute(
        sa.select(entry.c.operation_id, entry.c.leg, entry.c.id).where(
            entry.c.operation_id.in_({operation_id for operation_id, _ in made.values()})
        )
    )
    of = {(row.operation_id, row.leg): row.id for row in ids}
    for place, one in made.items():
        desk.entry_ids[place] = of[one]


def _made_of_credits(desk: _Desk, words: Sequence[PostedWord]) -> dict[int, tuple[str, int]]:
    """For each place among the words the operation that posted it, and its number among that one's entries.

    Each credit is one of its own, but for what a reversal gave back to several accounts.
    """
    made: dict[int, tuple[str, int]] = {}
    back: dict[bytes, list[PostedWord]] = defaultdict(list)
    for word in words:
        if word.kind is EntryKind.REINSTATEMENT:
            back[word.tag].append(word)
        else:
            made[word.place] = _operation(desk, [word]), 0
    for legs in back.values():
        operation_id = _operation(desk, legs)
        made |= {word.place: (operation_id, leg) for leg, word in enumerate(legs)}
    return made


def _restore_capture(desk: _Desk, operation_id: str, words: Sequence[PostedWord]) -> bool:
    """Whether a debit was captured from a hold that is open here: then its points are those that the hold had."""
    if words[0].kind is not EntryKind.REDEMPTION:
        return False
    owners = sorted({one for word in words if (one := desk.accounts[word.reference].member_id) is not None})
    amounts = Counter[int]()
    for word in words:
        amounts[desk.accounts[word.reference].id] += word.amount
    return captures.restore(desk.connection, operation_id, words[0].tag, owners, amounts, desk.now_ms)


def _restore_repayment(desk: _Desk, operation_id: str, words: Sequence[PostedWord]) -> None:
    """Of what was reversed, tell by its tag what paid off a debt: nobody asked for it, so nobody asks again."""
    if words[0].kind is not EntryKind.REVERSAL:
        return
    held = desk.accounts[words[0].reference].id
    credits = desk.connection.execute(
        sa.select(operation.c.id, operation.c.tag, operation.c.member_id)
        .join(entry, entry.c.operation_id == operation.c.id)
        .where(entry.c.account_id == held, entry.c.credit.is_(True), operation.c.tag.is_not(None))
        .where(operation.c.kind.in_(repayments.PAYING))
        .order_by(operation.c.seq.desc())
        .limit(repayments.LOOKED_BACK_MAX)
    )
    for row in credits:
        if repayments.repayment_tag(desk.source.id, row.tag) == words[0].tag:
            repayments.restore(desk.connection, operation_id, row.id, row.member_id, sum(word.amount for word in words))
            return


def _restore_release(desk: _Desk, word: PostedWord) -> None:
    to = dict(desk.told.wallets).get(word.place)
    if to is None:
        return  # it was skipped: nothing moved, and whoever asked for it can ask again
    holding = accounts.wallet_account(desk.connection, desk.source.id, to)
    _debit(desk, _operation(desk, [word]), 0, word, holding)


def _restore_binding(desk: _Desk, word: PostedWord) -> None:
    """The operation, and of a member's account the wallet; that it is bound the chain says in an event of its own."""
    operation_id = _operation(desk, [word])
    member_id = desk.accounts[word.reference].member_id
    if word.wallet is not None and member_id is not None:
        held = desk.accounts[word.reference].id
        wallets.restore(desk.connection, operation_id, held, word.wallet, desk.now_ms)


def _restore_swaps(desk: _Desk, words: Sequence[PostedWord]) -> None:
    groups: dict[bytes, list[PostedWord]] = defaultdict(list)
    for word in words:
        groups[word.tag].append(word)
    for legs in groups.values():
        _restore_swap(desk, legs)


def _restore_swap(desk: _Desk, words: Sequence[PostedWord]) -> None:
    connection, ends = desk.connection, (desk.stream.programs[0], desk.stream.programs[-1])
    ratios = [Ratio(Points(hop[1]), Points(hop[2])) for hop in desk.told.hops]
    operation_id = _operation(desk, words)
    legs, landed = [], []
    for word in words:
        held = desk.accounts[word.reference]
        _cover(desk, held.id, word.amount)
        landing = _landing(desk, held, word.reference)
        landed.append(landing)
        takes = _take(desk, operation_id, held.id, word.amount)
        legs.append(Leg(held.id, landing.id, Points(word.amount), swaps.along(ratios, Points(word.amount)), takes))
    paid = sum(leg.amounts_out[0] for leg in legs) * desk.told.hops[0][3]
    connection.execute(
        swap.insert().values(
            operation_id=operation_id,
            to_program_id=ends[1],
            to_member_id=next((one.member_id for one in landed if one.member_id is not None), None),
            points_out=sum(leg.amount_out for leg in legs),
            settlement_micro=paid if paid <= MICRO_UNITS_MAX else None,
        )
    )
    arriving = Arriving.of(connection, ends[1], _received(desk), legs, desk.block_ms)
    swaps.enter(connection, ends, operation_id, legs, arriving)
    rows = connection.execute(
        sa.select(entry.c.leg, entry.c.id).where(entry.c.operation_id == operation_id, entry.c.credit.is_(False))
    )
    ids: dict[int, int] = dict(rows.all())
    for number, word in enumerate(words):
        desk.entry_ids[word.place] = ids[number]
    _move_positions(desk, [leg for leg, word in zip(legs, words, strict=True) if word.place not in desk.skipped])


def _landing(desk: _Desk, source: _Holder, reference: bytes) -> _Holder:
    """The destination's account under the source's reference: the linked member's where that is known."""
    to = programs.by_id(desk.connection, desk.stream.programs[-1])
    row = desk.connection.execute(
        sa.select(account.c.id, account.c.member_id).where(
            account.c.program_id == to.id, account.c.reference == reference
        )
    ).one_or_none()
    if row is not None:
        return _Holder(row.id, row.member_id)
    try:
        if source.member_id is None:
            return _orphan(desk, to, reference)
        other = links.counterpart(desk.connection, members.by_id(desk.connection, source.member_id), to.id)
    except NotLinked:
        return _orphan(desk, to, reference)
    token = to.deployed_token
    made = accounts.add_member_account(
        desk.connection, program_id=to.id, token=token, member_id=other.id, reference=reference
    )
    return _Holder(made, other.id)


def _received(desk: _Desk) -> Received:
    """What the last hop's terms say of received points, where their rules are known here."""
    source, destination = desk.stream.programs[-2:]
    row = agreed.by_version(desk.connection, source, destination, desk.told.hops[-1][0])
    return Received() if row is None else row.agreed().rules.received


def _move_positions(desk: _Desk, legs: Sequence[Leg]) -> None:
    """At each hop the source comes to owe the destination what arrived there, at the agreed price."""
    moved = Counter[str]()
    for place, ((source, destination), hop) in enumerate(
        zip(pairwise(desk.stream.programs), desk.told.hops, strict=True)
    ):
        paid = sum(leg.amounts_out[place] for leg in legs) * hop[3]
        moved[source] -= paid
        moved[destination] += paid
    positions.move(desk.connection, moved)


# -- parts ------------------------------------------------------------------------------------


def _operation(desk: _Desk, words: Sequence[PostedWord]) -> str:
    """A restored operation that these words posted; it takes its state from the batch, like any other."""
    first, operation_id = words[0], new_id("operation")
    if first.kind is EntryKind.BIND:
        kind = OperationKind.UNBIND if first.wallet is None else OperationKind.BIND
    else:
        kind = _KINDS[first.kind]
    owners = (desk.accounts[word.reference].member_id for word in words)
    desk.connection.execute(
        operation.insert().values(
            id=operation_id,
            kind=kind.value,
            program_id=desk.stream.programs[0],
            member_id=next((one for one in owners if one is not None), None),
            points=sum(word.amount for word in words),
            state=OperationState.ACCEPTED.value,
            reason=RESTORED,
            tag=first.tag,
            restored=True,
            stream_id=desk.stream.id,
            batch_id=desk.found.id,
            occurred_ms=desk.block_ms,
            created_ms=desk.now_ms,
        )
    )
    desk.carried.append(operation_id)
    desk.restored += 1
    return operation_id


def _debit(desk: _Desk, operation_id: str, leg: int, word: PostedWord, contra: int, *, captured: bool = False) -> None:
    held = desk.accounts[word.reference].id
    if not captured:
        _cover(desk, held, word.amount)
    inserted = desk.connection.execute(entry.insert().values(_entry_row(desk, operation_id, leg, word, contra)))
    assert inserted.inserted_primary_key is not None
    desk.entry_ids[word.place] = int(inserted.inserted_primary_key[0])
    changes = accounts.Changes()
    changes.add(held, "debits_pending", word.amount)
    changes.add(contra, "credits_pending", word.amount)
    changes.apply(desk.connection)
    if not captured:
        _take(desk, operation_id, held, word.amount)


def _entry_row(desk: _Desk, operation_id: str, leg: int, word: PostedWord, contra: int) -> dict[str, object]:
    return {
        "operation_id": operation_id,
        "program_id": desk.stream.programs[0],
        "leg": leg,
        "kind": word.kind.value,
        "credit": word.kind.is_credit,
        "amount": word.amount,
        "account_id": desk.accounts[word.reference].id,
        "contra_id": contra,
        "state": "pending",
    }


def _cover(desk: _Desk, account_id: int, amount: int) -> None:
    """See that so much is free in an account: holds end for it, and else it is frozen, since an operation has the rest.

    What the chain took is gone, whatever was promised here.
    """
    short = amount - _free(_account(desk, account_id))
    if short > 0:
        holds.give_way(desk.connection, account_id, short, desk.now_ms)
    row = _account(desk, account_id)
    if amount > _free(row):
        _log.error("account 0x%s is frozen: the chain took points that are held here", row.address.hex())
        accounts.freeze(desk.connection, account_id)


def _account(desk: _Desk, account_id: int) -> sa.Row[Any]:
    return desk.connection.execute(sa.select(account).where(account.c.id == account_id)).one()


def _free(row: sa.Row[Any]) -> int:
    free: int = row.credits_posted + row.credits_pending - row.debits_posted - row.debits_pending - row.held
    return free


def _take(desk: _Desk, operation_id: str, account_id: int, amount: int) -> list[Take[int]]:
    """Take the points from lots, the first to expire first: from which they really came nobody knows any more.

    What the lots lack is held for something else; then the points come from a lot that is made for it.
    """
    held = lots.spendable(desk.connection, [account_id])[account_id]
    there = min(amount, sum(one.remaining for one in held))
    takes = draw(held, Points(there))
    if there < amount:
        missing = desk.connection.execute(
            lot.insert().values(
                account_id=account_id,
                operation_id=operation_id,
                amount=amount - there,
                remaining=amount - there,
                pending=False,
                earned_ms=desk.block_ms,
            )
        )
        assert missing.inserted_primary_key is not None
        takes.append(Take(int(missing.inserted_primary_key[0]), Points(amount - there)))
    lots.take(desk.connection, operation_id, takes)
    return takes
