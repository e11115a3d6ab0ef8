"""Holders' calls on their way to the chain: what a wallet signs or sends itself, and what is relayed for it.

The service never has a holder's key. It writes down what is to be signed, has the chain itself check the signature, and
sends the call from a lane whose key has no power over anything.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.chain import contracts, typed_data
from bridge.chain.errors import RpcRefused
from bridge.chain.events import explain_revert
from bridge.chain.rpc import Rpc
from bridge.chain.typed_data import EXCHANGE_NAME, Domain
from bridge.posting import calls
from bridge.store import batches, holder_calls, lanes, programs, wallets
from bridge.store.holder_calls import HolderCall, HolderCallExpired
from bridge.store.lanes import Lane
from exchange.errors import Conflict, Invalid


class WrongSignature(Invalid):
    """Raised when a signature is not the wallet's for what is signed."""

    type = "wrong-signature"


class HolderCallRefused(Conflict):
    """Raised when the contract would refuse a signed call now; the detail is its reason."""

    type = "holder-call-refused"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a wallet needs for a call: the data to sign, or the transaction to send itself, or the one that cancels.

    All transactions go to `contract`.
    """

    contract: bytes
    to_sign: dict[str, Any]
    own_call: bytes
    cancel_call: bytes


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a call says on the chain, read from the ledger."""

    token_name: str
    reference: bytes
    path: list[bytes]


def prepare(connection: sa.Connection, call: HolderCall, chain_id: int) -> Prepared:
    """What the holder of the call's wallet can do with it."""
    said = _terms(connection, call)
    return Prepared(
        call.contract,
        _to_sign(call, said, chain_id),
        _own_call(call, said),
        contracts.encode_cancel(call.number),
    )


def relayer(connection: sa.Connection) -> Lane:
    """Who sends what holders signed."""
    found = lanes.by_role(connection, lanes.RELAYER)
    assert found is not None, "the relayer's lane is made when the service first starts"
    return found


def signed_call(connection: sa.Connection, call: HolderCall, signature: bytes) -> bytes:
    """The call data that carries a holder's signature, for anybody to send."""
    said = _terms(connection, call)
    if call.kind == holder_calls.REDEEM:
        return contracts.encode_redeem_for(call.holder, call.points, call.number, call.deadline, signature)
    if call.kind == holder_calls.DEPOSIT:
        return contracts.encode_deposit_for(
            call.holder, said.reference, call.points, call.number, call.deadline, signature
        )
    assert call.min_out is not None
    return contracts.encode_swap_for(
        call.holder, said.path, call.points, call.min_out, call.number, call.deadline, signature
    )


def check(rpc: Rpc, call: HolderCall, calldata: bytes, sender: bytes) -> None:
    """Ask the chain whether it would take the signed call now, and for how much gas.

    Raises WrongSignature, HolderCallExpired, HolderCallRefused with the contract's reason, and ChainError when the node
    fails.
    """
    try:
        rpc.call(call.contract, calldata, sender=sender)
        gas = rpc.estimate_gas(sender, call.contract, calldata)
    except RpcRefused as refusal:
        if not refusal.reverted:
            raise
        raise _refusal(call, explain_revert(refusal.data)) from refusal
    if gas > calls.GAS_RELAY_MAX:
        raise HolderCallRefused(
            f"the call would use {gas:,} gas, of which {calls.GAS_RELAY_MAX:,} are relayed at most; send it yourself",
            field="signature",
            limit=calls.GAS_RELAY_MAX,
        )


def relay(connection: sa.Connection, call: HolderCall, signature: bytes, now_ms: int) -> HolderCall:
    """Queue a signed call that was checked. Raises HolderCallState, HolderCallExpired."""
    holder_calls.relayed(connection, call, signature, now_ms)
    calldata = signed_call(connection, call, signature)
    control = calls.relay(call.id, relayer(connection).id, call.contract, calldata)
    batches.add_control(connection, control, now_ms)
    return holder_calls.by_id(connection, call.id)


def _refusal(call: HolderCall, reason: str) -> Invalid | Conflict:
    name = reason.partition("(")[0]
    if name == "WrongSignature":
        return WrongSignature(
            f"the signature is not that of wallet 0x{call.holder.hex()} for this call", field="signature"
        )
    if name == "Expired":
        return HolderCallExpired(f"the chain says that the call's time is over: {reason}", field="call_id")
    return HolderCallRefused(f"the contract would refuse this call: {reason}", field="signature")


def _terms(connection: sa.Connection, call: HolderCall) -> _Terms:
    wallet = wallets.by_id(connection, call.wallet_id)
    return _Terms(
        programs.by_id(connection, wallet.program_id).name,
        wallet.reference,
        [programs.by_id(connection, program_id).deployed_token for program_id in call.programs],
    )


def _to_sign(call: HolderCall, said: _Terms, chain_id: int) -> dict[str, Any]:
    token = Domain(said.token_name, chain_id, call.contract)
    if call.kind == holder_calls.REDEEM:
        return typed_data.redeem(
            token, holder=call.holder, amount=call.points, order=call.number, deadline=call.deadline
        )
    if call.kind == holder_calls.DEPOSIT:
        return typed_data.deposit(
            token,
            holder=call.holder,
            reference=said.reference,
            amount=call.points,
            nonce=call.number,
            deadline=call.deadline,
        )
    assert call.min_out is not None
    return typed_data.swap(
        Domain(EXCHANGE_NAME, chain_id, call.contract),
        holder=call.holder,
        path=said.path,
        amount_in=call.points,
        min_out=call.min_out,
        nonce=call.number,
        deadline=call.deadline,
    )


def _own_call(call: HolderCall, said: _Terms) -> bytes:
    if call.kind == holder_calls.REDEEM:
        return contracts.encode_redeem(call.points, call.number)
    if call.kind == holder_calls.DEPOSIT:
        return contracts.encode_deposit(said.reference, call.points)
    assert call.min_out is not None
    return contracts.encode_swap(said.path, call.points, call.min_out, call.deadline)
