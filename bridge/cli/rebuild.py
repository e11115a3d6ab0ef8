"""`sarraf rebuild`: the embedded chain out of the ledger, or a ledger out of the chain, while the service is down."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from bridge.cli.effective import load
from bridge.cli.errors import FAILED, CliError
from bridge.cli.output import Json, emit, side_console, table
from bridge.cli.target import Target
from bridge.demo.work import Advance, progress

if TYPE_CHECKING:
    from bridge.rebuilding import RebuiltChain, RebuiltLedger
    from bridge.store.comparison import Comparison, Posted

ADDRESS_BYTES = 20
#: Operations that one side of a comparison names; all are counted.
NAMED_MAX = 50

app = typer.Typer(help="Rebuild the chain from the ledger, or the ledger from the chain.", no_args_is_help=True)

Force = Annotated[bool, typer.Option("--force", help="Give up blocks that the chain has and the ledger lacks.")]
Into = Annotated[
    Path | None, typer.Option("--into", help="The file to write; else ledger-rebuilt.sqlite3 in the data directory.")
]
Exchange = Annotated[
    str | None,
    typer.Option("--exchange", help="The exchange's address; else the present ledger's, or its deployment record's."),
]
ProgramIds = Annotated[
    list[str] | None,
    typer.Option(
        "--program-id",
        help="TOKEN=ID: the id that a program had, where there is no ledger to ask. Repeated requests are found by it.",
    ),
]


@app.callback()
def _group() -> None:
    """Rebuild the chain from the ledger, or the ledger from the chain."""


# -- the chain --------------------------------------------------------------------------------


@app.command()
def chain(context: typer.Context, force: Force = False, json: Json = False) -> None:
    """Make the embedded chain anew from the raw transactions in the ledger, and compare every block's hash."""
    settings = load(Target.of(context))
    from bridge import rebuilding

    with _told("rebuilding the chain") as tell:
        found = rebuilding.rebuild_chain(settings, tell, force=force)
    emit(_chain_record(found), json, lambda console: _show_chain(found, console))


def _chain_record(found: "RebuiltChain") -> dict[str, Any]:
    return {
        "verdict": "ok",
        "blocks": found.blocks,
        "head": {"number": found.head_number, "hash": f"0x{found.head_hash.hex()}"},
        "kept": None if found.kept is None else str(found.kept),
    }


def _show_chain(found: "RebuiltChain", console: Console) -> None:
    console.print(f"ok: {found.blocks:,} blocks compared, each has the hash that the ledger kept for it")
    console.print(f"head: block {found.head_number:,} 0x{found.head_hash.hex()}")
    if found.kept is not None:
        console.print(f"The files that it replaces are kept in {found.kept}.", markup=False)


# -- the ledger -------------------------------------------------------------------------------


@app.command()
def ledger(
    context: typer.Context,
    into: Into = None,
    exchange: Exchange = None,
    program_id: ProgramIds = None,
    json: Json = False,
) -> None:
    """Write a new ledger from the chain alone, and compare it with the chain and the present ledger.

    Exit code 0: equal to both; 1: any difference. The present ledger stays; `sarraf restore` puts the new one in place.
    """
    settings = load(Target.of(context))
    from bridge import rebuilding

    address = None if exchange is None else _address(exchange)
    ids = dict(_program_id(one) for one in program_id or [])
    with _quiet(), _told("reading the chain") as tell:
        found = rebuilding.rebuild_ledger(settings, tell, into=into, exchange=address, program_ids=ids)
    emit(_ledger_record(found), json, lambda console: _show_ledger(found, console))
    if not found.rebuilt.sound or (found.comparison is not None and found.comparison.differences):
        raise typer.Exit(FAILED)


def _address(text: str) -> bytes:
    try:
        found = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        found = b""
    if len(found) != ADDRESS_BYTES:
        raise CliError(f"{text!r} is no address: it must be 0x and 40 hexadecimal digits")
    return found


def _program_id(text: str) -> tuple[bytes, str]:
    token, equals, named = text.partition("=")
    if not equals or not named:
        raise CliError(f"{text!r} must be a token's address, =, and the id of its program")
    return _address(token), named


def _ledger_record(found: "RebuiltLedger") -> dict[str, Any]:
    rebuilt = found.rebuilt
    return {
        "verdict": "ok" if rebuilt.sound else "differs",
        "file": str(found.file),
        "exchange": f"0x{rebuilt.found.address.hex()}",
        "blocks": {"first": rebuilt.found.number, "last": rebuilt.report.block.number},
        "operations": found.manifest.operations,
        "accounts": sum(len(one.books.accounts) for one in rebuilt.report.programs),
        "differences": rebuilt.report.differences,
        "breaker": rebuilt.breaker,
        "recovered": rebuilt.learnt.ended_ms is not None,
        "programs": [
            {
                "symbol": one.books.program.symbol,
                "program_id": one.books.program.id,
                "supply": one.supply,
                "ledger": one.books.ledger,
                "accounts": len(one.books.accounts),
                "differences": one.differences,
                "position_micro": {"ledger": one.books.position_micro, "chain": one.position_micro},
            }
            for one in rebuilt.report.programs
        ],
        "left_out": [
            {"token": f"0x{one.token.hex()}", "symbol": one.symbol, "reason": one.reason}
            for one in rebuilt.found.left_out
        ],
        "with_new_ids": rebuilt.unknown,
        "present": None if found.comparison is None else _comparison_record(found.comparison),
    }


