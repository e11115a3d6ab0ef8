"""`sarraf wallet`: members' own wallets, and what their holders do with the points in them.

Signing happens here, with a key that the service never sees; without a key, what is to be signed is shown, so that any
other wallet can sign it.
"""

import uuid
from typing import Annotated

import typer
from rich.console import Console

from bridge.answers import HolderCall, Wallet
from bridge.cli.errors import CliError
from bridge.cli.holder_key import HolderKey, KeyFile, MaybeKeyFile, PasswordFile
from bridge.cli.lookup import find_member, find_program
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect
from bridge.client import WAIT_S_MAX, Client

app = typer.Typer(help="Members' own wallets.", no_args_is_help=True)

MemberWord = Annotated[str, typer.Argument(metavar="MEMBER", help="A member's number or id.")]
InProgram = Annotated[str | None, typer.Option("--program", help="Symbol or id, for a number in several.")]
WalletId = Annotated[str, typer.Argument(metavar="WALLET", help="The wallet's id.")]
CallId = Annotated[str, typer.Argument(metavar="CALL", help="The call's id.")]
Amount = Annotated[int, typer.Argument(metavar="POINTS", help="How many points.")]
ExpiresIn = Annotated[int | None, typer.Option("--expires-in", help="Seconds in which it counts.")]
#: What the data that is signed calls each kind of call.
_SIGNED_AS = {"redeem": ("Redeem", "amount"), "deposit": ("Deposit", "amount"), "swap": ("Swap", "amountIn")}


@app.command()
def bind(
    context: typer.Context,
    member: MemberWord,
    key_file: KeyFile,
    password_file: PasswordFile = None,
    reference: Annotated[str | None, typer.Option(help="Which of the member's accounts; else the first.")] = None,
    program: InProgram = None,
    json: Json = False,
) -> None:
    """Prove a wallet with its key, and bind it to a member's account (needs a program's key)."""
    key = HolderKey.read(key_file, password_file)
    with connect(context) as client:
        found = find_member(client, member, program)
        asked = client.wallet_challenge(found["id"], key.address, reference=reference)
        if f"\n{key.address}\n" not in asked["message"]:
            raise CliError("the service asks for the signature of another wallet; nothing was signed")
        signature = key.sign_text(asked["message"])
        bound = client.bind_wallet(found["id"], message=asked["message"], signature=signature)
    _show_wallet(bound, json)


@app.command("list")
def list_wallets(context: typer.Context, member: MemberWord, program: InProgram = None, json: Json = False) -> None:
    """List a member's wallets."""
    with connect(context) as client:
        found = client.wallets(find_member(client, member, program)["id"])
    headings = ("id", "address", "state", "effective", "points")
    rows = ((w["id"], w["address"], w["state"], w["effective_at"], w["points"]) for w in found)
    emit(found, json, lambda console: console.print(table("", headings, rows, right=("points",))))


@app.command()
def unbind(
    context: typer.Context, member: MemberWord, wallet: WalletId, program: InProgram = None, json: Json = False
) -> None:
    """End a binding; what the wallet holds stays the holder's."""
    with connect(context) as client:
        ended = client.unbind_wallet(find_member(client, member, program)["id"], wallet)
    _show_wallet(ended, json)


@app.command()
def release(
    context: typer.Context,
    member: MemberWord,
    wallet: WalletId,
    points: Amount,
    key: Annotated[str | None, typer.Option(help="Idempotency key; else a new one.")] = None,
    wait: Annotated[int | None, typer.Option(min=0, max=WAIT_S_MAX, help="Seconds to wait until it is final.")] = None,
    program: InProgram = None,
    json: Json = False,
) -> None:
    """Move points from a member's account to its bound wallet."""
    with connect(context) as client:
        found = find_member(client, member, program)
        posted = client.release(found["id"], wallet, key=key or f"cli-{uuid.uuid4().hex}", points=points, wait_s=wait)
    title = "released before" if posted.replayed else posted.operation["state"]
    emit(posted.operation, json, lambda console: console.print(facts(title, flat(posted.operation))))


