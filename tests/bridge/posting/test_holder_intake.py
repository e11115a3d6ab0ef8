"""What a block's events say of holders, put together."""

from collections.abc import Sequence

from bridge.chain.events import (
    Bound,
    Deposited,
    Event,
    NonceUsed,
    PositionMoved,
    Posted,
    Redeemed,
    Released,
    Settled,
    Swapped,
    Transfer,
)
from bridge.posting.holder_intake import happenings
from bridge.posting.report import Seen
from bridge.store import holder_calls, holder_events
from bridge.store.holder_events import Happening

TOKEN, OTHER_TOKEN, EXCHANGE = b"\x01" * 20, b"\x02" * 20, b"\xee" * 20
ANN, BEN = b"\x0a" * 20, b"\x0b" * 20
REFERENCE = b"\x77" * 20
FIRST, SECOND = b"\xf1" * 32, b"\xf2" * 32


def told(*events: tuple[bytes, Event | Transfer], by: bytes = FIRST) -> list[Seen]:
    return [Seen(contract, by, event) for contract, event in events]


def number(value: int) -> bytes:
    return value.to_bytes(32, "big")


def kinds(found: Sequence[Happening]) -> list[str]:
    return [one.kind for one in found]


def test_redemption__with_its_nonce__is_one_happening() -> None:
    found = happenings(told((TOKEN, NonceUsed(ANN, 5)), (TOKEN, Redeemed(ANN, 5, 30))))

    assert found == [Happening(holder_events.REDEEMED, TOKEN, FIRST, ANN, amount=30, number=number(5))]


def test_redemption__under_a_number_of_256_bits__is_kept_whole() -> None:
    (one,) = happenings(told((TOKEN, Redeemed(ANN, 2**256 - 1, 30))))

    assert one.number == b"\xff" * 32


def test_deposit__signed_or_by_transaction__has_its_number_or_none() -> None:
    deposited = (TOKEN, Deposited(REFERENCE, ANN, 4))
    moved = (TOKEN, Transfer(ANN, b"\x99" * 20, 4))

    (signed,) = happenings(told((TOKEN, NonceUsed(ANN, 1)), moved, deposited))
    (own,) = happenings(told(moved, deposited))

    assert (signed.kind, signed.number, signed.reference) == (holder_events.DEPOSITED, number(1), REFERENCE)
    assert own.number is None


def test_swap__then_has_its_own_position_moves_and_not_those_of_a_settled_batch() -> None:
    found = happenings(
        told(
            (EXCHANGE, PositionMoved(TOKEN, -5, -5)),
            (EXCHANGE, PositionMoved(OTHER_TOKEN, 5, 5)),
            (EXCHANGE, Settled(bytes(32), 1, bytes(32), 1, 1)),
            (EXCHANGE, NonceUsed(ANN, 9)),
            (EXCHANGE, PositionMoved(TOKEN, -70, -75)),
            (EXCHANGE, PositionMoved(OTHER_TOKEN, 70, 75)),
            (EXCHANGE, Swapped(ANN, TOKEN, OTHER_TOKEN, 20, 10)),
        )
    )

    (one,) = found
    assert one.positions == [(TOKEN.hex(), "-70"), (OTHER_TOKEN.hex(), "70")]
    assert (one.kind, one.amount, one.amount_out, one.number) == (holder_events.SWAPPED, 20, 10, number(9))
    assert (one.source, one.other) == (TOKEN, OTHER_TOKEN)


def test_nonce__with_nothing_behind_it__is_a_cancellation() -> None:
    found = happenings(
        [
            *told((TOKEN, NonceUsed(ANN, 1)), (TOKEN, NonceUsed(ANN, 2)), (TOKEN, NonceUsed(BEN, 3))),
            *told((TOKEN, Deposited(REFERENCE, ANN, 4)), by=SECOND),
        ]
    )

    assert [(one.kind, one.holder, one.number) for one in found] == [
        (holder_calls.NONCE_USED, ANN, number(1)),
        (holder_calls.NONCE_USED, ANN, number(2)),
        (holder_calls.NONCE_USED, BEN, number(3)),
        (holder_events.DEPOSITED, ANN, None),
    ], "another transaction's deposit is not what a nonce was used for"


def test_nonce__of_the_exchange__does_not_belong_to_what_a_token_says() -> None:
    found = happenings(told((EXCHANGE, NonceUsed(ANN, 1)), (TOKEN, Deposited(REFERENCE, ANN, 4))))

    assert [(one.kind, one.number) for one in found] == [
        (holder_events.DEPOSITED, None),
        (holder_calls.NONCE_USED, number(1)),
    ]


def test_transfer__of_a_release_or_a_deposit__is_not_told_twice() -> None:
    found = happenings(
        told(
            (TOKEN, Transfer(b"\x99" * 20, ANN, 7)),
            (TOKEN, Released(REFERENCE, ANN, 7)),
            (TOKEN, Transfer(ANN, BEN, 3)),
            (TOKEN, Transfer(ANN, b"\x99" * 20, 4)),
            (TOKEN, Deposited(REFERENCE, ANN, 4)),
            (TOKEN, Transfer(BEN, ANN, 0)),
            (TOKEN, Transfer(BEN, ANN, 1)),
        )
    )

    assert kinds(found) == [holder_events.TRANSFERRED, holder_events.DEPOSITED, holder_events.TRANSFERRED]
    assert [(one.holder, one.other, one.amount) for one in (found[0], found[2])] == [(ANN, BEN, 3), (BEN, ANN, 1)]


def test_binding__and_its_end__are_told_in_order() -> None:
    nobody = bytes(20)

    found = happenings(told((TOKEN, Bound(REFERENCE, ANN, 60)), (TOKEN, Bound(REFERENCE, nobody, 0))))

    assert [(one.holder, one.effective_ms) for one in found] == [(ANN, 60_000), (nobody, 0)]


def test_other_events__then_say_nothing_of_holders() -> None:
    assert happenings(told((TOKEN, Posted(1, bytes(32), 1, 1)))) == []


def test_transfer__right_before_a_deposit_at_another_program__is_the_holders_own() -> None:
    """A wallet with code does both in one transaction, and only one of the programs tells its transfers."""
    found = happenings(told((TOKEN, Transfer(ANN, BEN, 5)), (OTHER_TOKEN, Deposited(REFERENCE, ANN, 7))))

    assert kinds(found) == [holder_events.TRANSFERRED, holder_events.DEPOSITED]


def test_transfer__of_other_points_right_before_a_deposit__is_the_holders_own() -> None:
    found = happenings(told((TOKEN, Transfer(ANN, BEN, 5)), (TOKEN, Deposited(REFERENCE, ANN, 7))))

    assert kinds(found) == [holder_events.TRANSFERRED, holder_events.DEPOSITED]
