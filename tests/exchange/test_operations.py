"""Operations: which state may follow which."""

from itertools import product

import pytest

from exchange.operations import OperationKind, OperationState, advance

ALLOWED = {
    ("accepted", "submitted"),
    ("accepted", "failed"),
    ("accepted", "cancelled"),
    ("submitted", "confirmed"),
    ("submitted", "failed"),
    ("submitted", "accepted"),
    ("confirmed", "final"),
    ("confirmed", "submitted"),
}


@pytest.mark.parametrize(("state", "new"), list(product(OperationState, OperationState)))
def test_advance__from_any_state_to_any__allows_exactly_the_walk(state: OperationState, new: OperationState) -> None:
    if (state.value, new.value) in ALLOWED:
        assert advance(state, new) is new
    else:
        with pytest.raises(AssertionError, match=f"from {state} to {new}"):
            advance(state, new)


def test_kinds__as_written__are_the_words_of_the_api() -> None:
    words = [
        "earn",
        "redemption",
        "swap",
        "bind",
        "unbind",
        "release",
        "deposit",
        "transfer",
        "bonus",
        "fee",
        "reversal",
        "repayment",
        "expiry",
        "adjustment",
    ]
    assert [str(kind) for kind in OperationKind] == words