@app.command()
def redeem(
    context: typer.Context,
    wallet: WalletId,
    points: Amount,
    key_file: MaybeKeyFile = None,
    password_file: PasswordFile = None,
    expires_in: ExpiresIn = None,
    json: Json = False,
) -> None:
    """Redeem points of a wallet: signed here and relayed, or shown for another wallet to sign or send."""
    key = None if key_file is None else HolderKey.read(key_file, password_file)
    with connect(context) as client:
        call = client.holder_call(wallet, kind="redeem", points=points, expires_in_s=expires_in)
        _sign_and_show(client, call, key, points, json)


@app.command()
def deposit(
    context: typer.Context,
    wallet: WalletId,
    points: Amount,
    key_file: MaybeKeyFile = None,
    password_file: PasswordFile = None,
    expires_in: ExpiresIn = None,
    json: Json = False,
) -> None:
    """Bring points of a wallet back to the account that it is bound to."""
    key = None if key_file is None else HolderKey.read(key_file, password_file)
    with connect(context) as client:
        call = client.holder_call(wallet, kind="deposit", points=points, expires_in_s=expires_in)
        _sign_and_show(client, call, key, points, json)


@app.command()
def swap(
    context: typer.Context,
    wallet: WalletId,
    destination: Annotated[str, typer.Argument(metavar="TO", help="The program whose points are wanted.")],
    points: Amount,
    via: Annotated[list[str] | None, typer.Option(help="A program in between, in order.")] = None,
    min_out: Annotated[int | None, typer.Option(help="The least to accept; else all that the terms give.")] = None,
    key_file: MaybeKeyFile = None,
    password_file: PasswordFile = None,
    expires_in: ExpiresIn = None,
    json: Json = False,
) -> None:
    """Swap points of a wallet, into the same wallet, where the terms are open to wallets."""
    key = None if key_file is None else HolderKey.read(key_file, password_file)
    with connect(context) as client:
        path = [find_program(client, word)["id"] for word in (*(via or ()), destination)]
        call = client.holder_call(
            wallet,
            kind="swap",
            points=points,
            path=path,
            min_out=min_out,
            expires_in_s=expires_in,
        )
        if min_out is not None and call["typed_data"]["message"]["minOut"] < min_out:
            raise CliError("the service asks to sign for less than --min-out; nothing was signed")
        _sign_and_show(client, call, key, points, json)


@app.command()
def show(context: typer.Context, wallet: WalletId, call: CallId, json: Json = False) -> None:
    """Show a call of a wallet and how far it has come."""
    with connect(context) as client:
        found = client.show_holder_call(wallet, call)
    _show_call(found, json)


@app.command()
def relay(
    context: typer.Context,
    wallet: WalletId,
    call: CallId,
    signature: Annotated[str, typer.Argument(help="What the wallet signed, in hexadecimal.")],
    json: Json = False,
) -> None:
    """Hand in the signature that another wallet made of a call."""
    with connect(context) as client:
        sent = client.sign_holder_call(wallet, call, signature)
    _show_call(sent, json)


@app.command()
def cancel(context: typer.Context, wallet: WalletId, call: CallId, json: Json = False) -> None:
    """Withdraw a call that was not relayed; its `cancellation` voids also a signature that was given away."""
    with connect(context) as client:
        withdrawn = client.cancel_holder_call(wallet, call)
    _show_call(withdrawn, json)


def _sign_and_show(client: Client, call: HolderCall, key: HolderKey | None, points: int, json: bool) -> None:
    """Sign and relay where there is a key; never anything else than what was asked for."""
    if key is not None:
        data = call["typed_data"]
        name, amount = _SIGNED_AS[call["kind"]]
        said = (data["primaryType"], data["message"]["holder"], data["message"][amount])
        if said != (name, key.address, points):
            raise CliError(f"the service asks to sign something else than was asked for: {said}; nothing was signed")
        call = client.sign_holder_call(call["wallet_id"], call["id"], key.sign_data(data))
    _show_call(call, json)


def _show_wallet(wallet: Wallet, json: bool) -> None:
    emit(wallet, json, lambda console: console.print(facts(wallet["state"], flat(wallet))))


def _show_call(call: HolderCall, json: bool) -> None:
    def show_to_person(console: Console) -> None:
        console.print(facts(call["state"], flat(call)))

    emit(call, json, show_to_person)
