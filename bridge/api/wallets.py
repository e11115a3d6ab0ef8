"""Wallets: the proof that one is a member's, its binding, and its end."""

import asyncio
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import Field

from bridge.api.access import EnrollingProgram, Reader
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, Body, hex_of, problem_answers, rfc3339, time_of
from bridge.chain.signin import TEXT_LENGTH_MAX, checksummed
from bridge.posting import sign_ins
from bridge.posting.sign_ins import Place
from bridge.store import members, wallets
from bridge.store.wallets import Wallet

#: The longest signature that is taken: a contract wallet may have several keys.
SIGNATURE_BYTES_MAX = 4096

router = APIRouter(prefix="/v1/members/{member_id}", tags=["wallets"])

Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", description="20 bytes in hexadecimal")]
Signature = Annotated[
    str,
    Field(
        pattern=r"^0x([0-9a-fA-F]{2})+$",
        max_length=2 + 2 * SIGNATURE_BYTES_MAX,
        description="65 bytes, the 64 of EIP-2098, or whatever a contract wallet accepts, in hexadecimal",
    ),
]


class ChallengeBody(Body):
    """The wallet that is to sign, and the account that it is for: the member's first, if none is named."""

    address: Address
    reference: Address | None = None


class ChallengeAnswer(Answer):
    """What the wallet is to sign (EIP-4361): `message` as it stands, or one of the same fields."""

    nonce: str
    domain: str
    address: str
    statement: str
    uri: str
    version: str
    chain_id: int
    issued_at: str
    expires_at: str
    message: str


class WalletBody(Body):
    """The message that the wallet signed, and its signature."""

    message: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX)]
    signature: Signature


class WalletAnswer(Answer):
    """A wallet of a member. `points` are what it holds at the newest final block."""

    id: str
    program_id: str
    member_id: str
    address: str
    reference: str
    account: str
    state: str
    effective_at: str | None
    points: int
    bind_operation_id: str
    unbind_operation_id: str | None
    created_at: str


class Wallets(Answer):
    """Wallets, the newest first."""

    items: list[WalletAnswer]


@router.post("/wallet-challenges", status_code=201, responses=problem_answers(401, 403, 404, 409, 422))
async def challenge(
    member_id: str, body: ChallengeBody, service: TheService, program_id: EnrollingProgram
) -> ChallengeAnswer:
    """A one-time message for a wallet to sign, so that it can be bound to the member's account."""
    reference = None if body.reference is None else bytes.fromhex(body.reference[2:])
    asked = await service.write(
        lambda connection: sign_ins.ask(
            connection,
            members.by_id(connection, member_id, program_id),
            bytes.fromhex(body.address[2:]),
            reference,
            service.clock(),
        )
    )
    message = sign_ins.message_of(
        asked, _place(service), issued_at=time_of(asked.created_ms), expires_at=time_of(asked.expires_ms)
    )
    assert message.expires_at is not None
    return ChallengeAnswer(
        nonce=message.nonce,
        domain=message.domain,
        address=checksummed(message.address),
        statement=message.statement,
        uri=message.uri,
        version=message.version,
        chain_id=message.chain_id,
        issued_at=message.issued_at,
        expires_at=message.expires_at,
        message=message.text(),
    )


@router.post("/wallets", status_code=202, responses=problem_answers(401, 403, 404, 409, 422, 503))
async def bind(member_id: str, body: WalletBody, service: TheService, program_id: EnrollingProgram) -> WalletAnswer:
    """Bind a wallet that proved itself. The binding is posted on the chain and takes effect after a delay."""
    member = service.read(lambda connection: members.by_id(connection, member_id, program_id))
    said = service.read(
        lambda connection: sign_ins.read(connection, member, body.message, _place(service), service.clock())
    )
    signature = bytes.fromhex(body.signature[2:])
    await asyncio.to_thread(sign_ins.require_signature, service.rpc, said.address, body.message, signature)
    bound = await service.write(lambda connection: wallets.bind(connection, member, said.nonce, service.clock()))
    return answer(service, bound)


@router.get("/wallets", responses=problem_answers(401, 403, 404))
def list_all(member_id: str, service: TheService, caller: Reader) -> Wallets:
    """The member's wallets."""

    def find(connection: sa.Connection) -> list[Wallet]:
        return wallets.of_member(connection, members.by_id(connection, member_id, caller.program_id).id)

    return Wallets(items=[answer(service, one) for one in service.read(find)])


@router.get("/wallets/{wallet_id}", responses=problem_answers(401, 403, 404))
def show(member_id: str, wallet_id: str, service: TheService, caller: Reader) -> WalletAnswer:
    """One wallet."""
    found = service.read(lambda connection: wallets.by_id(connection, wallet_id, caller.program_id, member_id))
    return answer(service, found)


@router.delete("/wallets/{wallet_id}", status_code=202, responses=problem_answers(401, 403, 404))
async def unbind(member_id: str, wallet_id: str, service: TheService, program_id: EnrollingProgram) -> WalletAnswer:
    """End a binding, at once when it is posted. What the wallet holds stays the holder's."""

    def end(connection: sa.Connection) -> Wallet:
        found = wallets.by_id(connection, wallet_id, program_id, member_id)
        return wallets.unbind(connection, found, service.clock())

    return answer(service, await service.write(end))


def answer(service: Service, one: Wallet) -> WalletAnswer:
    """A wallet as callers see it."""
    return WalletAnswer(
        id=one.id,
        program_id=one.program_id,
        member_id=one.member_id,
        address=checksummed(one.address),
        reference=hex_of(one.reference),
        account=hex_of(one.account),
        state=one.standing(service.clock()),
        effective_at=rfc3339(one.effective_ms),
        points=one.points,
        bind_operation_id=one.bind_operation_id,
        unbind_operation_id=one.unbind_operation_id,
        created_at=time_of(one.created_ms),
    )


def _place(service: Service) -> Place:
    return Place(service.settings.public_url, service.chain_id)
