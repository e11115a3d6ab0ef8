"""Programs and their API keys."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic import AfterValidator, Field, StrictBool

from bridge.api.access import Operator, Reader, TermsKeeper
from bridge.api.context import Service, TheService
from bridge.api.shapes import Answer, Body, PageAsk, Whole, hex_of, hexadecimal, problem_answers, time_of
from bridge.store import keys, lanes, limits, programs
from bridge.store.ids import new_id
from bridge.store.limits import Bounds
from bridge.store.programs import NewProgram, Program
from exchange.earning import EarningRate
from exchange.errors import Forbidden, Invalid, InvalidRatio, TooBusy
from exchange.notices import LEAD_DAYS_MAX, LEADS_MAX
from exchange.points import MICRO_UNITS_MAX, POINTS_MAX, Points
from exchange.terms import PRICE_MAX

NAME_LENGTH_MAX = 64
CURRENCY_LENGTH_MAX = 32
SYMBOL_PATTERN = r"^[A-Z][A-Z0-9]{1,10}$"
EXPIRY_DAYS_MAX = 36_500

#: How often keys are chosen for a program while other processes take the same ones.
KEYS_CHOSEN_MAX = 10

router = APIRouter(prefix="/v1", tags=["programs"])


def _default(name: str) -> Any:
    return Field(default_factory=lambda: LimitBody(**asdict(limits.DEFAULTS[name])))


class UnknownScope(Invalid):
    """Raised when a key is asked for with a scope that does not exist or that a program's key cannot have."""

    type = "unknown-scope"


class Rate(Body):
    """So many points for every full `per_minor_units` of money spent."""

    points: Whole
    per_minor_units: Whole


class LimitBody(Body):
    """A limit of posting: so many points at once (`capacity`), so many come back each second."""

    capacity: Annotated[Whole, Field(ge=0, le=POINTS_MAX)]
    refill_per_second: Annotated[Whole, Field(ge=0, le=POINTS_MAX)]


class LimitsBody(Body):
    """Limits of posting: all credits; all debits; releases to wallets. What is left out has its default."""

    issuance: LimitBody = _default(limits.ISSUANCE)
    redemption: LimitBody = _default(limits.REDEMPTION)
    release: LimitBody = _default(limits.RELEASE)

    def bounds(self) -> dict[str, Bounds]:
        """The limits by name."""
        return {name: Bounds(**getattr(self, name).model_dump()) for name in limits.NAMES}


Money = Annotated[
    str, Field(pattern="^[A-Z]{3}$", description="ISO 4217 code of what its points are redeemed for at home")
]
PointValueMicro = Annotated[
    Whole,
    Field(ge=1, le=PRICE_MAX, description="what one point is worth at home, in micro-units of `money`; null: unknown"),
]


class ValueBody(Body):
    """What one point is worth when it is redeemed at home."""

    money: Money
    point_value_micro: PointValueMicro | None


def _distinct(leads: list[int]) -> list[int]:
    if len(set(leads)) != len(leads):
        raise ValueError("each number of days stands once")
    return sorted(leads, reverse=True)


NoticeDays = Annotated[
    list[Annotated[Whole, Field(ge=1, le=LEAD_DAYS_MAX)]],
    Field(max_length=LEADS_MAX, description="how many days ahead members are told of what expires, such as [30, 7]"),
    AfterValidator(_distinct),
]


class NoticesBody(Body):
    """How many days ahead members are told of what expires."""

    notice_days: NoticeDays


DebtLimit = Annotated[
    Whole,
    Field(
        ge=0,
        le=POINTS_MAX,
        description="points that one member may owe once an earn is reversed that is spent already; 0: none",
    ),
]


class DebtLimitBody(Body):
    """What members may owe."""

    points: DebtLimit


