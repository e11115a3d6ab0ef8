"""Booking what holders did: lots that follow without piling up, and calls that were carried out as they were signed."""

import dataclasses

import pytest
import sqlalchemy as sa

from bridge.store import accounts, breaker, holder_books, holder_calls, holder_events, lots
from bridge.store.holder_calls import HolderCall, Wish
from bridge.store.holder_events import Happening
from bridge.store.ids import new_id
from bridge.store.members import Member
from bridge.store.programs import Program
from bridge.store.schema import entry, lot, lot_take, operation
from bridge.store.wallet_swaps import ClosedToWallets
from bridge.store.wallets import Wallet
from bridge.store.wallets import by_id as wallet_by_id
from exchange.points import POINTS_MAX, Points
from exchange.rules import Bonus, Rules
from tests.bridge.store.ledgers import DAY_MS, EXCHANGE, Ledger

OTHER = b"\x5b" * 20
HASH = b"\x11" * 32


@pytest.fixture
def ann(ledger: Ledger, air: Program) -> Member:
    return ledger.member(air, "ann")


@pytest.fixture
def wallet(ledger: Ledger, ann: Member) -> Wallet:
    """Ann's, which holds 100 points of one age."""
    made = ledger.wallet(ann)
    _give(ledger, made, ann, 100)
    return ledger.ask(wallet_by_id, made.id)


def _give(ledger: Ledger, wallet: Wallet, ann: Member, points: int) -> None:
    """Points of a lot of their own come to the wallet, as by a release."""

    def give(connection: sa.Connection) -> None:
        of = accounts.wallet_account(connection, wallet.program_id, wallet.address)
        issued = accounts.system_account(connection, wallet.program_id, accounts.ISSUED)
        made = new_id("operation")
        connection.execute(
            operation.insert().values(
                id=made,
                kind="release",
                program_id=wallet.program_id,
                member_id=ann.id,
                points=points,
                state="final",
                occurred_ms=ledger.now_ms,
                created_ms=ledger.now_ms,
            )
        )
        changes = accounts.Changes()
        changes.add(of, "credits_posted", points)
        changes.add(issued, "debits_posted", points)
        changes.apply(connection)
        connection.execute(
            lot.insert().values(
                account_id=of,
                operation_id=made,
                amount=points,
                remaining=points,
                pending=False,
                earned_ms=ledger.now_ms,
                expires_ms=ledger.now_ms + 30 * DAY_MS,
            )
        )

    ledger.do(give)


def _book(ledger: Ledger, *what: Happening) -> None:
    ledger.do(holder_books.book, ledger.happen(*what), ledger.now_ms)


def _transfer(air: Program, source: bytes, to: bytes, amount: int) -> Happening:
    return Happening(holder_events.TRANSFERRED, air.deployed_token, HASH, source, other=to, amount=amount)


def _lots(ledger: Ledger, air: Program, address: bytes) -> list[tuple[int, int]]:
    account_id = ledger.do(accounts.wallet_account, air.id, address)
    with ledger.database.read() as connection:
        rows = connection.execute(
            sa.select(lot.c.amount, lot.c.remaining).where(lot.c.account_id == account_id).order_by(lot.c.id)
        )
        return [(row.amount, row.remaining) for row in rows]


def _count(ledger: Ledger, table: sa.Table) -> int:
    with ledger.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _breaker(ledger: Ledger) -> str | None:
    return ledger.ask(breaker.reason)


def test_transfer__from_a_wallet_to_itself__then_leaves_lots_and_counters_alone(
    ledger: Ledger, air: Program, wallet: Wallet
) -> None:
    before = [_count(ledger, one) for one in (operation, entry, lot, lot_take)]
    _book(ledger, *[_transfer(air, wallet.address, wallet.address, 1)] * 50)

    assert [_count(ledger, one) for one in (operation, entry, lot, lot_take)] == before
    assert _lots(ledger, air, wallet.address) == [(100, 100)]
    assert ledger.ask(wallet_by_id, wallet.id).points == 100
    assert ledger.ask(holder_events.waiting, 10**6) == [] and _breaker(ledger) is None


def test_transfer__from_a_wallet_to_itself_of_points_that_are_unknown__then_the_breaker_trips(
    ledger: Ledger, air: Program, wallet: Wallet
) -> None:
    _book(ledger, _transfer(air, wallet.address, wallet.address, 101))
    assert "101 points" in (_breaker(ledger) or "")


def test_transfers__of_points_of_one_age__then_join_in_one_lot(ledger: Ledger, air: Program, wallet: Wallet) -> None:
    _book(ledger, *[_transfer(air, wallet.address, OTHER, 1)] * 30)
    assert _lots(ledger, air, OTHER) == [(30, 30)]
    assert _lots(ledger, air, wallet.address) == [(100, 70)]
    assert _count(ledger, lot_take) == 30

    _book(ledger, *[_transfer(air, OTHER, wallet.address, 1)] * 20)
    assert _lots(ledger, air, OTHER) == [(30, 10)]
    assert _lots(ledger, air, wallet.address) == [(100, 70), (20, 20)], "the release's own lot stays as it was"
    assert _breaker(ledger) is None


