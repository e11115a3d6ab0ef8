"""Holders' calls: what a wallet is to sign or to send, and the relay of what it signed."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field, model_validator

from bridge.api.access import Reader, RedeemingProgram
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, Body, Whole, hex_of, problem_answers, time_of
from bridge.api.wallets import Signature
from bridge.chain.signin import checksummed
from bridge.posting import relays
from bridge.store import holder_calls, wallets
from bridge.store.holder_calls import HolderCall, Wish
from bridge.store.wallet_swaps import PATH_PROGRAMS_MAX

#: For how long a call may be signed ahead.
EXPIRES_IN_S_MAX = 30 * 86_400
EXPIRES_IN_S_DEFAULT = 900

router = APIRouter(prefix="/v1/wallets/{wallet_id}/calls", tags=["wallets"])

Id = Annotated[str, Field(max_length=40)]


class CallBody(Body):
    """What the holder wants. A swap names the programs that it leads to: those in between, and the destination last."""

    kind: Literal["redeem", "deposit", "swap"]
    points: Whole
    path: Annotated[list[Id], Field(min_length=1, max_length=PATH_PROGRAMS_MAX - 1)] | None = None
    min_out: Annotated[Whole, Field(description="the least to accept; all that the terms give, if left out")] | None = (
        None
    )
    expires_in_s: Annotated[Whole, Field(ge=1, le=EXPIRES_IN_S_MAX)] = EXPIRES_IN_S_DEFAULT

    @model_validator(mode="after")
    def _says_where(self) -> "CallBody":
        if (self.kind == "swap") != (self.path is not None):
            raise ValueError("a swap has a path, and nothing else has")
        if self.min_out is not None and self.kind != "swap":
            raise ValueError("only a swap has min_out")
        return self


class Transaction(Answer):
    """A transaction for the holder to send."""

    chain_id: int
    to: str
    data: str


class CallAnswer(Answer):
    """A call of a wallet.

    Sign `typed_data` (eth_signTypedData_v4) and hand in the signature, or send `transaction`. A deposit or a swap by
    transaction uses up no number: it is found among the member's operations, and the call stays open until it expires.
    `cancellation` makes the number unusable, also for a signature that was given away.
    """

    id: str
    wallet_id: str
    kind: str
    state: str
    reason: str | None
    points: int
    number: int
    path: list[str] | None
    min_out: int | None
    expires_at: str
    typed_data: dict[str, Any]
    transaction: Transaction
    cancellation: Transaction
    operation_id: str | None
    created_at: str


class SignatureBody(Body):
    """The wallet's signature of a call's `typed_data`."""

    signature: Signature


@router.post("", status_code=201, responses=problem_answers(401, 403, 404, 409, 422))
async def create(wallet_id: str, body: CallBody, service: TheService, program_id: RedeemingProgram) -> CallAnswer:
    """What the wallet's holder signs or sends to redeem, deposit or swap points of the wallet."""

    def make(connection: sa.Connection) -> HolderCall:
        now_ms = service.clock()
        of = wallets.by_id(connection, wallet_id, program_id)
        path = () if body.path is None else (of.program_id, *body.path)
        _require_open(service, connection, path)
        wish = Wish(body.kind, body.points, now_ms // 1000 + body.expires_in_s, path, body.min_out)
        return holder_calls.create(connection, of, wish, now_ms)

    return _answer(service, await service.write(make))


@router.get("/{call_id}", responses=problem_answers(401, 403, 404))
def show(wallet_id: str, call_id: str, service: TheService, caller: Reader) -> CallAnswer:
    """One call and how far it has come."""
    return _answer(service, _find(service, wallet_id, call_id, caller.program_id))


@router.post("/{call_id}/signature", status_code=202, responses=problem_answers(401, 403, 404, 409, 422, 503))
async def sign(
    wallet_id: str, call_id: str, body: SignatureBody, service: TheService, program_id: RedeemingProgram
) -> CallAnswer:
    """Hand in the wallet's signature: the contract is asked whether it would take the call, then it is relayed."""
    found = _find(service, wallet_id, call_id, program_id)
    holder_calls.require_open(found, service.clock())
    signature = bytes.fromhex(body.signature[2:])
    with service.database.read() as connection:
        calldata = relays.signed_call(connection, found, signature)
        sender = relays.relayer(connection).address
    await asyncio.to_thread(relays.check, service.rpc, found, calldata, sender)

    def send(connection: sa.Connection) -> HolderCall:
        _require_open(service, connection, found.programs)
        return relays.relay(connection, found, signature, service.clock())

    return _answer(service, await service.write(send))


@router.delete("/{call_id}", responses=problem_answers(401, 403, 404, 409))
async def cancel(wallet_id: str, call_id: str, service: TheService, program_id: RedeemingProgram) -> CallAnswer:
    """Withdraw a call that was not relayed. A signature that was given away stays good until `cancellation` is sent."""
    found = _find(service, wallet_id, call_id, program_id)
    return _answer(service, await service.write(lambda connection: holder_calls.cancel(connection, found.id)))


def _require_open(service: Service, connection: sa.Connection, path: Sequence[str]) -> None:
    """Raises DirectionClosed where the path leads through a direction in which points could gain."""
    service.gatekeeper.require_open(connection, pairwise(path), service.clock(), "path")


def _find(service: Service, wallet_id: str, call_id: str, program_id: str | None) -> HolderCall:
    with service.database.read() as connection:
        return holder_calls.by_id(connection, call_id, wallets.by_id(connection, wallet_id, program_id).id)


def _answer(service: Service, one: HolderCall) -> CallAnswer:
    with service.database.read() as connection:
        prepared = relays.prepare(connection, one, service.chain_id)
        state = holder_calls.standing(connection, one, service.clock())

    def transaction(data: bytes) -> Transaction:
        return Transaction(chain_id=service.chain_id, to=checksummed(prepared.contract), data=hex_of(data))

    return CallAnswer(
        id=one.id,
        wallet_id=one.wallet_id,
        kind=one.kind,
        state=state,
        reason=one.reason,
        points=one.points,
        number=one.number,
        path=one.programs or None,
        min_out=one.min_out,
        expires_at=time_of(one.deadline * 1000),
        typed_data=prepared.to_sign,
        transaction=transaction(prepared.own_call),
        cancellation=transaction(prepared.cancel_call),
        operation_id=one.operation_id,
        created_at=time_of(one.created_ms),
    )
