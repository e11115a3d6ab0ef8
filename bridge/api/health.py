"""Health and status: is it alive, is it ready, how does it fare."""

import importlib.metadata
from itertools import groupby
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response

from bridge.api.access import Caller
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, hexadecimal, problem_answers, time_of
from bridge.chain.errors import ChainError
from bridge.posting import gatekeeper, keeper
from bridge.store import accounts, batches, blocks, breaker, chainstate, lanes, leases, members, operations, programs
from bridge.store.breaker import Alarm

#: Blocks that the ledger may be behind the chain and still be ready.
LAG_BLOCKS_MAX = 20
#: What a signer must have to go on posting, in wei: some hundred full batches at one gwei.
SIGNER_WEI_MIN = 10**16
#: Leases without a holder that readiness names.
UNLED_NAMED_MAX = 5

router = APIRouter(tags=["health"])


class Check(Answer):
    """One thing that readiness rests on."""

    name: str
    ok: bool
    detail: str


class Readiness(Answer):
    """Whether requests should come here."""

    ready: bool
    checks: list[Check]


class ChainStatus(Answer):
    """Where the chain and the ledger's picture of it stand."""

    chain_id: int
    url_kind: str
    url: str
    exchange: str | None
    head: int
    final: int
    indexed: int
    finality: str


class Breaker(Answer):
    """Why posting has stopped; the alarm has a page in the runbook."""

    alarm: Alarm
    reason: str
    since: str


class Reconciled(Answer):
    """How far ledger and chain were compared, and how many differences stand since everything was found equal."""

    block: int
    at: str
    differences: int


class PostingStatus(Answer):
    """What is still on its way to the chain."""

    accepted_waiting: int
    batches_in_flight: int
    batches_throttled: int
    oldest_waiting_s: float | None
    breaker: Breaker | None
    reconciled: Reconciled | None


class BarredDirection(Answer):
    """A direction that is not quoted, since points could gain on the way round: `detail` shows it."""

    from_program_id: str
    to_program_id: str
    detail: str


class MarketStatus(Answer):
    """How many directions are in force and quoted, and which are not."""

    directions: int
    barred: list[BarredDirection]


class RecoveryStatus(Answer):
    """The newest time that the ledger took in what it lacked: counts are told when it ended."""

    reason: str
    since: str
    ended: str | None
    batches: int | None
    matched: int | None
    restored: int | None
    orphans: int | None


class LeaderStatus(Answer):
    """One process that leads: whether it follows the chain and keeps times, on how many lanes it posts, since when."""

    process: str
    here: bool
    chain: bool
    keeper: bool
    lanes: int
    since: str


class Totals(Answer):
    """What the ledger holds."""

    operations: int
    members: int
    programs: int


class Status(Answer):
    """How the service fares."""

    version: str
    chain: ChainStatus
    posting: PostingStatus
    market: MarketStatus
    recovery: RecoveryStatus | None
    process: str
    leaders: list[LeaderStatus]
    totals: Totals


@router.get("/livez")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": Readiness}})
def ready(response: Response, service: TheService) -> Readiness:
    """Whether the service can do its work: writer, recovery, chain, leaders, follower, contracts, signers, breaker.

    Batches that wait for room under a limit are told too, and fail nothing: they go on by themselves.
    """
    checks = [
        _writer(service),
        _recovery(service),
        _chain(service),
        _leaders(service),
        _follower(service),
        _exchange(service),
        _signers(service),
        _breaker(service),
        _limits(service),
    ]
    all_ok = all(check.ok for check in checks)
    if not all_ok:
        response.status_code = 503
    return Readiness(ready=all_ok, checks=checks)


@router.get("/metrics", response_class=Response)
def metrics(service: TheService) -> Response:
    """For Prometheus."""
    return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _known(_: Caller) -> None:
    """Any key will do."""