def _comparison_record(found: "Comparison") -> dict[str, Any]:
    return {
        "differences": found.differences,
        "operations": {
            "both": found.operations.both,
            "only_present": [_posted_record(one) for one in found.operations.only_first[:NAMED_MAX]],
            "only_present_count": len(found.operations.only_first),
            "only_rebuilt": [_posted_record(one) for one in found.operations.only_second[:NAMED_MAX]],
            "only_rebuilt_count": len(found.operations.only_second),
        },
        "accounts": {"both": found.accounts.both, "differences": found.accounts.differences},
        "terms": {"both": found.terms.both, "differences": found.terms.differences},
    }


def _posted_record(one: "Posted") -> dict[str, Any]:
    mark = None if one.mark is None else f"0x{one.mark.hex()}"
    return {"token": f"0x{one.token.hex()}", "mark": mark, "points": one.points}


def _show_ledger(found: "RebuiltLedger", console: Console) -> None:
    record = _ledger_record(found)
    rows = [
        (one["symbol"], one["accounts"], one["supply"], one["ledger"], one["differences"], one["program_id"])
        for one in record["programs"]
    ]
    last = record["blocks"]["last"]
    console.print(f"Exchange {record['exchange']}, blocks {record['blocks']['first']:,} to {last:,}")
    headings = ("program", "accounts", "supply on chain", "sum of ledger", "differences", "id")
    console.print(table("", headings, rows, right=headings[1:5]))
    for line in _ledger_lines(found, record):
        console.print(line, markup=False)


def _ledger_lines(found: "RebuiltLedger", record: dict[str, Any]) -> Iterator[str]:
    for one in record["left_out"]:
        yield f"{one['symbol']} ({one['token']}) is left out: {one['reason']}"
    if record["breaker"] is not None:
        yield f"not everything could be followed: {record['breaker']}"
    if record["with_new_ids"]:
        names = ", ".join(record["with_new_ids"])
        yield (
            f"{names}: no ledger says what these programs' ids, points' names, earning rates and expiry were. Requests"
            " that are repeated find their operations only under the old ids: name them by --program-id"
        )
    if not record["recovered"]:
        yield (
            "A service that starts on this ledger goes on from here: it accepts nothing before newer blocks are final,"
            " and nothing that was sent before can be mined any more."
        )
    if found.comparison is not None:
        yield from _comparison_lines(record["present"])
    yield (
        "The chain does not know members' numbers, links, API keys, holds, quotes and the rules of terms; bound wallets"
        " have to be bound again. Nobody is quoted until terms are agreed anew."
    )
    yield (
        f"{record['verdict']}: {record['operations']:,} operations, {record['accounts']:,} accounts compared with the"
        f" chain, {record['differences']:,} differences. `sarraf restore {found.file}` puts this ledger in place"
    )


def _comparison_lines(present: dict[str, Any]) -> Iterator[str]:
    operations = present["operations"]
    yield (
        f"The present ledger: {operations['both']:,} final operations are in both,"
        f" {operations['only_present_count']:,} only there, {operations['only_rebuilt_count']:,} only in the new one;"
        f" {present['accounts']['differences']:,} accounts and {present['terms']['differences']:,} terms differ"
    )
    for side, where in (("only_present", "only in the present ledger"), ("only_rebuilt", "only on the chain")):
        for one in operations[side]:
            yield f"  {where}: {one['points']:,} points of token {one['token']}, marked {one['mark']}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a warning for each batch: all of them are foreign to a new ledger, and the verdict counts them."""
    loggers = [logging.getLogger(name) for name in ("bridge.posting", "bridge.store")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.setLevel(level)


# -- progress ---------------------------------------------------------------------------------


@contextmanager
def _told(label: str) -> Iterator[Callable[[int, int], None]]:
    """Blocks done, of how many: a bar at a terminal, lines elsewhere; it begins when somebody knows how many."""
    with ExitStack() as stack:
        shown: list[Advance] = []
        reached = 0

        def tell(done: int, total: int) -> None:
            nonlocal reached
            if not shown:
                shown.append(stack.enter_context(progress(side_console(), label, total)))
            shown[0](done - reached)
            reached = done

        yield tell
