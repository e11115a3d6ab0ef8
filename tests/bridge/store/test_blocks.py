"""Blocks: the canonical chain, and the journal that rebuilds it."""

import pytest
import sqlalchemy as sa

from bridge.store import blocks
from bridge.store.blocks import KnownBlock
from bridge.store.programs import Program
from tests.bridge.store.ledgers import Ledger, hash_of


def _add(ledger: Ledger, number: int, *raw: bytes, final: bool = False) -> KnownBlock:
    one = KnownBlock(number, hash_of(number), hash_of(number - 1), 1_000 + number, final)
    ledger.do(blocks.add, one, raw)
    return one


def test_journal__of_blocks__has_each_with_its_transactions_in_order(ledger: Ledger) -> None:
    first, second, third = _add(ledger, 1, b"b", b"a"), _add(ledger, 2), _add(ledger, 3, b"c")
    with ledger.database.read() as connection:
        assert list(blocks.journal_after(connection, 0)) == [(first, (b"b", b"a")), (second, ()), (third, (b"c",))]
        assert list(blocks.journal_after(connection, 2)) == [(third, (b"c",))]
        assert list(blocks.journal_after(connection, 3)) == []


def test_tip__and_newest_final__of_blocks(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        _add(ledger, number)
    ledger.do(blocks.finalise, 2)
    tip, final = ledger.ask(blocks.tip), ledger.ask(blocks.newest_final)
    assert tip is not None and final is not None
    assert (tip.number, final.number) == (3, 2)
    assert ledger.ask(blocks.at, 1) == KnownBlock(1, hash_of(1), hash_of(0), 1_001, True)
    assert ledger.ask(blocks.at, 4) is None


def test_remove_above__a_block__forgets_its_journal_and_names_its_batches(ledger: Ledger, air: Program) -> None:
    ann = ledger.member(air, "ann")
    held = []
    for amount in (1, 2, 3):
        ledger.earn(ann, amount)
        held.append(ledger.post(air).id)
    assert ledger.do(blocks.remove_above, 1) == [held[2], held[1]], "the newest first, as they are undone"
    tip = ledger.ask(blocks.tip)
    assert tip is not None and tip.number == 1


def test_add__of_a_number_that_is_there__is_refused_by_the_database(ledger: Ledger) -> None:
    _add(ledger, 1)
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(blocks.add, KnownBlock(1, hash_of(9), hash_of(0), 1, False), [])


def test_remove_above__then_another_block__keeps_only_the_new_journal(ledger: Ledger) -> None:
    _add(ledger, 1, b"old", b"older")
    ledger.do(blocks.remove_above, 0)
    new = _add(ledger, 1, b"new")
    with ledger.database.read() as connection:
        assert list(blocks.journal_after(connection, 0)) == [(new, (b"new",))]
