"""`sarraf wallet`: the key is used here and nowhere else, and only for what was asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from bridge.chain import typed_data
from bridge.chain.typed_data import Domain
from bridge.cli.holder_key import HolderKey
from tests.bridge.cli.conftest import Sarraf
from tests.bridge.fake_service import FakeService, Reply

HOLDER = Account.from_key(b"\x07" * 32)
ADDRESS = bytes.fromhex(HOLDER.address[2:])
TOKEN = Domain("Coffee", 31337, b"\x01" * 20)
PASSWORD = "a wallet's own password"


class Calls:
    """A service that asks for one signature, and keeps what it gets."""

    def __init__(self, service: FakeService, data: dict[str, Any], kind: str = "redeem") -> None:
        self.data = data
        self.kind = kind
        self.signed = False
        service.broken = self.answer

    def answer(self, method: str, path: str) -> Reply | None:
        if not path.startswith("/v1/wallets/"):
            return None
        self.signed = self.signed or path.endswith("/signature")
        body = {"id": "hcl_1", "wallet_id": "wal_1", "kind": self.kind, "typed_data": self.data}
        return Reply(201, body | {"state": "relayed" if self.signed else "open", "method": method})


def redeem(amount: int = 10, holder: bytes = ADDRESS) -> dict[str, Any]:
    return typed_data.redeem(TOKEN, holder=holder, amount=amount, order=0, deadline=9)


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key.hex"
    path.write_text(f"{bytes(HOLDER.key).hex()}\n")
    return str(path)


def test_redeem__with_a_key__then_signs_and_hands_in(sarraf: Sarraf, service: FakeService, key_file: str) -> None:
    calls = Calls(service, redeem())

    done = sarraf("wallet", "redeem", "wal_1", "10", "--key-file", key_file, "--json")

    assert done.code == 0, done.err
    assert done.json["state"] == "relayed" and calls.signed
    assert ("POST", "/v1/wallets/wal_1/calls/hcl_1/signature") in service.calls


def test_redeem__without_a_key__then_shows_what_is_to_be_signed(sarraf: Sarraf, service: FakeService) -> None:
    calls = Calls(service, redeem())

    done = sarraf("wallet", "redeem", "wal_1", "10", "--json")

    assert done.json["typed_data"] == redeem() and not calls.signed


@pytest.mark.parametrize(
    "data",
    [
        redeem(amount=11),
        redeem(holder=b"\x02" * 20),
        typed_data.deposit(TOKEN, holder=ADDRESS, reference=b"\x03" * 20, amount=10, nonce=0, deadline=9),
    ],
    ids=["more", "another wallet", "something else"],
)
def test_redeem__when_the_service_asks_for_another_signature__then_nothing_is_signed(
    sarraf: Sarraf, service: FakeService, key_file: str, data: dict[str, Any]
) -> None:
    calls = Calls(service, data)

    done = sarraf("wallet", "redeem", "wal_1", "10", "--key-file", key_file)

    assert done.code == 1 and "nothing was signed" in done.err and not calls.signed


def test_swap__for_less_than_was_asked__then_nothing_is_signed(
    sarraf: Sarraf, service: FakeService, key_file: str
) -> None:
    assert sarraf("program", "create", "Air", "--symbol", "MILE", "--currency", "miles", "--json").code == 0
    data = typed_data.swap(
        TOKEN, holder=ADDRESS, path=[b"\x01" * 20, b"\x02" * 20], amount_in=10, min_out=4, nonce=0, deadline=9
    )
    calls = Calls(service, data, "swap")

    done = sarraf("wallet", "swap", "wal_1", "MILE", "10", "--min-out", "5", "--key-file", key_file)

    assert done.code == 1 and "--min-out" in done.err and not calls.signed


def test_bind__when_the_service_names_another_wallet__then_nothing_is_signed(
    sarraf: Sarraf, service: FakeService, key_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sarraf("program", "create", "Air", "--symbol", "MILE", "--currency", "miles", "--json").code == 0
    monkeypatch.setenv("SARRAF_API_KEY", sarraf("program", "key", "MILE", "--json").json["key"])
    assert sarraf("member", "enrol", "900", "--json").code == 0
    body = {"message": f"sign in\n0x{'ab' * 20}\n"}
    service.broken = lambda _, path: Reply(201, body) if path.endswith("challenges") else None

    done = sarraf("wallet", "bind", "900", "--key-file", key_file)

    assert done.code == 1 and "nothing was signed" in done.err
    assert not [path for method, path in service.calls if method == "POST" and path.endswith("/wallets")]


def test_key_file__encrypted__then_opens_with_its_password_only(
    sarraf: Sarraf, service: FakeService, tmp_path: Path
) -> None:
    Calls(service, redeem())
    keystore, right, wrong = tmp_path / "key.json", tmp_path / "right", tmp_path / "wrong"
    keystore.write_text(json.dumps(Account.encrypt(HOLDER.key, PASSWORD, iterations=2)))
    right.write_text(f"{PASSWORD}\n")
    wrong.write_text("another one\n")
    asked = ("wallet", "redeem", "wal_1", "10", "--key-file", str(keystore))

    assert sarraf(*asked, "--password-file", str(right)).code == 0
    assert "--password-file" in sarraf(*asked).err
    assert "holds no key that opens" in sarraf(*asked, "--password-file", str(wrong)).err


@pytest.mark.parametrize("content", ["", "{}", "0x00", "{", "0x" + "00" * 32, "not hexadecimal"])
def test_key_file__that_holds_no_key__then_is_refused_without_showing_it(
    sarraf: Sarraf, service: FakeService, tmp_path: Path, content: str
) -> None:
    Calls(service, redeem())
    (tmp_path / "key").write_text(content)
    (tmp_path / "password").write_text(PASSWORD)

    done = sarraf(
        *("wallet", "redeem", "wal_1", "10", "--key-file", str(tmp_path / "key")),
        *("--password-file", str(tmp_path / "password")),
    )

    assert done.code == 1 and "holds no key that opens" in done.err
    assert sarraf("wallet", "redeem", "wal_1", "10", "--key-file", str(tmp_path / "none")).code == 1


def test_typed_data__as_the_service_sends_it__then_is_signed_as_it_stands(key_file: str) -> None:
    key = HolderKey.read(Path(key_file), None)
    data = json.loads(json.dumps(redeem()))

    assert (
        key.sign_data(data) == f"0x{bytes(HOLDER.sign_message(encode_typed_data(full_message=data)).signature).hex()}"
    )
