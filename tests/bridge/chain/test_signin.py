"""Sign-in messages and the signatures under them, made by eth-account and read here."""

import dataclasses

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from bridge.chain import signin
from bridge.chain.signin import SignIn, SignInInvalid

HOLDER = Account.from_key(b"\x05" * 32)
ADDRESS = bytes.fromhex(HOLDER.address[2:])
MESSAGE = SignIn(
    domain="points.example:8080",
    address=ADDRESS,
    statement="Bind this wallet to member 17 of Coffee (BEAN).",
    uri="https://points.example:8080/v1/members/mbr_1/wallets",
    version="1",
    chain_id=31337,
    nonce="0123456789abcdef",
    issued_at="2026-11-21T21:00:00.123Z",
    expires_at="2026-11-21T21:10:00.123Z",
)


@pytest.mark.parametrize(
    "changes", [{}, {"expires_at": None}, {"scheme": "https"}, {"not_before": "2026-11-21T21:00:00+01:00"}]
)
def test_message__written_and_read__is_the_same(changes: dict[str, str | None]) -> None:
    message = dataclasses.replace(MESSAGE, **changes)  # type: ignore[arg-type]

    assert signin.parse(message.text()) == message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("wants you to sign in", "asks you to sign in"),
        ("Version: 1", "Version: one"),
        ("Nonce: 0123456789abcdef", "Nonce: 0123456"),
        ("Nonce: 0123456789abcdef", "Nonce: 0123456789-abcdef"),
        ("Chain ID: 31337", "Chain ID: 0x7a69"),
        ("Chain ID: 31337\n", ""),
        ("Issued At: 2026-11-21T21:00:00.123Z", "Issued At: yesterday"),
        ("Issued At: 2026-11-21T21:00:00.123Z", "Issued At: 2026-13-21T21:00:00Z"),
        ("BEAN).", "BEAN).\nURI: https://evil.example"),
        ("points.example", "points.example\n"),
        ("Expiration", "\nExpiration"),
    ],
)
def test_text__that_is_no_message__is_refused(old: str, new: str) -> None:
    text = MESSAGE.text()
    assert old in text

    with pytest.raises(SignInInvalid) as refusal:
        signin.parse(text.replace(old, new, 1))

    assert refusal.value.field and refusal.value.field.startswith("message")


def test_text__with_more_behind_it__is_refused() -> None:
    for more in ("\n", " ", "\nResources:\n- https://evil.example", "x" * signin.TEXT_LENGTH_MAX):
        with pytest.raises(SignInInvalid):
            signin.parse(MESSAGE.text() + more)


def test_address__without_its_checksum__is_refused_with_the_right_one() -> None:
    with pytest.raises(SignInInvalid) as refusal:
        signin.parse(MESSAGE.text().replace(HOLDER.address, HOLDER.address.lower()))

    assert refusal.value.nearest == HOLDER.address


@given(st.binary(min_size=20, max_size=20))
def test_checksum__then_is_that_of_eip_55(address: bytes) -> None:
    assert signin.checksummed(address) == to_checksum_address(address)


@given(st.text(max_size=40))
def test_plain__of_any_text__then_can_stand_in_a_message_and_differs_for_different_texts(text: str) -> None:
    written = signin.plain(text)

    message = dataclasses.replace(MESSAGE, statement=f"Bind {written}.")
    assert signin.parse(message.text()).statement == f"Bind {written}."
    assert written == text or "~" in written


def test_plain__of_texts_that_look_alike__then_they_stay_apart() -> None:
    assert signin.plain("M\u00fcller") == "M~fc~ller" != signin.plain("M~fc~ller")


@given(st.binary(min_size=1, max_size=32), st.text(max_size=50))
def test_signer__of_what_eth_account_signed__then_is_its_address_in_both_forms(seed: bytes, text: str) -> None:
    account = Account.from_key(seed.rjust(32, b"\x01"))
    address = bytes.fromhex(account.address[2:])
    signable = encode_defunct(text=text)
    signature = bytes(account.sign_message(signable).signature)
    digest = signin.personal_hash(text)

    assert signin.signer_of(digest, signature) == address
    assert signin.signer_of(digest, signature[:64] + bytes([signature[64] - 27])) == address
    packed = signin.compact(signature)
    assert len(packed) == 64 and signin.signer_of(digest, packed) == address
    assert signin.signer_of(signin.personal_hash(text + "!"), signature) != address


@pytest.mark.parametrize(
    "signature",
    [b"", b"\x01" * 63, b"\x01" * 66, bytes(65), b"\xff" * 65, bytes(64), b"\xff" * 64, b"\x01" * 64 + b"\x1d"],
)
def test_signer__of_what_no_key_made__then_is_nobody(signature: bytes) -> None:
    assert signin.signer_of(signin.personal_hash("text"), signature) is None