def test_transfers__of_points_of_several_ages__then_stay_apart(
    ledger: Ledger, air: Program, ann: Member, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lots, "IN_LIST_MAX", 1)
    _give(ledger, wallet, ann, 10)  # as old as the first, and joins it where both are moved
    ledger.now_ms += DAY_MS
    _give(ledger, wallet, ann, 10)
    _book(ledger, _transfer(air, wallet.address, OTHER, 115), _transfer(air, wallet.address, OTHER, 5))
    assert _lots(ledger, air, OTHER) == [(110, 110), (10, 10)]
    assert sorted(_lots(ledger, air, wallet.address)) == [(10, 0), (10, 0), (100, 0)]


def test_transfer__into_a_lot_that_would_count_too_far__then_makes_another(
    ledger: Ledger, air: Program, wallet: Wallet
) -> None:
    _book(ledger, _transfer(air, wallet.address, OTHER, 1))
    moved = ledger.do(accounts.wallet_account, air.id, OTHER)
    ledger.do(
        lambda connection: connection.execute(
            lot.update().where(lot.c.account_id == moved).values(amount=POINTS_MAX - 1)
        )
    )
    _book(ledger, *[_transfer(air, wallet.address, OTHER, 1)] * 3)
    assert _lots(ledger, air, OTHER) == [(POINTS_MAX, 2), (2, 2)]


def _call(ledger: Ledger, wallet: Wallet, wish: Wish) -> HolderCall:
    return ledger.do(holder_calls.create, wallet, wish, ledger.now_ms)


@pytest.mark.parametrize(
    ("to", "amount_out", "state"),
    [
        ("BOX", 25, holder_calls.FINAL),
        ("BOX", 26, holder_calls.FINAL),
        ("BOX", 24, holder_calls.CANCELLED),
        ("CAR", 25, holder_calls.CANCELLED),
    ],
)
def test_swap__under_a_calls_number__then_is_the_call_only_where_it_led_as_signed(
    ledger: Ledger, air: Program, box: Program, wallet: Wallet, to: str, amount_out: int, state: str
) -> None:
    ledger.agree(air, box, (2, 1), wallet_cap=50)
    call = _call(ledger, wallet, Wish(holder_calls.SWAP, 50, ledger.now_ms // 1000 + 900, (air.id, box.id), 25))
    _book(
        ledger,
        Happening(
            holder_events.SWAPPED,
            EXCHANGE,
            HASH,
            wallet.address,
            other=ledger.named(to).deployed_token,
            source=air.deployed_token,
            amount=50,
            amount_out=amount_out,
            number=call.number.to_bytes(32, "big"),
            positions=[],
        ),
    )
    found = ledger.ask(holder_calls.by_id, call.id)
    assert (found.state, found.operation_id is not None) == (state, state == holder_calls.FINAL)
    assert ledger.ask(wallet_by_id, wallet.id).points == 50, "what the chain did is booked either way"


def test_swap__where_the_terms_have_rules_that_bind_no_wallet__then_no_call_is_made(
    ledger: Ledger, air: Program, box: Program, wallet: Wallet
) -> None:
    wish = Wish(holder_calls.SWAP, 50, ledger.now_ms // 1000 + 900, (air.id, box.id))
    ledger.agree(air, box, (2, 1), wallet_cap=50, rules=Rules(tiers=frozenset({"gold"})))

    with pytest.raises(ClosedToWallets, match="tiers"):
        _call(ledger, wallet, wish)

    plus = Rules(bonuses=(Bonus("spring", flat=Points(5)),))
    ledger.agree(air, box, (2, 1), wallet_cap=50, rules=plus, version=2)
    assert _call(ledger, wallet, wish).min_out == 25, "a bonus takes nothing away, and is not theirs"


def test_deposit__under_a_calls_number__then_is_the_call_only_at_its_own_reference(
    ledger: Ledger, air: Program, wallet: Wallet
) -> None:
    eve = ledger.member(air, "eve")
    wish = Wish(holder_calls.DEPOSIT, 10, ledger.now_ms // 1000 + 900)
    calls = [_call(ledger, wallet, wish) for _ in range(2)]
    deposit = Happening(holder_events.DEPOSITED, air.deployed_token, HASH, wallet.address, amount=10)
    for call, reference in zip(calls, (wallet.reference, eve.reference), strict=True):
        number = call.number.to_bytes(32, "big")
        _book(ledger, dataclasses.replace(deposit, reference=reference, number=number))
    states = [ledger.ask(holder_calls.by_id, call.id).state for call in calls]
    assert states == [holder_calls.FINAL, holder_calls.CANCELLED]
