"""Audit: the ledger held against the chain, on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from fastapi import APIRouter

from bridge.api.access import Operator, Reader
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, hex_of, hexadecimal, problem_answers, time_of
from bridge.posting.reconciler import DIFFERING_NAMED_MAX, ProgramVerdict, Report
from exchange.errors import TooBusy

router = APIRouter(prefix="/v1/audit", tags=["audit"])


class BlockAnswer(Answer):
    """A block."""

    number: int
    hash: str


class DifferenceAnswer(Answer):
    """One account about which ledger and chain disagree."""

    account: str
    reference: str | None
    ledger: int
    chain: int


class PositionAnswer(Answer):
    """A position in micro-units, by the ledger and by the chain."""

    ledger: int
    chain: int


class AuditedProgram(Answer):
    """One program's books beside the chain's."""

    program_id: str
    name: str
    symbol: str
    currency: str
    token: str
    events: int
    redemptions: int
    swaps_out: int
    points_earned: int
    points_redeemed: int
    swapped_in: int
    swapped_out: int
    supply: int
    ledger: int
    points_expired: int
    points_to_come: int
    points_held: int
    owed: int
    accounts: int
    frozen_accounts: int
    differences: int
    differing: list[DifferenceAnswer]
    position_micro: PositionAnswer
    batches: int
    items: int
    gas_used: int


class AuditedPath(Answer):
    """What the swaps along one path cost; the path is given as symbols."""

    path: list[str]
    batches: int
    items: int
    gas_used: int


class AuditAnswer(Answer):
    """The verdict at one final block."""

    verdict: Literal["ok", "differences"]
    block: BlockAnswer
    checked_at: str
    duration_ms: int
    programs: list[AuditedProgram]
    settlements: list[AuditedPath]
    positions_sum: int
    differences: int


@router.get("", responses=problem_answers(401, 403, 503))
def audit(service: TheService, caller: Reader) -> AuditAnswer:
    """Compare supply, every balance and every position now. A program sees its own row and nothing else."""
    return _answer(audited(service, program_id=caller.program_id), whole=caller.program_id is None)


@router.post("", responses=problem_answers(401, 403, 503))
def reconcile(service: TheService, _: Operator) -> AuditAnswer:
    """Compare everything now, as the service does by itself: a difference trips the breaker."""
    with _alone(service):
        return _answer(service.reconciler.reconcile(), whole=True)


def audited(service: Service, *, program_id: str | None = None) -> Report:
    """Everything, or one program, compared now. Raises TooBusy, NothingToAudit, ChainError."""
    with _alone(service):
        return service.reconciler.audit(program_id=program_id)


@contextmanager
def _alone(service: Service) -> Iterator[None]:
    if not service.auditing.acquire(blocking=False):
        raise TooBusy("another audit is under way; ask again when it is done", limit=1)
    try:
        yield
    finally:
        service.auditing.release()


def _answer(report: Report, *, whole: bool) -> AuditAnswer:
    symbols = {one.books.program.id: one.books.program.symbol for one in report.programs}
    differences = report.differences if whole else sum(one.differences for one in report.programs)
    return AuditAnswer(
        verdict="ok" if differences == 0 else "differences",
        block=BlockAnswer(number=report.block.number, hash=hex_of(report.block.hash)),
        checked_at=time_of(report.checked_ms),
        duration_ms=report.duration_ms,
        programs=[_program(one) for one in report.programs],
        settlements=[
            AuditedPath(
                path=[symbols[program_id] for program_id in one.path],
                batches=one.flow.batches,
                items=one.flow.items,
                gas_used=one.flow.gas_used,
            )
            for one in report.settlements
            if all(program_id in symbols for program_id in one.path)
        ],
        positions_sum=report.positions_sum,
        differences=differences,
    )


def _program(one: ProgramVerdict) -> AuditedProgram:
    books = one.books
    assert books.program.token is not None
    return AuditedProgram(
        program_id=books.program.id,
        name=books.program.name,
        symbol=books.program.symbol,
        currency=books.program.currency,
        token=hex_of(books.program.token),
        events=books.operations.get("earn", 0),
        redemptions=books.operations.get("redemption", 0),
        swaps_out=books.operations.get("swap", 0),
        points_earned=books.issued,
        points_redeemed=books.redeemed,
        swapped_in=books.swapped_in,
        swapped_out=books.swapped_out,
        supply=one.supply,
        ledger=books.ledger,
        points_expired=books.expired,
        points_to_come=books.to_come,
        points_held=books.held,
        owed=books.owed,
        accounts=len(books.accounts),
        frozen_accounts=books.refused_by_chain,
        differences=one.differences,
        differing=[
            DifferenceAnswer(
                account=hex_of(each.account.address),
                reference=hexadecimal(each.account.reference),
                ledger=each.account.posted,
                chain=each.chain,
            )
            for each in one.differing[:DIFFERING_NAMED_MAX]
        ],
        position_micro=PositionAnswer(ledger=books.position_micro, chain=one.position_micro),
        batches=books.flow.batches,
        items=books.flow.items,
        gas_used=books.flow.gas_used,
    )
