"""Programs: loyalty programs with their points currency, keys and token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from bridge.store import accounts, lanes, limits, pages, streams
from bridge.store.limits import Bounds
from bridge.store.schema import program
from exchange.earning import EarningRate
from exchange.errors import ProgramNotActive, SymbolTaken, UnknownProgram
from exchange.fx import PointValue
from exchange.points import MICRO_UNITS_MAX, MicroUnits

#: What a program may owe unless it is told otherwise, in micro-units.
CREDIT_LIMIT_MICRO = 10**12

#: What a program's points are redeemed for unless it is told otherwise.
MONEY = "USD"

DEPLOYING = "deploying"
ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Program:
    """A loyalty program. `token` is None until its contract stands on the chain.

    `standby` is the address that becomes the issuer when that one is retired; its key has an index and no lane.
    `currency` is what its points are called; `money` is the ISO 4217 code of what they are redeemed for at home, and
    `point_value_micro` what one is worth there, None where nobody said. `debt_limit` is what one member may owe once
    points are taken back that are spent already (0: such a reversal is refused); `notice_days` says how many days ahead
    members are told of what expires.
    """

    id: str
    name: str
    symbol: str
    currency: str
    earning_rate: EarningRate
    expiry_days: int | None
    issuer_lane_id: int
    admin_lane_id: int
    guardian_lane_id: int
    standby_key_index: int | None
    standby: bytes | None
    transferable: bool
    credit_limit_micro: int
    money: str
    point_value_micro: int | None
    token: bytes | None
    state: str
    created_ms: int
    debt_limit: int
    notice_days: list[int]

    @property
    def point_value(self) -> PointValue | None:
        """What one point is worth at home, if anybody said."""
        return None if self.point_value_micro is None else PointValue(MicroUnits(self.point_value_micro), self.money)

    @property
    def deployed_token(self) -> bytes:
        """The token's address. Raises ProgramNotActive before the exchange admitted the program."""
        if self.token is None or self.state != ACTIVE:
            raise ProgramNotActive(
                f"program {self.symbol} is {self.state}: its token is not yet admitted on the chain",
                field="program_id",
            )
        return self.token


@dataclass(frozen=True, slots=True)
class NewProgram:
    """What a new program is to be."""

    id: str
    name: str
    symbol: str
    currency: str
    earning_rate: EarningRate
    expiry_days: int | None
    limits: Mapping[str, Bounds] = field(default_factory=lambda: limits.DEFAULTS)
    transferable: bool = False
    credit_limit_micro: int = CREDIT_LIMIT_MICRO
    money: str = MONEY
    point_value_micro: int | None = None
    debt_limit: int = 0
    notice_days: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ProgramLanes:
    """Who signs for a program, and the key that stands by to become its issuer, None where none does."""

    issuer: int
    admin: int
    guardian: int
    standby_key_index: int | None
    standby: bytes | None


def of_fields(fields: dict[str, Any]) -> Program:
    """The program in these columns of its table."""
    rate = EarningRate(points=fields.pop("earn_points"), per_minor_units=fields.pop("earn_per_minor_units"))
    return Program(earning_rate=rate, **fields)


def _program(row: Any) -> Program:
    return of_fields(dict(row._mapping))


def by_id(connection: sa.Connection, program_id: str) -> Program:
    """The program with this id. Raises UnknownProgram."""
    row = connection.execute(sa.select(program).where(program.c.id == program_id)).one_or_none()
    if row is None:
        raise UnknownProgram(f"there is no program {program_id}", field="program_id")
    return _program(row)


def by_token(connection: sa.Connection, token: bytes) -> Program | None:
    """The program whose token stands at this address, or None."""
    row = connection.execute(sa.select(program).where(program.c.token == token)).one_or_none()
    return None if row is None else _program(row)


def all_programs(connection: sa.Connection) -> list[Program]:
    """Every program, oldest first."""
    return [_program(row) for row in connection.execute(sa.select(program).order_by(program.c.id))]


