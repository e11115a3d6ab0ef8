import json
import stat
from pathlib import Path

import pytest

from bridge.chain.errors import KeysRefused, KeystoreExists, KeystoreLocked, KeystoreMissing
from bridge.chain.keystore import EncryptedKeystore, Keystore, WellKnownKeys
from bridge.chain.rpc import Rpc
from bridge.chain.transactions import Fees, TransactionFields

from .helpers import ANYBODY, mined

PASSWORD = "correct horse"
FAST = 2  # scrypt work: a test needs no protection
FIELDS = TransactionFields(31337, 0, ANYBODY, b"", 21_000, Fees(2, 1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore.json"


def test_well_known_keys__on_a_local_chain__are_the_public_ones() -> None:
    keys: Keystore = WellKnownKeys(31337)
    assert keys.address(0).hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert keys.address(1).hex() == "70997970c51812dc3a010c7d01b50e0d17dc79c8"


@pytest.mark.parametrize("chain_id", [1, 10, 11155111, 0])
def test_well_known_keys__on_another_chain__are_refused(chain_id: int) -> None:
    with pytest.raises(KeysRefused, match="public"):
        WellKnownKeys(chain_id)


def test_well_known_keys__asked_to_sign_for_another_chain__refuse() -> None:
    elsewhere = TransactionFields(1, 0, ANYBODY, b"", 21_000, Fees(2, 1))
    with pytest.raises(KeysRefused):
        WellKnownKeys(31337).sign_transaction(0, elsewhere)


def test_signed__by_an_index__is_from_its_address(rpc: Rpc) -> None:
    from eth_account import Account

    keys = WellKnownKeys(31337)
    signed = keys.sign_transaction(7, FIELDS)
    assert bytes.fromhex(Account.recover_transaction(signed.raw)[2:]) == keys.address(7)
    assert signed == keys.sign_transaction(7, FIELDS)
    nonce = rpc.transaction_count(keys.address(7))
    fees = Fees(20_000_000_000, 1_000_000_000)
    sendable = keys.sign_transaction(7, TransactionFields(31337, nonce, ANYBODY, b"", 21_000, fees))
    rpc.send_raw(sendable.raw)
    assert mined(rpc, sendable.hash).status == 1


def test_keystore__created_and_opened_again__has_the_same_accounts(path: Path) -> None:
    created = EncryptedKeystore.create(path, PASSWORD, work=FAST)
    opened = EncryptedKeystore(path, PASSWORD)
    assert [created.address(index) for index in range(3)] == [opened.address(index) for index in range(3)]
    assert len({opened.address(index) for index in range(3)}) == 3
    assert created.sign_transaction(1, FIELDS) == opened.sign_transaction(1, FIELDS)


def test_keystore__created_twice__never_gives_the_same_keys(path: Path, tmp_path: Path) -> None:
    one = EncryptedKeystore.create(path, PASSWORD, work=FAST)
    two = EncryptedKeystore.create(tmp_path / "two.json", PASSWORD, work=FAST)
    assert one.address(0) != two.address(0)


def test_keystore_file__created__is_for_its_owner_only_and_names_no_account(path: Path) -> None:
    EncryptedKeystore.create(path, PASSWORD, work=FAST)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_bytes())
    assert content["version"] == 3
    assert content["crypto"]["kdf"] == "scrypt"
    assert "address" not in content
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_keystore__created_over_another__is_refused(path: Path) -> None:
    EncryptedKeystore.create(path, PASSWORD, work=FAST)
    before = path.read_bytes()
    with pytest.raises(KeystoreExists):
        EncryptedKeystore.create(path, PASSWORD, work=FAST)
    assert path.read_bytes() == before


def test_keystore__with_a_short_password__is_refused(path: Path) -> None:
    with pytest.raises(KeystoreLocked, match="8"):
        EncryptedKeystore.create(path, "short", work=FAST)
    assert not path.exists()


def test_keystore__with_the_wrong_password__stays_locked(path: Path) -> None:
    EncryptedKeystore.create(path, PASSWORD, work=FAST)
    with pytest.raises(KeystoreLocked):
        EncryptedKeystore(path, PASSWORD + "!")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"no json", b'{"version": 3, "crypto": {}}', b"\xff"])
def test_keystore__of_something_else__stays_locked(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeystoreLocked):
        EncryptedKeystore(path, PASSWORD)


def test_keystore__without_a_file__is_missing(path: Path) -> None:
    with pytest.raises(KeystoreMissing):
        EncryptedKeystore(path, PASSWORD)


def test_keys__shown__say_nothing_of_their_seed() -> None:
    assert repr(WellKnownKeys(31337)) == "WellKnownKeys(...)"