@router.get("/v1/status", responses=problem_answers(401))
def status(service: TheService, _: Annotated[None, Depends(_known)]) -> Status:
    """Where chain, ledger and posting stand."""
    now_ms = service.clock()
    with service.database.read() as connection:
        tip, final = blocks.tip(connection), blocks.newest_final(connection)
        deployment = chainstate.get(connection)
        waiting = operations.waiting(connection)
        stopped = breaker.state(connection)
        totals = Totals(
            operations=operations.count(connection),
            members=members.count(connection),
            programs=len(programs.all_programs(connection)),
        )
        in_flight = batches.count_unmined(connection, now_ms)
        throttled = batches.count_throttled(connection)
        market = _market(service, connection, now_ms)
        recovered = chainstate.last_recovery(connection)
        leaders = _leading(service, connection)
    indexed = 0 if tip is None else tip.number
    compared, differing = service.reconciler.last, service.reconciler.differing
    return Status(
        version=importlib.metadata.version("sarraf"),
        chain=ChainStatus(
            chain_id=service.chain_id,
            url_kind="external" if service.embedded is None else "embedded",
            url=service.rpc.url if service.embedded is not None else "configured",
            exchange=hexadecimal(None if deployment is None else deployment.exchange),
            head=max(service.posting.head or 0, indexed),
            final=0 if final is None else final.number,
            indexed=indexed,
            finality=str(service.finality),
        ),
        posting=PostingStatus(
            accepted_waiting=waiting.count,
            batches_in_flight=in_flight,
            batches_throttled=throttled,
            oldest_waiting_s=None if waiting.oldest_ms is None else (now_ms - waiting.oldest_ms) / 1000,
            breaker=None
            if stopped is None
            else Breaker(alarm=stopped.alarm, reason=stopped.reason, since=time_of(stopped.since_ms)),
            reconciled=None
            if compared is None
            else Reconciled(
                block=compared.block.number,
                at=time_of(compared.checked_ms),
                differences=0 if differing is None else differing.differences,
            ),
        ),
        market=market,
        recovery=None if recovered is None else _recovered(recovered),
        process=service.posting.leadership.holder,
        leaders=leaders,
        totals=totals,
    )


def _leading(service: Service, connection: sa.Connection) -> list[LeaderStatus]:
    found = service.posting.leadership.leaders(connection).held.values()
    held = sorted((one for one in found if one is not None), key=lambda one: (str(one.holder), one.name))
    told = []
    for process, each in groupby(held, key=lambda one: str(one.holder)):
        since = {one.name: one.since_ms for one in each}
        told.append(
            LeaderStatus(
                process=process,
                here=process == service.posting.leadership.holder,
                chain=leases.CHAIN in since,
                keeper=leases.KEEPER in since,
                lanes=sum(leases.lane_of(name) is not None for name in since),
                since=time_of(min(since.values())),
            )
        )
    return told


def _recovered(one: chainstate.Recovery) -> RecoveryStatus:
    return RecoveryStatus(
        reason=one.reason,
        since=time_of(one.since_ms),
        ended=None if one.ended_ms is None else time_of(one.ended_ms),
        batches=one.batches,
        matched=one.matched,
        restored=one.restored,
        orphans=one.orphans,
    )


def _market(service: Service, connection: sa.Connection, now_ms: int) -> MarketStatus:
    barred = service.gatekeeper.barred(connection, now_ms)
    names = gatekeeper.names(connection) if barred else {}
    with service.market.open(connection, now_ms) as market:
        directions = len(market)
    return MarketStatus(
        directions=directions,
        barred=[
            BarredDirection(
                from_program_id=source,
                to_program_id=destination,
                detail=f"points could gain on the way round: {cycle.describe(names)}",
            )
            for (source, destination), cycle in barred.items()
        ],
    )


