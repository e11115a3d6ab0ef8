"""`sarraf member`: enrolments and the links between them."""

from typing import Annotated

import typer

from bridge.cli.errors import CliError
from bridge.cli.lookup import find_member, find_members, symbols_by_id
from bridge.cli.output import Json, emit, facts, flat, table
from bridge.cli.target import connect

CODES_MIN = 2

app = typer.Typer(help="Members and the links between memberships.", no_args_is_help=True)

Word = Annotated[str, typer.Argument(metavar="MEMBER", help="A member's number or id.")]
InProgram = Annotated[str | None, typer.Option("--program", help="Symbol or id, for a number in several.")]


@app.command()
def enrol(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The member's number in the program of the key.")],
    json: Json = False,
) -> None:
    """Enrol a member; a number that is enrolled already gives the same member (needs a program's key)."""
    with connect(context) as client:
        enrolled = client.enrol(number)
    title = "enrolled" if enrolled.created else "was enrolled before"
    emit(enrolled.member, json, lambda console: console.print(facts(title, flat(enrolled.member))))


@app.command()
def show(context: typer.Context, member: Word, program: InProgram = None, json: Json = False) -> None:
    """Show a member, in every program that the key may see."""
    with connect(context) as client:
        members = find_members(client, member, program)
        symbols = symbols_by_id(client)
    headings = ("program", "number", "id", "link", "account")
    rows = (
        (
            symbols.get(m["program_id"], m["program_id"]),
            m["member_number"],
            m["id"],
            m["link_id"],
            m["account"],
        )
        for m in members
    )
    emit(members, json, lambda console: console.print(table("", headings, rows)))


@app.command()
def expirations(context: typer.Context, member: Word, program: InProgram = None, json: Json = False) -> None:
    """List every day on which points of a member expire."""
    with connect(context) as client:
        found = list(client.expirations(find_member(client, member, program)["id"]))
    headings = ("day", "points", "from")
    rows = ((one["day"], one["points"], one["first_at"]) for one in found)
    emit(found, json, lambda console: console.print(table(member, headings, rows, right=("points",))))


@app.command()
def link(
    context: typer.Context,
    member: Annotated[str | None, typer.Argument(metavar="[MEMBER]", help="Whom to make a one-time code for.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="A code from one side; give one of each side.")] = None,
    program: InProgram = None,
    json: Json = False,
) -> None:
    """Link memberships of one customer: first a one-time code from each side, then all codes together."""
    if (member is None) == (not code):
        raise CliError("give either a member, to make a code for, or the codes of all sides with --code")
    with connect(context) as client:
        if member is not None:
            made = client.link_code(find_member(client, member, program)["id"])
            title = "One-time code"
            emit(made, json, lambda console: console.print(facts(title, flat(made))))
            return
        codes = code or []
        if len(codes) < CODES_MIN:
            raise CliError(f"a link needs the codes of at least {CODES_MIN} sides")
        joined = client.link(codes)
    rows = ((m["program_id"], m["member_id"]) for m in joined["members"])
    emit(joined, json, lambda console: console.print(table(joined["id"], ("program", "member"), rows)))
