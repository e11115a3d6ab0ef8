"""`sarraf adjust`: points given or taken by hand and accounts thawed, proposed by one person, approved by another."""

import uuid
from typing import Annotated

import typer

from bridge.answers import Adjustment
from bridge.cli.errors import CliError
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect

app = typer.Typer(
    help="Adjustments and thaws: one person proposes, another approves (needs a person's key of the program).",
    no_args_is_help=True,
)

AdjustmentId = Annotated[str, typer.Argument(metavar="ADJUSTMENT", help="The adjustment's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in one line; kept for ever.")]
Key = Annotated[str | None, typer.Option(help="Idempotency key; else a new one.")]


@app.command()
def propose(
    context: typer.Context,
    reason: Reason,
    member: Annotated[str | None, typer.Argument(metavar="[MEMBER]", help="A member's number or id.")] = None,
    account: Annotated[str | None, typer.Option(help="In place of a member: address of a nobody's account.")] = None,
    up: Annotated[int | None, typer.Option(min=1, help="How many points to give.")] = None,
    down: Annotated[int | None, typer.Option(min=1, help="How many points to take.")] = None,
    key: Key = None,
    json: Json = False,
) -> None:
    """Propose to give points to a member or to take some; nothing moves until another person approves."""
    if (member is None) == (account is None):
        raise CliError("name either a member, or with --account an account that is nobody's")
    if (up is None) == (down is None):
        raise CliError("say either how many points to give with --up, or how many to take with --down")
    named = {"account": account} if member is None else _member(member)
    with connect(context) as client:
        made = client.propose_adjustment(**named, points=up or -(down or 0), reason=reason, key=_new(key))
    _show(made, json)


@app.command()
def thaw(
    context: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ADDRESS", help="The frozen account's address.")],
    reason: Reason,
    key: Key = None,
    json: Json = False,
) -> None:
    """Propose to let a frozen account spend again; that ledger and chain agree on it is checked at the approval."""
    with connect(context) as client:
        made = client.propose_thaw(account, reason=reason, key=_new(key))
    _show(made, json)


@app.command()
def approve(context: typer.Context, adjustment: AdjustmentId, key: Key = None, json: Json = False) -> None:
    """Approve what another person proposed."""
    with connect(context) as client:
        made = client.approve_adjustment(adjustment, key=_new(key))
    _show(made, json)


@app.command()
def reject(
    context: typer.Context, adjustment: AdjustmentId, reason: Reason, key: Key = None, json: Json = False
) -> None:
    """Reject what another person proposed."""
    with connect(context) as client:
        made = client.reject_adjustment(adjustment, reason=reason, key=_new(key))
    _show(made, json)


@app.command()
def show(context: typer.Context, adjustment: AdjustmentId, json: Json = False) -> None:
    """Show one adjustment: who, when, why, and what became of it."""
    with connect(context) as client:
        found = client.adjustment(adjustment)
    _show(found, json)


@app.command("list")
def list_adjustments(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="proposed, approved, rejected or lapsed; else all.")] = None,
    json: Json = False,
) -> None:
    """List adjustments, newest first."""
    with connect(context) as client:
        found = list(client.adjustments(state=state))
    headings = ("id", "state", "points", "of", "proposed by", "decided by", "reason")
    rows = (
        (
            one["id"],
            one["state"],
            "thaw" if one["kind"] == "thaw" else one["points"],
            one["member_id"] or one["account"],
            one["proposed_by"],
            one["decided_by"],
            one["reason"],
        )
        for one in found
    )
    emit(found, json, lambda console: console.print(table("", headings, rows, right=("points",))))


@app.command()
def accounts(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="frozen, or orphan: nobody's; else both.")] = None,
    json: Json = False,
) -> None:
    """List accounts that are frozen, and accounts of which nobody knows whose they are."""
    with connect(context) as client:
        found = list(client.odd_accounts(state=state))
    headings = ("address", "member", "frozen", "posted", "available")
    rows = ((one["address"], one["member_id"], one["frozen"], one["posted"], one["available"]) for one in found)
    emit(found, json, lambda console: console.print(table("", headings, rows, right=("posted", "available"))))


def _member(word: str) -> dict[str, str]:
    return {"member_id" if word.startswith("mbr_") else "member_number": word}


def _new(key: str | None) -> str:
    return key or f"cli-{uuid.uuid4().hex}"


def _show(one: Adjustment, json: bool) -> None:
    emit(one, json, lambda console: console.print(facts(one["state"], flat(one))))
