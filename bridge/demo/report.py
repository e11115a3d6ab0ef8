"""What the demo found, as a table for people and as plain values for programs."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.answers import Audit, AuditedProgram, Quote
from bridge.demo.events import Period
from bridge.demo.replay import Tally
from bridge.demo.setup import Enrolment
from bridge.demo.swaps import Swaps
from bridge.explained import explained

DIFFERING_SHOWN_MAX = 20


@dataclass(slots=True)
class Times:
    """Seconds that each part took."""

    setup_s: float = 0.0
    replay_s: float = 0.0
    posting_s: float = 0.0
    swaps_s: float = 0.0
    audit_s: float = 0.0

    @property
    def whole_s(self) -> float:
        """All parts together."""
        return self.setup_s + self.replay_s + self.posting_s + self.swaps_s + self.audit_s


@dataclass(frozen=True, slots=True)
class Row:
    """One program in the final table."""

    kind: str
    events: int
    audited: AuditedProgram


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one run of the demo; `example` is the quote of a swap over a route, if there was one."""

    period: str
    rows: tuple[Row, ...]
    audit: Audit
    tally: Tally
    swaps: Swaps
    members: int
    members_created: int
    households_linked: int
    links_refused: int
    coupons_not_member: int
    times: Times = field(default_factory=Times)
    example: Quote | None = None

    @property
    def symbols(self) -> dict[str, str]:
        """The programs' symbols by id."""
        return {row["program_id"]: row["symbol"] for row in self.audit["programs"]}

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that should not have happened, in words; empty when all is well."""
        earned = self.tally.earned.values()
        refused: Counter[str] = sum((part.refused for part in earned), Counter())
        counted = {
            "differences between ledger and chain": self.audit["differences"],
            "purchases with another award than the rate gives": sum(part.miscounted for part in earned),
            f"purchases refused{_reasons(refused)}": refused.total(),
            f"coupons refused{_reasons(self.tally.redeemed.refused)}": self.tally.redeemed.refused.total(),
            f"swaps refused{_reasons(self.swaps.refused)}": self.swaps.refused.total(),
            "swaps failed": self.swaps.failed,
            "bonuses failed": self.swaps.bonuses_failed,
            "households that could not be linked": self.links_refused,
        }
        found = [f"{count:,} {what}" for what, count in counted.items() if count]
        if self.audit["positions_sum"] != 0:
            found.append(f"the programs' positions sum to {self.audit['positions_sum']:,} instead of 0")
        return tuple(found)

    @property
    def is_clean(self) -> bool:
        """Whether ledger and chain agree, and nothing else went wrong."""
        return self.audit["verdict"] == "ok" and not self.faults

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "period": self.period,
            "clean": self.is_clean,
            "faults": list(self.faults),
            "programs": [{"kind": row.kind, "events_sent": row.events, **row.audited} for row in self.rows],
            "settlements": self.audit["settlements"],
            "differences": self.audit["differences"],
            "positions_sum": self.audit["positions_sum"],
            "block": self.audit["block"],
            "purchases": {kind: asdict(earned) for kind, earned in self.tally.earned.items()},
            "coupons": {**asdict(self.tally.redeemed), "not_member": self.coupons_not_member},
            "swaps": {
                "made": self.swaps.made,
                "replayed": self.swaps.replayed,
                "too_few": self.swaps.too_few,
                "failed": self.swaps.failed,
                "bonuses": self.swaps.bonuses,
                "refused": dict(self.swaps.refused),
            },
            "route": self.route,
            "members": self.members,
            "members_created": self.members_created,
            "households_linked": self.households_linked,
            "seconds": {**asdict(self.times), "whole_s": self.times.whole_s},
        }

    @property
    def route(self) -> dict[str, Any] | None:
        """The example, with symbols in place of ids and its explanation line by line."""
        if self.example is None:
            return None
        return {
            "path": [self.symbols.get(program, program) for program in self.example["path"]],
            "amount_in": self.example["amount_in"],
            "amount_out": self.example["amount_out"],
            "explanation": explained(self.example["explanation"], self.symbols),
        }


def _reasons(refused: Mapping[str, int]) -> str:
    return f" ({', '.join(sorted(refused))})" if refused else ""


def make_report(
    period: Period,
    audit: Audit,
    tally: Tally,
    swaps: Swaps,
    enrolment: Enrolment,
    program_ids: Mapping[str, str],
    not_member: int,
    times: Times,
    example: Quote | None = None,
) -> Report:
    """Put the parts together; `program_ids` names the demo's programs by kind of shop."""
    audited = {row["program_id"]: row for row in audit["programs"]}
    return Report(
        period=period.name,
        rows=tuple(Row(kind, tally.of(kind).sent, audited[program_id]) for kind, program_id in program_ids.items()),
        audit=audit,
        tally=tally,
        swaps=swaps,
        members=sum(len(mine) for mine in enrolment.members.values()),
        members_created=enrolment.created,
        households_linked=len(enrolment.linked),
        links_refused=enrolment.links_refused,
        coupons_not_member=not_member,
        times=times,
        example=example,
    )


def show(report: Report, console: Console) -> None:
    """Print the report: the programs, the gas, a swap over a route, what was counted, and the verdict last."""
    console.print()
    console.print(_programs(report))
    console.print(_gas(report))
    _show_example(report, console)
    for line in _lines(report):
        console.print(line, highlight=False)
    _show_verdict(report, console)