def gauges(service: Service) -> dict[str, float]:
    """The numbers behind the gauges of `/metrics`."""
    with service.database.read() as connection:
        tip, final = blocks.tip(connection), blocks.newest_final(connection)
        waiting = operations.waiting(connection).count
        in_flight = batches.count_unmined(connection, service.clock())
        throttled = batches.count_throttled(connection)
        tripped = breaker.is_tripped(connection)
        recovering = chainstate.recovery(connection) is not None
        troubled = len(lanes.troubles(connection))
        frozen = accounts.count_frozen(connection)
        leaders = service.posting.leadership.leaders(connection)
        behind_ms = keeper.behind_ms(connection, service.clock())
    indexed = 0 if tip is None else tip.number
    compared, differing = service.reconciler.last, service.reconciler.differing
    return {
        "sarraf_operations_waiting": waiting,
        "sarraf_batches_in_flight": in_flight,
        "sarraf_batches_throttled": throttled,
        "sarraf_writer_queue": service.writer.waiting,
        "sarraf_chain_head": max(service.posting.head or 0, indexed),
        "sarraf_chain_indexed": indexed,
        "sarraf_chain_final": 0 if final is None else final.number,
        "sarraf_breaker_tripped": int(tripped),
        "sarraf_recovering": int(recovering),
        "sarraf_lanes_in_trouble": troubled,
        "sarraf_accounts_frozen": frozen,
        "sarraf_keeper_behind_s": behind_ms // 1000,
        "sarraf_leases_held": len(service.posting.leadership.grants()),
        "sarraf_leases_unled": len(leaders.unled),
        "sarraf_writes_fenced": service.posting.leadership.fenced,
        "sarraf_reconciled_block": 0 if compared is None else compared.block.number,
        "sarraf_reconciled_differences": 0 if differing is None else differing.differences,
    }


def _writer(service: Service) -> Check:
    if not service.writer.running or service.bug.is_set():
        return Check(name="ledger", ok=False, detail="the writer stopped")
    trouble = service.writer.trouble
    return Check(name="ledger", ok=trouble is None, detail=trouble or "writes")


def _recovery(service: Service) -> Check:
    found = service.read(chainstate.recovery)
    if found is None:
        return Check(name="recovery", ok=True, detail="the ledger knows all that the chain had when it started")
    return Check(name="recovery", ok=False, detail=f"until block {found.until_block} is final: {found.reason}")


def _chain(service: Service) -> Check:
    if service.embedded is not None and not service.embedded.is_running:
        failure = service.embedded.failure
        detail = failure.detail if failure is not None else f"the embedded chain is {service.embedded.state.value}"
        return Check(name="chain", ok=False, detail=detail)
    try:
        head = service.rpc.head_number()
    except ChainError as trouble:
        return Check(name="chain", ok=False, detail=trouble.detail)
    return Check(name="chain", ok=True, detail=f"head {head}")


def _leaders(service: Service) -> Check:
    found = service.read(service.posting.leadership.leaders)
    if not found.unled:
        return Check(name="leaders", ok=True, detail="all is led")
    detail = f"nobody leads {', '.join(found.unled[:UNLED_NAMED_MAX])}: requests are accepted and wait"
    return Check(name="leaders", ok=not found.is_overdue, detail=detail)


def _follower(service: Service) -> Check:
    health = service.posting.health.follower
    if health.ended or health.trouble is not None:
        return Check(name="follower", ok=False, detail=health.trouble or "ended")
    tip = service.read(blocks.tip)
    indexed = 0 if tip is None else tip.number
    lag = (service.posting.head or indexed) - indexed
    detail = f"block {indexed}, {lag} behind" if lag >= 0 else f"block {indexed}; the node lacks the newest {-lag}"
    return Check(name="follower", ok=abs(lag) <= LAG_BLOCKS_MAX, detail=detail)


def _exchange(service: Service) -> Check:
    deployment = service.read(chainstate.get)
    address = None if deployment is None else deployment.exchange
    return Check(name="exchange", ok=address is not None, detail=hexadecimal(address) or "not on the chain yet")


def _signers(service: Service) -> Check:
    try:
        short = [one.role for one in service.read(lanes.all_lanes) if service.rpc.balance(one.address) < SIGNER_WEI_MIN]
    except ChainError as trouble:
        return Check(name="signers", ok=False, detail=trouble.detail)
    detail = "funded" if not short else f"nearly out of gas money: {', '.join(short)}"
    return Check(name="signers", ok=not short, detail=detail)


def _breaker(service: Service) -> Check:
    stopped = service.read(breaker.state)
    detail = "closed" if stopped is None else f"{stopped.alarm}: {stopped.reason}"
    return Check(name="breaker", ok=stopped is None, detail=detail)


def _limits(service: Service) -> Check:
    count = service.read(batches.count_throttled)
    return Check(name="limits", ok=True, detail=f"{count} batches wait for room" if count else "nothing waits for room")
