"""Powers of a program over its token: what it says now; pausing, unpausing, and changing limits."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Literal

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import model_validator

from bridge.api.access import PowersKeeper, Reader
from bridge.api.context import TheService
from bridge.api.programs import LimitBody
from bridge.api.shapes import Answer, Body, hex_of, hexadecimal, problem_answers, rfc3339, time_of
from bridge.chain.contracts import LimitNow
from bridge.posting import powers as posting
from bridge.store import batches, chainstate, limits, powers, programs
from bridge.store.batches import Batch
from bridge.store.keys import ApiKey
from bridge.store.limits import Bounds
from exchange.errors import Forbidden

#: How many of a program's last calls are shown.
CALLS_SHOWN = 10

router = APIRouter(prefix="/v1/programs/{program_id}", tags=["programs"])

#: How far a call has come, by the state of the batch that carries it.
_STATES = {batches.FROZEN: "queued", batches.DISSOLVED: "given_up"}


class LimitsChange(Body):
    """Limits to be changed; what is left out stays as it is."""

    issuance: LimitBody | None = None
    redemption: LimitBody | None = None
    release: LimitBody | None = None

    @model_validator(mode="after")
    def _names_one(self) -> "LimitsChange":
        if not self.bounds():
            raise ValueError(f"name at least one of {', '.join(limits.NAMES)}")
        return self

    def bounds(self) -> dict[str, Bounds]:
        """The limits that are named."""
        given = ((name, getattr(self, name)) for name in limits.NAMES)
        return {name: Bounds(**one.model_dump()) for name, one in given if one is not None}


class CallAnswer(Answer):
    """A call of the program's guardian or admin. `ready_at`: from when it can be made; null: at once."""

    id: str
    call: Literal["pause", "unpause", "set-limit"]
    limit: Literal["issuance", "redemption", "release"] | None
    capacity: int | None
    refill_per_second: int | None
    ready_at: str | None
    state: Literal["queued", "submitted", "confirmed", "final", "given_up", "failed"]
    reason: str | None
    created_at: str


class CallsAnswer(Answer):
    """What was queued, or had been."""

    program_id: str
    calls: list[CallAnswer]


class LimitAnswer(Answer):
    """A limit, and the points that it lets through at the block."""

    capacity: int
    refill_per_second: int
    available: int


class LimitsAnswer(Answer):
    """Limits of posting."""

    issuance: LimitAnswer
    redemption: LimitAnswer
    release: LimitAnswer


class StandingAnswer(Answer):
    """What token and exchange say at the newest block, and the last calls that were asked for, the newest first."""

    program_id: str
    token: str
    block: int
    paused: bool
    issuer: str
    standby_issuer: str | None
    guardian: str
    admin: str
    limits: LimitsAnswer
    sequence: int
    position_micro: int
    credit_limit_micro: int
    calls: list[CallAnswer]


@router.get("/chain", responses=problem_answers(401, 403, 404, 409, 503))
def chain(program_id: str, service: TheService, caller: Reader) -> StandingAnswer:
    """What the program's token says now, whoever made it say so."""
    _require_own(caller, program_id)
    token, exchange = service.read(lambda connection: _contracts(connection, program_id))
    told = posting.look(service.rpc, token, exchange)
    last = service.read(lambda connection: powers.newest(connection, program_id, CALLS_SHOWN))
    return StandingAnswer(
        program_id=program_id,
        token=hex_of(token),
        block=told.block,
        paused=told.paused,
        issuer=hex_of(told.issuer),
        standby_issuer=hexadecimal(told.standby),
        guardian=hex_of(told.guardian),
        admin=hex_of(told.admin),
        limits=LimitsAnswer(**{name: _limit(one) for name, one in told.limits.items()}),
        sequence=told.sequence,
        position_micro=told.position_micro,
        credit_limit_micro=told.credit_limit_micro,
        calls=[_call(one) for one in last],
    )


@router.post("/pause", status_code=202, responses=problem_answers(401, 403, 404, 409))
async def pause(program_id: str, service: TheService, caller: PowersKeeper) -> CallsAnswer:
    """Stop the posting of the program, and swaps in managed accounts, at once. What is accepted waits."""
    _require_own(caller, program_id)
    made = await service.write(
        lambda connection: posting.pause(connection, program_id, service.clock()), while_recovering=True
    )
    return _answer(program_id, [made])


@router.post("/unpause", status_code=202, responses=problem_answers(401, 403, 404, 409))
async def unpause(program_id: str, service: TheService, caller: PowersKeeper) -> CallsAnswer:
    """Announce that posting goes on; it does when the program's delay is over."""
    _require_own(caller, program_id)
    made = await service.write(lambda connection: posting.unpause(connection, program_id, service.clock()))
    return _answer(program_id, [made])


@router.post("/limits", status_code=202, responses=problem_answers(401, 403, 404, 409, 422))
async def set_limits(program_id: str, body: LimitsChange, service: TheService, caller: PowersKeeper) -> CallsAnswer:
    """Change limits: at once where neither number grows, else announced, for when the program's delay is over."""
    _require_own(caller, program_id)
    made = await service.write(
        lambda connection: posting.set_limits(connection, program_id, body.bounds(), service.clock())
    )
    return _answer(program_id, made)


def _require_own(caller: ApiKey, program_id: str) -> None:
    if caller.program_id not in (None, program_id):
        raise Forbidden("only the program itself, or an operator, asks for this", field="program_id")


def _contracts(connection: sa.Connection, program_id: str) -> tuple[bytes, bytes]:
    token, deployment = programs.by_id(connection, program_id).deployed_token, chainstate.get(connection)
    assert deployment is not None and deployment.exchange is not None, "programs exist only after the exchange"
    return token, deployment.exchange


def _limit(told: LimitNow) -> LimitAnswer:
    return LimitAnswer(capacity=told.capacity, refill_per_second=told.refill, available=told.available)


def _answer(program_id: str, made: Sequence[Batch]) -> CallsAnswer:
    return CallsAnswer(program_id=program_id, calls=[_call(one) for one in made])


def _call(one: Batch) -> CallAnswer:
    name, bounds = posting.limit_of(one) or (None, None)
    numbers = {"capacity": None, "refill_per_second": None} if bounds is None else asdict(bounds)
    return CallAnswer.model_validate(
        {
            "id": one.id,
            "call": one.purpose,
            "limit": name,
            **numbers,
            "ready_at": rfc3339(one.due_ms),
            "state": _STATES.get(one.state, one.state),
            "reason": one.reason,
            "created_at": time_of(one.created_ms),
        }
    )
