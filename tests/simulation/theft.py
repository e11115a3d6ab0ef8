"""What a thief does with a program's issuer key: posts points to himself, under the next sequence."""

from bridge.chain import contracts
from bridge.chain.transactions import Fees, TransactionFields
from exchange.points import Points
from exchange.words import EntryKind, EntryWord
from tests.simulation.chain import GWEI, NetworkState
from tests.simulation.transaction import OpenKeystore

THIEF = b"\x99" * 20


def stolen_post(state: NetworkState, key_index: int, token: bytes, valid_until: int) -> bytes:
    """The thief's transaction, signed with the stolen key."""
    keystore = OpenKeystore()
    word = EntryWord(THIEF, EntryKind.EARN, Points(1_000), b"thief").pack()
    call = contracts.encode_post(state.sequences[token] + 1, valid_until, word)
    nonce = state.nonces[keystore.address(key_index)]
    fees = Fees(1_000 * GWEI, 100 * GWEI)
    return keystore.sign_transaction(key_index, TransactionFields(31337, nonce, token, call, 500_000, fees)).raw
