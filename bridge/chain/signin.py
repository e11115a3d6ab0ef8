"""Signing in with a wallet (EIP-4361): a text that says who signs what for whom, and whose signature it bears.

A text proves an address only once its domain, chain and nonce were compared with what was asked for; that is for the
caller, who knows what it asked.
"""

import datetime
import re
from dataclasses import dataclass

from eth_hash.auto import keccak

from bridge.chain.abi import encode_call
from exchange.errors import Invalid

VERSION = "1"
TEXT_LENGTH_MAX = 4_000
NONCE_LENGTH_MIN = 8
#: The order of the group in which signatures are made.
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
#: What a contract wallet answers when it stands by a signature (ERC-1271).
IS_VALID_SIGNATURE = "isValidSignature(bytes32,bytes)"
ACCEPTED = bytes.fromhex("1626ba7e").ljust(32, b"\0")


class SignInInvalid(Invalid):
    """Raised when a text is no sign-in message, or one that says something else than what was asked for."""

    type = "sign-in-invalid"


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a sign-in message says. Times are RFC 3339; what a message may leave out is None."""

    domain: str
    address: bytes
    statement: str
    uri: str
    version: str
    chain_id: int
    nonce: str
    issued_at: str
    expires_at: str | None = None
    not_before: str | None = None
    scheme: str | None = None

    def text(self) -> str:
        """The message as a wallet shows it and signs it."""
        origin = self.domain if self.scheme is None else f"{self.scheme}://{self.domain}"
        lines = [
            f"{origin} wants you to sign in with your Ethereum account:",
            checksummed(self.address),
            "",
            self.statement,
            "",
            f"URI: {self.uri}",
            f"Version: {self.version}",
            f"Chain ID: {self.chain_id}",
            f"Nonce: {self.nonce}",
            f"Issued At: {self.issued_at}",
        ]
        if self.expires_at is not None:
            lines.append(f"Expiration Time: {self.expires_at}")
        if self.not_before is not None:
            lines.append(f"Not Before: {self.not_before}")
        return "\n".join(lines)


_TIME = r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})"
_MESSAGE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<domain>[^\s/?#]+)"
    r" wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9A-Fa-f]{40})\n\n"
    r"(?P<statement>[^\n]+)\n\n"
    r"URI: (?P<uri>[^\s]+)\n"
    r"Version: (?P<version>[0-9]+)\n"
    r"Chain ID: (?P<chain_id>[0-9]{1,18})\n"
    rf"Nonce: (?P<nonce>[A-Za-z0-9]{{{NONCE_LENGTH_MIN},}})\n"
    rf"Issued At: (?P<issued_at>{_TIME})"
    rf"(?:\nExpiration Time: (?P<expires_at>{_TIME}))?"
    rf"(?:\nNot Before: (?P<not_before>{_TIME}))?",
    re.ASCII,
)


def parse(text: str) -> SignIn:
    """What the text says. Raises SignInInvalid where it is no sign-in message with a statement."""
    found = _MESSAGE.fullmatch(text) if len(text) <= TEXT_LENGTH_MAX else None
    if found is None:
        raise SignInInvalid("this is no sign-in message as EIP-4361 writes it", field="message")
    fields = found.groupdict()
    address, chain_id = fields.pop("address"), int(fields.pop("chain_id"))
    account = bytes.fromhex(address[2:])
    if address != checksummed(account):
        raise SignInInvalid(
            "the address in the message is not written with its checksum",
            field="message.address",
            nearest=checksummed(account),
        )
    for name in ("issued_at", "expires_at", "not_before"):
        if fields[name] is not None:
            moment_ms(fields[name], name)
    return SignIn(address=account, chain_id=chain_id, **fields)


def moment_ms(text: str, name: str) -> int:
    """A time of a message in milliseconds since 1970. Raises SignInInvalid for one that no calendar has."""
    try:
        moment = datetime.datetime.fromisoformat(text.upper())
    except ValueError:
        raise SignInInvalid(f"{text} is no time", field=f"message.{name}") from None
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)


def plain(text: str) -> str:
    """`text` in the letters that a statement may have: any other becomes its code in hexadecimal between tildes."""
    return "".join(letter if _ALLOWED.match(letter) else f"~{ord(letter):x}~" for letter in text)


_ALLOWED = re.compile(r"[A-Za-z0-9 :/?#\[\]@!$&'()*+,;=._-]", re.ASCII)


def checksummed(address: bytes) -> str:
    """The address as people see it, whose capitals are a checksum (EIP-55)."""
    digits = address.hex()
    marks = keccak(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit for digit, mark in zip(digits, marks, strict=False)
    )


# -- signatures -------------------------------------------------------------------------------


def personal_hash(text: str) -> bytes:
    """What a wallet signs of a text (EIP-191)."""
    data = text.encode()
    return bytes(keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data))


def signer_of(digest: bytes, signature: bytes) -> bytes | None:
    """Whose key made the signature, 65 bytes long or the 64 of EIP-2098; None where it is no key's."""
    if len(signature) == 65:
        r, s, v = signature[:32], int.from_bytes(signature[32:64], "big"), signature[64]
        parity = v - 27 if v >= 27 else v
    elif len(signature) == 64:
        packed = int.from_bytes(signature[32:], "big")
        r, s, parity = signature[:32], packed & ((1 << 255) - 1), packed >> 255
    else:
        return None
    number = int.from_bytes(r, "big")
    if parity not in (0, 1) or not 0 < number < _ORDER or not 0 < s < _ORDER:
        return None
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature

    try:
        key = Signature(vrs=(parity, number, s)).recover_public_key_from_msg_hash(digest)
    except BadSignature:
        return None
    return key.to_canonical_address()


def compact(signature: bytes) -> bytes:
    """A signature of 65 bytes in the 64 of EIP-2098."""
    assert len(signature) == 65, f"{len(signature)} bytes are no whole signature"
    parity = signature[64] - 27 if signature[64] >= 27 else signature[64]
    s = int.from_bytes(signature[32:64], "big")
    assert s >> 255 == 0 and parity in (0, 1), "only the lower of a signature's two forms can be packed"
    return signature[:32] + (parity << 255 | s).to_bytes(32, "big")


def encode_is_valid_signature(digest: bytes, signature: bytes) -> bytes:
    """Asks a contract wallet whether it stands by a signature: the answer is ACCEPTED, or no (ERC-1271)."""
    return encode_call(IS_VALID_SIGNATURE, digest, signature)
