import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.chain.rpc import Rpc
from bridge.chain.transactions import TRANSACTION_GAS_MAX, Fees, TransactionFields, current_fees

from .helpers import ANYBODY


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_replacement__of_any_fees__is_at_least_an_eighth_more(priority: int, rest: int) -> None:
    fees = Fees(priority + rest, priority)
    raised = fees.replacement()
    assert raised.max_fee * 8 >= fees.max_fee * 9
    assert raised.priority_fee * 8 >= fees.priority_fee * 9
    assert raised.max_fee > fees.max_fee
    assert raised.priority_fee > fees.priority_fee


def test_current_fees__of_the_chain__leave_room_for_six_full_blocks(rpc: Rpc) -> None:
    fees = current_fees(rpc)
    assert fees.max_fee - fees.priority_fee >= rpc.base_fee() * 9**5 // 8**5
    assert fees.priority_fee == rpc.priority_fee() > 0


def test_fields__with_more_gas_than_a_transaction_may_use__are_a_bug() -> None:
    with pytest.raises(AssertionError):
        TransactionFields(31337, 0, ANYBODY, b"", TRANSACTION_GAS_MAX + 1, Fees(1, 1))


def test_fees__with_a_tip_above_all_of_it__are_a_bug() -> None:
    with pytest.raises(AssertionError):
        Fees(1, 2)
