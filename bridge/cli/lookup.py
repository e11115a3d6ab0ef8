"""Programs by symbol and members by number, where the API takes ids."""

from bridge.answers import Member, Program
from bridge.cli.errors import CliError
from bridge.client import Client


def find_program(client: Client, word: str) -> Program:
    """A program by its id or its symbol, whichever was typed."""
    if word.startswith("prg_"):
        return client.program(word)
    programs = list(client.programs())
    for program in programs:
        if program["symbol"].lower() == word.lower():
            return program
    symbols = ", ".join(program["symbol"] for program in programs) or "none yet"
    raise CliError(f"no program has the symbol {word!r}; there are: {symbols}")


def find_members(client: Client, word: str, program: str | None) -> list[Member]:
    """The members that an id or a member number means, in one program or in all that the key may see."""
    if word.startswith("mbr_"):
        return [client.member(word)]
    members = list(client.members(member_number=word))
    if program is not None:
        wanted = find_program(client, program)["id"]
        members = [member for member in members if member["program_id"] == wanted]
    if not members:
        where = f" of {program}" if program is not None else ""
        raise CliError(f"{word!r} is no member{where}")
    return members


def find_member(client: Client, word: str, program: str | None) -> Member:
    """Exactly one member."""
    members = find_members(client, word, program)
    if len(members) > 1:
        symbols = symbols_by_id(client)
        where = ", ".join(symbols.get(member["program_id"], member["program_id"]) for member in members)
        raise CliError(f"{word!r} is a member of several programs ({where}): choose one with --program")
    return members[0]


def symbols_by_id(client: Client) -> dict[str, str]:
    """For showing programs by their symbol."""
    return {program["id"]: program["symbol"] for program in client.programs()}