def page(connection: sa.Connection, ask: pages.Ask) -> pages.Page[Program]:
    """Programs, oldest first."""
    return pages.read(connection, sa.select(program), program.c.id, ask, _program)


def add(connection: sa.Connection, new: NewProgram, signers: ProgramLanes, now_ms: int) -> Program:
    """Enter a new program in state `deploying`, with its limits, system accounts and stream. Raises SymbolTaken."""
    taken = connection.execute(sa.select(program.c.id).where(program.c.symbol == new.symbol)).one_or_none()
    if taken is not None:
        raise SymbolTaken(f"symbol {new.symbol} belongs to program {taken.id}", field="symbol")
    connection.execute(
        program.insert().values(
            id=new.id,
            name=new.name,
            symbol=new.symbol,
            currency=new.currency,
            earn_points=new.earning_rate.points,
            earn_per_minor_units=new.earning_rate.per_minor_units,
            expiry_days=new.expiry_days,
            issuer_lane_id=signers.issuer,
            admin_lane_id=signers.admin,
            guardian_lane_id=signers.guardian,
            standby_key_index=signers.standby_key_index,
            standby=signers.standby,
            transferable=new.transferable,
            credit_limit_micro=new.credit_limit_micro,
            money=new.money,
            point_value_micro=new.point_value_micro,
            state=DEPLOYING,
            created_ms=now_ms,
            debt_limit=new.debt_limit,
            notice_days=list(new.notice_days),
        )
    )
    accounts.add_system_accounts(connection, new.id)
    streams.add(connection, key=new.id, kind=streams.PROGRAM, lane_id=signers.issuer)
    limits.add(connection, new.id, new.limits)
    return by_id(connection, new.id)


def deployed(connection: sa.Connection, program_id: str, token: bytes) -> None:
    """The program's token contract was created at this address."""
    connection.execute(program.update().where(program.c.id == program_id).values(token=token))


def admitted(connection: sa.Connection, program_id: str) -> None:
    """The exchange admitted the program: its points can move."""
    connection.execute(program.update().where(program.c.id == program_id).values(state=ACTIVE))


def worth_at_home(connection: sa.Connection, program_id: str, money: str, point_value_micro: int | None) -> Program:
    """The program said what one of its points is redeemed for; None: it does not say. Raises UnknownProgram."""
    changed = program.update().where(program.c.id == program_id)
    connection.execute(changed.values(money=money, point_value_micro=point_value_micro))
    return by_id(connection, program_id)


def tell_ahead(connection: sa.Connection, program_id: str, notice_days: Sequence[int]) -> Program:
    """How many days ahead a program's members are told of what expires. Raises UnknownProgram."""
    connection.execute(program.update().where(program.c.id == program_id).values(notice_days=list(notice_days)))
    return by_id(connection, program_id)


def may_be_owed(connection: sa.Connection, program_id: str, debt_limit: int) -> Program:
    """The program said what one of its members may owe it, in points. Raises UnknownProgram."""
    connection.execute(program.update().where(program.c.id == program_id).values(debt_limit=debt_limit))
    return by_id(connection, program_id)


def may_owe(connection: sa.Connection, program_id: str, credit_limit_micro: int) -> None:
    """The exchange said what the program may owe; more than can be counted here counts as the most that can."""
    most = min(credit_limit_micro, MICRO_UNITS_MAX)
    connection.execute(program.update().where(program.c.id == program_id).values(credit_limit_micro=most))


def signers(connection: sa.Connection, found: Program) -> tuple[lanes.Lane, lanes.Lane, lanes.Lane]:
    """The lanes of the program's issuer, admin and guardian."""
    issuer, admin, guardian = (
        lanes.by_id(connection, lane_id)
        for lane_id in (found.issuer_lane_id, found.admin_lane_id, found.guardian_lane_id)
    )
    return issuer, admin, guardian
