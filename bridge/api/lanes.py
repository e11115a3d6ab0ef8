"""Lanes: how each signing account stands, and what keeps its transactions from being mined."""

from fastapi import APIRouter

from bridge.api.access import Operator
from bridge.api.context import TheService
from bridge.api.shapes import Answer, hex_of, problem_answers, time_of
from bridge.store import lanes, leases
from bridge.store.lanes import LaneStatus, Oldest, Trouble, TroubleType
from bridge.store.leases import Held

router = APIRouter(prefix="/v1/lanes", tags=["health"])


class OldestAnswer(Answer):
    """The first nonce of a lane that is in no block: how long, how often it was signed, what it offers in wei."""

    nonce: int
    batch_id: str
    since: str
    attempts: int
    max_fee_wei: int
    tip_wei: int


class TroubleAnswer(Answer):
    """What keeps a lane from going on, or soon will; the type has a page in the runbook."""

    type: TroubleType
    text: str
    since: str


class LaneLeader(Answer):
    """The process that posts on a lane, since when."""

    process: str
    since: str


class LaneAnswer(Answer):
    """One signing account and its nonces; `leader` is null while no process posts on it."""

    role: str
    address: str
    next_nonce: int
    unmined: int
    oldest: OldestAnswer | None
    trouble: TroubleAnswer | None
    leader: LaneLeader | None


class LanesAnswer(Answer):
    """All signing accounts, the oldest first."""

    items: list[LaneAnswer]


@router.get("", responses=problem_answers(401, 403))
def show(service: TheService, _: Operator) -> LanesAnswer:
    """How every signing account stands."""
    with service.database.read() as connection:
        held = service.posting.leadership.leaders(connection).held
        return LanesAnswer(items=[_lane(one, held.get(leases.of_lane(one.id))) for one in lanes.status(connection)])


def _lane(one: LaneStatus, held: Held | None) -> LaneAnswer:
    return LaneAnswer(
        role=one.role,
        address=hex_of(one.address),
        next_nonce=one.next_nonce,
        unmined=one.unmined,
        oldest=None if one.oldest is None else _oldest(one.oldest),
        trouble=None if one.trouble is None else _trouble(one.trouble),
        leader=None if held is None else LaneLeader(process=str(held.holder), since=time_of(held.since_ms)),
    )


def _oldest(one: Oldest) -> OldestAnswer:
    return OldestAnswer(
        nonce=one.nonce,
        batch_id=one.batch_id,
        since=time_of(one.since_ms),
        attempts=one.attempts,
        max_fee_wei=one.max_fee_wei,
        tip_wei=one.tip_wei,
    )


def _trouble(one: Trouble) -> TroubleAnswer:
    return TroubleAnswer(type=one.type, text=one.text, since=time_of(one.since_ms))
