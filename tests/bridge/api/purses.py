"""Members' wallets in the tests of the API: keys made here, bound to members, with points released to them."""

from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from eth_account.signers.local import LocalAccount

from .world import Program, unique, until


@dataclass(frozen=True)
class Purse:
    """A member's bound wallet and its key."""

    program: Program
    member_id: str
    wallet_id: str
    key: LocalAccount

    @property
    def path(self) -> str:
        """Where the wallet's calls are."""
        return f"/v1/wallets/{self.wallet_id}/calls"

    def show(self) -> dict[str, Any]:
        """The wallet now."""
        found: dict[str, Any] = self.program.get(f"/v1/members/{self.member_id}/wallets/{self.wallet_id}").json()
        return found

    def release(self, points: int) -> str:
        """Points for the wallet, final; answers the operation."""
        body = {"wallet_id": self.wallet_id, "points": points}
        response = self.program.post(f"/v1/members/{self.member_id}/releases", body, key=unique("release"), wait_s=30)
        assert response.status_code == 200 and response.json()["state"] == "final", response.text
        operation_id: str = response.json()["id"]
        return operation_id

    def call(self, kind: str, points: int, **more: Any) -> dict[str, Any]:
        """Something for the wallet to sign."""
        response = self.program.post(self.path, {"kind": kind, "points": points} | more)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    def sign(self, call: dict[str, Any]) -> str:
        """The wallet's signature of a call."""
        return hexadecimal(self.key.sign_message(encode_typed_data(full_message=call["typed_data"])).signature)

    def hand_in(self, call: dict[str, Any], signature: str | None = None) -> Any:
        """The answer to a signature, the right one unless another is given."""
        return self.program.post(f"{self.path}/{call['id']}/signature", {"signature": signature or self.sign(call)})

    def done(self, call: dict[str, Any], state: str = "final") -> dict[str, Any]:
        """The call, once it has come so far."""
        path = f"{self.path}/{call['id']}"
        until(lambda: self.program.get(path).json()["state"] == state)
        found: dict[str, Any] = self.program.get(path).json()
        return found


def hexadecimal(value: bytes) -> str:
    """Bytes as 0x…"""
    return f"0x{bytes(value).hex()}"


def challenge(program: Program, member_id: str, address: str, **more: Any) -> dict[str, Any]:
    """What a wallet is to sign."""
    response = program.post(f"/v1/members/{member_id}/wallet-challenges", {"address": address} | more)
    assert response.status_code == 201, response.text
    asked: dict[str, Any] = response.json()
    return asked


def signed(key: LocalAccount, text: str) -> dict[str, str]:
    """A message with its signature, as the API takes it."""
    return {"message": text, "signature": hexadecimal(key.sign_message(encode_defunct(text=text)).signature)}


def bind(program: Program, member_id: str, key: LocalAccount | None = None) -> Purse:
    """A new wallet of the member, on its way to the chain."""
    own = key or Account.create()
    body = signed(own, challenge(program, member_id, own.address)["message"])
    response = program.post(f"/v1/members/{member_id}/wallets", body)
    assert response.status_code == 202, response.text
    return Purse(program, member_id, response.json()["id"], own)


def purse(program: Program, member_id: str, points: int = 0) -> Purse:
    """A wallet in effect, with points in it."""
    made = bind(program, member_id)
    until(lambda: made.show()["state"] == "active")
    if points:
        made.release(points)
    return made