class ProgramBody(Body):
    """A new program."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX)]
    symbol: Annotated[str, Field(pattern=SYMBOL_PATTERN, description="2 to 11 capitals and digits")]
    currency: Annotated[
        str, Field(min_length=1, max_length=CURRENCY_LENGTH_MAX, description="what its points are called")
    ]
    earning_rate: Rate
    expiry_days: Annotated[Whole, Field(ge=1, le=EXPIRY_DAYS_MAX)] | None = None
    limits: LimitsBody = LimitsBody()
    transferable: Annotated[
        StrictBool, Field(description="whether holders may transfer points to wallets of other members; for ever")
    ] = False
    credit_limit_micro: Annotated[
        Whole, Field(ge=0, le=MICRO_UNITS_MAX, description="what it may come to owe by swaps, in micro-units")
    ] = programs.CREDIT_LIMIT_MICRO
    money: Money = programs.MONEY
    point_value_micro: PointValueMicro | None = None
    debt_limit: DebtLimit = 0
    notice_days: NoticeDays = Field(default_factory=list)


class ProgramAnswer(Answer):
    """A program and its token."""

    id: str
    name: str
    symbol: str
    currency: str
    earning_rate: Rate
    expiry_days: int | None
    state: str
    token: str | None
    issuer: str
    standby_issuer: str | None
    guardian: str
    admin: str
    transferable: bool
    limits: LimitsBody
    credit_limit_micro: int
    money: str
    point_value_micro: int | None
    debt_limit: int
    notice_days: list[int]
    created_at: str


class ProgramPage(Answer):
    """One page of programs."""

    items: list[ProgramAnswer]
    next: str | None
    previous: str | None


class KeyBody(Body):
    """A new API key."""

    scopes: Annotated[list[str], Field(min_length=1, max_length=len(keys.SCOPES_OF_PROGRAMS))]
    person: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=keys.PERSON_LENGTH_MAX,
                description="who holds it; needed to propose or approve",
            ),
        ]
        | None
    ) = None


class KeyAnswer(Answer):
    """A new API key, whose text is shown this once."""

    id: str
    key: str
    scopes: list[str]
    program_id: str | None
    person: str | None


@router.post("/programs", status_code=202, responses=problem_answers(401, 403, 409, 422, 503))
async def create(body: ProgramBody, service: TheService, _: Operator) -> ProgramAnswer:
    """Create a program: its token is deployed and admitted, after which the program is active."""
    try:
        rate = EarningRate(Points(body.earning_rate.points), body.earning_rate.per_minor_units)
    except InvalidRatio as refusal:
        refusal.field = f"earning_rate.{refusal.field}"
        raise
    new = NewProgram(
        new_id("program"),
        body.name,
        body.symbol,
        body.currency,
        rate,
        body.expiry_days,
        limits=body.limits.bounds(),
        transferable=body.transferable,
        credit_limit_micro=body.credit_limit_micro,
        money=body.money,
        point_value_micro=body.point_value_micro,
        debt_limit=body.debt_limit,
        notice_days=body.notice_days,
    )
    async with service.creating_program:
        for _tried in range(KEYS_CHOSEN_MAX):
            made = await _create(service, new)
            if made is not None:
                return _answer(service, made)
    raise TooBusy("other processes create programs as well; try again shortly", limit=KEYS_CHOSEN_MAX)


async def _create(service: Service, new: NewProgram) -> Program | None:
    """Create the program with the next keys; None where another process took them meanwhile."""
    first = service.read(lanes.next_key_index)
    # The node is asked in a thread: a silent one must not stop everybody else's requests.
    chosen = await asyncio.to_thread(service.set_up.program_keys, first)

    def create(connection: sa.Connection) -> Program | None:
        if lanes.next_key_index(connection) != first:
            return None
        return service.set_up.create_program(connection, new, chosen, service.clock())

    return await service.write(create)


@router.get("/programs", responses=problem_answers(401, 403))
def list_all(service: TheService, _: Reader, ask: PageAsk) -> ProgramPage:
    """Programs, oldest first. Every key sees all: partners need to find one another."""
    page = service.read(lambda connection: programs.page(connection, ask))
    return ProgramPage(items=[_answer(service, one) for one in page.items], next=page.next, previous=page.previous)


@router.get("/programs/{program_id}", responses=problem_answers(401, 403, 404))
def show(program_id: str, service: TheService, _: Reader) -> ProgramAnswer:
    """One program."""
    return _answer(service, service.read(lambda connection: programs.by_id(connection, program_id)))


@router.put("/programs/{program_id}/value", responses=problem_answers(401, 403, 404, 422))
async def set_value(program_id: str, body: ValueBody, service: TheService, caller: TermsKeeper) -> ProgramAnswer:
    """Say what one point is worth when it is redeemed at home; firm quotes keep what they said."""
    if caller.program_id not in (None, program_id):
        raise Forbidden("only the program itself, or an operator, says what its points are worth", field="program_id")
    made = await service.write(
        lambda connection: programs.worth_at_home(connection, program_id, body.money, body.point_value_micro)
    )
    return _answer(service, made)


@router.put("/programs/{program_id}/notices", responses=problem_answers(401, 403, 404, 422))
async def set_notices(program_id: str, body: NoticesBody, service: TheService, caller: TermsKeeper) -> ProgramAnswer:
    """Say how many days ahead members are told of what expires; none: they are not told."""
    if caller.program_id not in (None, program_id):
        raise Forbidden("only the program itself, or an operator, says what its members are told", field="program_id")
    made = await service.write(lambda connection: programs.tell_ahead(connection, program_id, body.notice_days))
    return _answer(service, made)


@router.put("/programs/{program_id}/debt-limit", responses=problem_answers(401, 403, 404, 422))
async def set_debt_limit(
    program_id: str, body: DebtLimitBody, service: TheService, caller: TermsKeeper
) -> ProgramAnswer:
    """Say what one member may owe from now on; what is owed already stays owed."""
    if caller.program_id not in (None, program_id):
        raise Forbidden("only the program itself, or an operator, says what its members may owe", field="program_id")
    made = await service.write(lambda connection: programs.may_be_owed(connection, program_id, body.points))
    return _answer(service, made)


@router.post("/programs/{program_id}/keys", status_code=201, responses=problem_answers(401, 403, 404, 409, 422))
async def create_key(program_id: str, body: KeyBody, service: TheService, _: Operator) -> KeyAnswer:
    """A key for a program. Two live keys may have the same scopes, so that one can be replaced without a gap.

    What one person proposes and another approves (`adjust`, `approve`) wants to know who holds the key.
    """
    for place, scope in enumerate(body.scopes):
        if scope not in keys.SCOPES_OF_PROGRAMS:
            allowed = ", ".join(keys.SCOPES_OF_PROGRAMS)
            raise UnknownScope(
                f"{scope!r} is no scope of a program's key; choose from {allowed}", field=f"scopes.{place}"
            )
    service.read(lambda connection: programs.by_id(connection, program_id))
    made, text = await service.write(
        lambda connection: keys.create(
            connection,
            program_id=program_id,
            scopes=set(body.scopes),
            now_ms=service.clock(),
            person=body.person,
        )
    )
    return KeyAnswer(id=made.id, key=text, scopes=sorted(made.scopes), program_id=made.program_id, person=made.person)


@router.delete("/keys/{key_id}", status_code=204, responses=problem_answers(401, 403, 404))
async def revoke_key(key_id: str, service: TheService, caller: Operator) -> None:
    """End a key at once."""
    if key_id == caller.id:
        raise Forbidden("a key cannot revoke itself: use the one that replaces it", field="key_id")
    await service.write(lambda connection: keys.revoke(connection, key_id, service.clock()))
    service.known_keys.forget()


def _answer(service: Service, one: Program) -> ProgramAnswer:
    with service.database.read() as connection:
        issuer, admin, guardian = programs.signers(connection, one)
        bounds = limits.of_program(connection, one.id)
    return ProgramAnswer(
        id=one.id,
        name=one.name,
        symbol=one.symbol,
        currency=one.currency,
        earning_rate=Rate(points=one.earning_rate.points, per_minor_units=one.earning_rate.per_minor_units),
        expiry_days=one.expiry_days,
        state=one.state,
        token=hexadecimal(one.token),
        issuer=hex_of(issuer.address),
        standby_issuer=hexadecimal(one.standby),
        guardian=hex_of(guardian.address),
        admin=hex_of(admin.address),
        transferable=one.transferable,
        limits=LimitsBody(**{name: LimitBody(**asdict(each)) for name, each in bounds.items()}),
        credit_limit_micro=one.credit_limit_micro,
        money=one.money,
        point_value_micro=one.point_value_micro,
        debt_limit=one.debt_limit,
        notice_days=one.notice_days,
        created_at=time_of(one.created_ms),
    )
