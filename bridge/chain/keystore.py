"""Who signs: keys by index, behind one small interface.

`WellKnownKeys` are the keys that every local development chain funds; they are public, so they refuse any
other chain. `EncryptedKeystore` is one password-protected file. A remote signer or a key service fits behind
the same protocol.
"""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bridge.chain.errors import KeysRefused, KeystoreExists, KeystoreLocked, KeystoreMissing
from bridge.chain.files import create_durably
from bridge.chain.transactions import TransactionFields

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

LOCAL_CHAIN_IDS = frozenset({31337, 1337})
# Public: anvil, hardhat and ganache give these accounts their first coins.
WELL_KNOWN_WORDS = "test test test test test test test test test test test junk"
DERIVATION_PATH = "m/44'/60'/0'/0/{index}"
INDEX_MAX = 2**31 - 1
ENTROPY_BYTES = 32
SCRYPT_WORK = 2**18  # about a second and 256 MiB per attempt at the password
PASSWORD_LENGTH_MIN = 8


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction: the bytes to send, and the hash that it will have on chain."""

    raw: bytes
    hash: bytes


class Keystore(Protocol):
    """Signs for the account of an index. The index names a role's account; the key itself never leaves."""

    def address(self, index: int) -> bytes:
        """The 20 bytes of the account with this index."""

    def sign_transaction(self, index: int, fields: TransactionFields) -> Signed:
        """Signs `fields` with the key of this index. The same fields give the same bytes."""

    def sign_typed_data(self, index: int, message: dict[str, Any]) -> bytes:
        """Signs a message of `typed_data` (EIP-712): 65 bytes, of the two forms the lower. Twice gives the same."""


class _DerivedKeys:
    """Accounts derived from one seed, each at most once."""

    def __init__(self, words: str) -> None:
        from eth_account.hdaccount import seed_from_mnemonic

        self._seed = seed_from_mnemonic(words, "")
        self._accounts: dict[int, LocalAccount] = {}
        self._deriving = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"  # never the seed

    def address(self, index: int) -> bytes:
        """The 20 bytes of the account with this index."""
        return bytes.fromhex(self._account(index).address[2:])

    def sign_transaction(self, index: int, fields: TransactionFields) -> Signed:
        """Signs `fields` with the key of this index. The same fields give the same bytes."""
        signed = self._account(index).sign_transaction(_signable(fields))
        return Signed(raw=bytes(signed.raw_transaction), hash=bytes(signed.hash))

    def sign_typed_data(self, index: int, message: dict[str, Any]) -> bytes:
        """Signs a message of `typed_data` (EIP-712): 65 bytes, of the two forms the lower. Twice gives the same."""
        return bytes(self._account(index).sign_typed_data(full_message=message).signature)

    def _account(self, index: int) -> LocalAccount:
        from eth_account import Account
        from eth_account.hdaccount import key_from_seed

        assert 0 <= index <= INDEX_MAX, f"account index {index}"
        with self._deriving:
            if index not in self._accounts:
                key = key_from_seed(self._seed, DERIVATION_PATH.format(index=index))
                self._accounts[index] = Account.from_key(key)
            return self._accounts[index]


class WellKnownKeys(_DerivedKeys):
    """The public development keys, for the embedded chain and other local ones only.

    Raises `KeysRefused` for every chain id that is not a local chain's, both when made and when signing.
    """

    def __init__(self, chain_id: int) -> None:
        _refuse_public_chain(chain_id)
        super().__init__(WELL_KNOWN_WORDS)

    def sign_transaction(self, index: int, fields: TransactionFields) -> Signed:
        """Signs for local chains only; raises `KeysRefused` otherwise."""
        _refuse_public_chain(fields.chain_id)
        return super().sign_transaction(index, fields)

    def sign_typed_data(self, index: int, message: dict[str, Any]) -> bytes:
        """Signs for local chains only; raises `KeysRefused` otherwise."""
        _refuse_public_chain(message["domain"]["chainId"])
        return super().sign_typed_data(index, message)


class EncryptedKeystore(_DerivedKeys):
    """Keys from one encrypted file: Web3 secret storage around the 32 random bytes that all derive from.

    The bytes stand for 24 words of BIP-39, so that any wallet can recover the accounts from the file.
    Raises `KeystoreMissing` without a file and `KeystoreLocked` when it does not open.
    """

    def __init__(self, path: Path, password: str) -> None:
        from eth_account.hdaccount.mnemonic import Mnemonic

        super().__init__(Mnemonic().to_mnemonic(_decrypt(path, password)))

    @classmethod
    def create(cls, path: Path, password: str, *, work: int = SCRYPT_WORK) -> EncryptedKeystore:
        """Makes new random keys in a new file that only its owner may read.

        Raises `KeystoreExists` rather than overwrite, and `KeystoreLocked` for a password that is too short.
        """
        if len(password) < PASSWORD_LENGTH_MIN:
            raise KeystoreLocked(
                f"A keystore's password needs at least {PASSWORD_LENGTH_MIN} characters.",
                limit=PASSWORD_LENGTH_MIN,
            )
        if path.exists():  # the exact check comes at the end; this one spares a second of scrypt
            raise _taken(path)
        content = _encrypt(secrets.token_bytes(ENTROPY_BYTES), password, work)
        try:
            create_durably(path, content)
        except FileExistsError as failure:
            raise _taken(path) from failure
        return cls(path, password)


def _taken(path: Path) -> KeystoreExists:
    return KeystoreExists(f"There is already a keystore at {path}; it is never overwritten.")


def _refuse_public_chain(chain_id: int) -> None:
    if chain_id not in LOCAL_CHAIN_IDS:
        local = ", ".join(str(each) for each in sorted(LOCAL_CHAIN_IDS))
        raise KeysRefused(
            f"Chain {chain_id} is not a local chain ({local}), and the development keys are public: "
            "anyone could take what they hold. Give the service an encrypted keystore."
        )


def _signable(fields: TransactionFields) -> dict[str, Any]:
    signable = {
        "type": 2,
        "chainId": fields.chain_id,
        "nonce": fields.nonce,
        "value": fields.value,
        "data": fields.data,
        "gas": fields.gas,
        "maxFeePerGas": fields.fees.max_fee,
        "maxPriorityFeePerGas": fields.fees.priority_fee,
    }
    return signable if fields.to is None else {**signable, "to": fields.to}


def _encrypt(entropy: bytes, password: str, work: int) -> bytes:
    from eth_keyfile.keyfile import create_keyfile_json

    content = create_keyfile_json(entropy, password.encode(), kdf="scrypt", iterations=work)
    # The address that the format adds belongs to none of the derived accounts, and would only mislead.
    content.pop("address", None)
    return json.dumps(content, indent=2).encode() + b"\n"


def _decrypt(path: Path, password: str) -> bytes:
    from eth_keyfile.keyfile import decode_keyfile_json

    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as failure:
        raise KeystoreMissing(f"There is no keystore at {path}.") from failure
    except ValueError as failure:
        raise KeystoreLocked(f"The file {path} is not a keystore.") from failure
    try:
        entropy = bytes(decode_keyfile_json(content, password.encode()))
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise KeystoreLocked(f"The keystore {path} does not open: wrong password, or a damaged file.") from failure
    if len(entropy) != ENTROPY_BYTES:
        raise KeystoreLocked(f"The keystore {path} does not hold {ENTROPY_BYTES} bytes.")
    return entropy
