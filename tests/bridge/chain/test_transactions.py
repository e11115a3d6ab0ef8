import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.chain.rpc import Rpc
from bridge.chain.transactions import TRANSACTION_GAS_MAX, FeeMarket, Fees, TransactionFields, fee_market

from .helpers import ANYBODY


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_replacement__of_any_fees__is_at_least_an_eighth_more(priority: int, rest: int) -> None:
    fees = Fees(priority + rest, priority)
    raised = fees.replacement()
    assert raised.max_fee * 8 >= fees.max_fee * 9
    assert raised.priority_fee * 8 >= fees.priority_fee * 9
    assert raised.max_fee > fees.max_fee
    assert raised.priority_fee > fees.priority_fee


def test_offer__of_the_chains_market__leaves_room_for_six_full_blocks(rpc: Rpc) -> None:
    market = fee_market(rpc)
    fees = market.offer(10**15)
    assert fees is not None
    assert fees.max_fee - fees.priority_fee >= rpc.base_fee() * 9**5 // 8**5
    assert fees.priority_fee == rpc.priority_fee() > 0


WEI = st.integers(0, 10**12)


@given(WEI, WEI, WEI)
def test_offer__under_a_ceiling__never_exceeds_it_and_always_covers_the_base_fee(
    base: int, tip: int, ceiling: int
) -> None:
    fees = FeeMarket(base, tip).offer(ceiling)
    assert (fees is None) == (base > ceiling)
    assert fees is None or base <= fees.max_fee <= ceiling


@given(WEI, WEI, WEI, WEI, WEI)
def test_replace__of_any_fees__raises_both_enough_for_every_node_or_not_at_all(
    base: int, tip: int, priority: int, rest: int, ceiling: int
) -> None:
    fees, market = Fees(priority + rest, priority), FeeMarket(base, tip)
    raised = market.replace(fees, ceiling)
    least, now = fees.replacement(), market.offer(ceiling)
    if raised is None:
        assert least.max_fee > ceiling or base > ceiling
        return
    assert now is not None
    assert max(least.max_fee, now.max_fee) == raised.max_fee <= ceiling
    assert least.priority_fee <= raised.priority_fee


def test_fields__with_more_gas_than_a_transaction_may_use__are_a_bug() -> None:
    with pytest.raises(AssertionError):
        TransactionFields(31337, 0, ANYBODY, b"", TRANSACTION_GAS_MAX + 1, Fees(1, 1))


def test_fees__with_a_tip_above_all_of_it__are_a_bug() -> None:
    with pytest.raises(AssertionError):
        Fees(1, 2)
