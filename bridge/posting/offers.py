"""Offers: the exchange's signature under a firm quote, by which a member proves what was promised (EIP-712).

The operator's key signs: it is the one that settles swaps, and the contract's `operator()` names its address, so that
anybody can check a promise against the chain without asking this service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.chain import typed_data
from bridge.chain.keystore import Keystore
from bridge.chain.typed_data import EXCHANGE_NAME, Domain, Promise
from bridge.store import chainstate, lanes, programs


@dataclass(frozen=True, slots=True)
class Terms:
    """What a promise is about, by the ledger's own names; `deadline_ms` is when the quote ends."""

    id: str
    programs: Sequence[str]
    versions: Sequence[int]
    member_id: str
    to_member_id: str
    amount_in: int
    amount_out: int
    bonus: int
    fee_points: int
    fees: Sequence[tuple[str, int]]
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Offer:
    """A promise as it is signed, and the address whose key signs it."""

    message: dict[str, Any]
    signer: bytes
    key_index: int


class Offers:
    """Writes promises down and signs them."""

    def __init__(self, keystore: Keystore, chain_id: int) -> None:
        self._keystore = keystore
        self._chain_id = chain_id

    def offer(self, connection: sa.Connection, promised: Terms) -> Offer:
        """What is signed, read from the ledger: the same for ever. Its signer is the operator that there is now."""
        deployment = chainstate.get(connection)
        operator = lanes.by_role(connection, lanes.EXCHANGE_OPERATOR)
        assert deployment is not None and deployment.exchange is not None and operator is not None
        promise = Promise(
            id=promised.id,
            path=[programs.by_id(connection, each).deployed_token for each in promised.programs],
            versions=promised.versions,
            member_id=promised.member_id,
            to_member_id=promised.to_member_id,
            amount_in=promised.amount_in,
            amount_out=promised.amount_out,
            bonus=promised.bonus,
            fee_points=promised.fee_points,
            fees=promised.fees,
            # Rounded down: a promise may be kept longer than it was given, never shorter.
            deadline=promised.deadline_ms // 1000,
        )
        domain = Domain(EXCHANGE_NAME, self._chain_id, deployment.exchange)
        return Offer(typed_data.quote(domain, promise), operator.address, operator.key_index)

    def sign(self, offer: Offer) -> bytes:
        """The operator's signature: 65 bytes. Milliseconds of work, which the ledger's writer should not wait for."""
        return self._keystore.sign_typed_data(offer.key_index, offer.message)