def _programs(report: Report) -> Table:
    """One column for each program: that fits a narrow terminal, which ten columns of numbers do not."""
    table = Table(title=f"Ledger against chain at block {report.audit['block']['number']:,}", title_justify="left")
    table.add_column("")
    for row in report.rows:
        table.add_column(f"{row.audited['name']} ({row.audited['symbol']})", justify="right")
    lines: tuple[tuple[str, Callable[[Row], int]], ...] = (
        ("events", lambda row: row.events),
        ("points earned, bonuses", lambda row: row.audited["points_earned"]),
        ("points redeemed", lambda row: row.audited["points_redeemed"]),
        ("swapped in", lambda row: row.audited["swapped_in"]),
        ("swapped out", lambda row: row.audited["swapped_out"]),
        ("supply on chain", lambda row: row.audited["supply"]),
        ("sum of ledger", lambda row: row.audited["ledger"]),
        ("accounts compared", lambda row: row.audited["accounts"]),
        ("differences", lambda row: row.audited["differences"]),
    )
    for label, number in lines:
        table.add_row(label, *(f"{number(row):,}" for row in report.rows))
    return table


def _gas(report: Report) -> Table:
    table = Table(title="Gas on chain", title_justify="left")
    table.add_column("kind")
    for heading in ("batches", "items", "gas", "gas per item"):
        table.add_column(heading, justify="right")
    postings = [
        (f"{row.audited['symbol']} earns, bonuses, redemptions", row.audited["batches"], *_work(row.audited))
        for row in report.rows
    ]
    swaps = [
        (f"swaps {' > '.join(path['path'])}", path["batches"], path["items"], path["gas_used"])
        for path in report.audit["settlements"]
    ]
    for label, batches, items, gas in postings + swaps:
        each = f"{gas / items:,.0f}" if items else "-"
        table.add_row(label, f"{batches:,}", f"{items:,}", f"{gas:,}", each)
    return table


def _show_example(report: Report, console: Console) -> None:
    """One quote over a route, line by line as the household saw it."""
    route = report.route
    if route is None:
        return
    path = " > ".join(route["path"])
    console.print(
        f"The largest swap over a route, {path}: {route['amount_in']:,} {route['path'][0]} became"
        f" {route['amount_out']:,} {route['path'][-1]}",
        highlight=False,
    )
    for line in route["explanation"]:
        console.print(f"  {line}", highlight=False, markup=False)


def _work(program: AuditedProgram) -> tuple[int, int]:
    return program["items"], program["gas_used"]


def _lines(report: Report) -> list[str]:
    earned = list(report.tally.earned.values())
    sent = sum(part.sent for part in earned)
    nothing = sum(part.nothing_earned for part in earned)
    zero = sum(part.zero_cents for part in earned)
    redeemed = report.tally.redeemed
    swaps = report.swaps
    times = report.times
    refused = sum(part.refused.total() for part in earned)
    return [
        f"Purchases  {sent:,} sent: {sum(part.accepted for part in earned):,} accepted,"
        f" {sum(part.replayed for part in earned):,} replayed, {refused:,} refused;"
        f" {nothing:,} earned nothing ({zero:,} of 0 cents, the others too small for a point)",
        f"Coupons    {redeemed.sent + report.coupons_not_member:,}: {redeemed.accepted:,} redeemed,"
        f" {redeemed.replayed:,} replayed, {redeemed.short:,} refused (too few points),"
        f" {redeemed.refused.total():,} refused otherwise, {report.coupons_not_member:,} not a member",
        f"Swaps      {swaps.made:,} made, {swaps.replayed:,} replayed, {swaps.too_few:,} below the minimum,"
        f" {swaps.refused.total():,} refused, {swaps.failed:,} failed; {swaps.bonuses:,} with a bonus",
        f"Members    {report.members:,} ({report.members_created:,} new),"
        f" {report.households_linked:,} households linked",
        f"Time       {times.whole_s:,.1f} s: setup {times.setup_s:,.1f}, replay {times.replay_s:,.1f},"
        f" posting {times.posting_s:,.1f}, swaps {times.swaps_s:,.1f}, audit {times.audit_s:,.1f}",
        f"Throughput {_rate(sent + redeemed.sent, times.replay_s)} purchases and coupons a second accepted,"
        f" {_rate(sent + redeemed.sent, times.replay_s + times.posting_s)} a second until final",
    ]


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f}" if seconds > 0 else "-"


def _show_verdict(report: Report, console: Console) -> None:
    if report.is_clean:
        accounts = sum(row.audited["accounts"] for row in report.rows)
        console.print(f"[bold green]OK[/] {accounts:,} accounts compared, 0 differences between ledger and chain")
        return
    console.print(f"[bold red]NOT OK[/] {'; '.join(report.faults) or 'the audit says: differences'}")
    shown = 0
    for row in report.rows:
        for difference in row.audited["differing"]:
            if shown == DIFFERING_SHOWN_MAX:
                return
            shown += 1
            console.print(
                f"  {row.audited['symbol']} {difference['account']}: ledger {difference['ledger']:,},"
                f" chain {difference['chain']:,}",
                highlight=False,
            )
