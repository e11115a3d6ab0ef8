"""Signing in: the proof that a wallet is a member's, asked for and checked."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa

from bridge.chain import signin
from bridge.chain.errors import RpcRefused
from bridge.chain.rpc import Rpc
from bridge.chain.signin import SignIn, SignInInvalid, moment_ms
from bridge.posting.relays import WrongSignature
from bridge.store import accounts, challenges, programs
from bridge.store.accounts import Account, UnknownAccount
from bridge.store.challenges import Challenge, ChallengeExpired
from bridge.store.members import Member
from exchange.errors import Invalid


class WrongDomain(Invalid):
    """Raised when a sign-in message was signed for another site: somebody may have been deceived there."""

    type = "wrong-domain"


class ForeignChain(Invalid):
    """Raised when a sign-in message is for another chain."""

    type = "foreign-chain"


class WalletRefused(Invalid):
    """Raised when a contract wallet does not stand by a signature (ERC-1271)."""

    type = "wallet-refused"


@dataclass(frozen=True, slots=True)
class Place:
    """Where members sign in: the service's public address, and the chain."""

    public_url: str
    chain_id: int


def ask(connection: sa.Connection, member: Member, address: bytes, reference: bytes | None, now_ms: int) -> Challenge:
    """A challenge to the wallet at `address`, for the member's first account or for that of `reference`.

    Raises ProgramNotActive, UnknownAccount, TooManyChallenges.
    """
    program = programs.by_id(connection, member.program_id)
    assert program.deployed_token
    account = _account(connection, member, reference)
    statement = (
        f"Bind this wallet to account 0x{account.reference.hex()} of member {signin.plain(member.member_number)}"
        f" at {signin.plain(program.name)} ({program.symbol})."
        " Points that are released to it are moved by its key alone."
    )
    return challenges.create(connection, member.id, account.id, address, statement, now_ms)


def message_of(asked: Challenge, place: Place, *, issued_at: str, expires_at: str) -> SignIn:
    """The message that answers a challenge when the wallet signs it."""
    return SignIn(
        domain=urlsplit(place.public_url).netloc,
        address=asked.address,
        statement=asked.statement,
        uri=f"{place.public_url}/v1/members/{asked.member_id}/wallets",
        version=signin.VERSION,
        chain_id=place.chain_id,
        nonce=asked.nonce,
        issued_at=issued_at,
        expires_at=expires_at,
    )


def read(connection: sa.Connection, member: Member, text: str, place: Place, now_ms: int) -> SignIn:
    """What a signed text says, when it answers a challenge of this member here and now.

    Raises SignInInvalid, ChallengeUnknown, ChallengeUsed, ChallengeExpired, WrongDomain, ForeignChain.
    """
    said = signin.parse(text)
    asked = challenges.require_open(connection, said.nonce, member.id, now_ms)
    due = message_of(asked, place, issued_at=said.issued_at, expires_at=said.issued_at)
    if said.domain != due.domain:
        raise WrongDomain(
            f"the message is for {said.domain}, members sign in at {due.domain}",
            field="message.domain",
            nearest=due.domain,
        )
    if said.chain_id != due.chain_id:
        raise ForeignChain(
            f"the message is for chain {said.chain_id}, the points are on chain {due.chain_id}",
            field="message.chain_id",
            nearest=due.chain_id,
        )
    for name in ("address", "statement", "uri", "version"):
        if getattr(said, name) != getattr(due, name):
            raise SignInInvalid(f"the {name} is not the one that was given out", field=f"message.{name}")
    if said.expires_at is not None and moment_ms(said.expires_at, "expires_at") < now_ms:
        raise ChallengeExpired("the message's own time is over; ask for a new nonce", field="message.expires_at")
    if said.not_before is not None and moment_ms(said.not_before, "not_before") > now_ms:
        raise SignInInvalid("the message is not valid yet", field="message.not_before")
    return said


def require_signature(rpc: Rpc, address: bytes, text: str, signature: bytes) -> None:
    """Check that the wallet at `address` signed the text, with its key or, being a contract, in its own way.

    Raises WrongSignature, WalletRefused, and ChainError when the node fails.
    """
    digest = signin.personal_hash(text)
    if signin.signer_of(digest, signature) == address:
        return
    if not rpc.code(address):
        raise WrongSignature(f"the signature is not that of 0x{address.hex()} for this message", field="signature")
    try:
        answer = rpc.call(address, signin.encode_is_valid_signature(digest, signature))
    except RpcRefused as refusal:
        if not refusal.reverted:
            raise
        answer = b""
    if answer != signin.ACCEPTED:
        raise WalletRefused(f"the contract wallet 0x{address.hex()} does not accept the signature", field="signature")


def _account(connection: sa.Connection, member: Member, reference: bytes | None) -> Account:
    held = accounts.of_member(connection, member.id)
    for one in held:
        if reference in (None, one.reference):
            return one
    raise UnknownAccount("the member has no account under this reference", field="reference")
