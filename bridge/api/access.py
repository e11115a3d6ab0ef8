"""Who may do what: API keys, their scopes and their rate."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bridge.api.context import TheService
from bridge.store import keys
from bridge.store.keys import ApiKey
from exchange.errors import Forbidden, Unauthenticated

_bearer = HTTPBearer(auto_error=False, description="an API key: sarraf_<id>_<secret>")


async def _caller(
    service: TheService,
    request: Request,
    response: Response,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> ApiKey:
    if credentials is None:
        raise Unauthenticated("send an API key: Authorization: Bearer sarraf_<id>_<secret>")
    caller = service.known_keys.get(credentials.credentials)
    if caller is None:
        caller = service.read(lambda connection: keys.authenticate(connection, credentials.credentials))
        service.known_keys.remember(credentials.credentials, caller)
    per_second = service.limiter.per_second
    request.state.rate_headers = _rate_headers(per_second, left=0)  # for the refusal, if there is none left
    request.state.rate_headers = _rate_headers(per_second, left=service.limiter.take(caller.id))
    response.headers.update(request.state.rate_headers)
    return caller


def _rate_headers(per_second: int, *, left: int) -> dict[str, str]:
    return {"RateLimit-Policy": f'"key";q={per_second};w=1', "RateLimit": f'"key";r={left};t=1'}


Caller = Annotated[ApiKey, Depends(_caller)]


def require_scope(caller: ApiKey, *scopes: str) -> None:
    """Raises Forbidden where the key has none of these scopes."""
    if caller.scopes.isdisjoint(scopes):
        wanted = " or ".join(repr(one) for one in scopes)
        raise Forbidden(f"this key lacks the scope {wanted}; it has {', '.join(sorted(caller.scopes))}")


def _with_scope(*scopes: str) -> Callable[[ApiKey], Awaitable[ApiKey]]:
    async def check(caller: Caller) -> ApiKey:
        require_scope(caller, *scopes)
        return caller

    return check


def _key_of_program_with_scope(*scopes: str) -> Callable[[ApiKey], Awaitable[ApiKey]]:
    async def check(caller: Caller) -> ApiKey:
        if caller.program_id is None:
            raise Forbidden("this call is made by a program: use one of its keys, not an operator's")
        require_scope(caller, *scopes)
        return caller

    return check


def _program_with_scope(scope: str) -> Callable[[ApiKey], Awaitable[str]]:
    async def program_id(caller: Annotated[ApiKey, Depends(_key_of_program_with_scope(scope))]) -> str:
        assert caller.program_id is not None
        return caller.program_id

    return program_id


Operator = Annotated[ApiKey, Depends(_with_scope("operator"))]
Reader = Annotated[ApiKey, Depends(_with_scope("read"))]
TermsKeeper = Annotated[ApiKey, Depends(_with_scope("terms"))]
PowersKeeper = Annotated[ApiKey, Depends(_with_scope("powers"))]
#: The id of the program whose key asks, for calls that only a program makes.
EarningProgram = Annotated[str, Depends(_program_with_scope("earn"))]
RedeemingProgram = Annotated[str, Depends(_program_with_scope("redeem"))]
SwappingProgram = Annotated[str, Depends(_program_with_scope("swap"))]
EnrollingProgram = Annotated[str, Depends(_program_with_scope("members"))]
#: The key of a program that takes back what it did; which of the scopes it needs hangs on what that was.
ReversingKey = Annotated[ApiKey, Depends(_key_of_program_with_scope("earn", "redeem"))]
#: The key of a person of a program, for what one person proposes and another approves.
AdjustingKey = Annotated[ApiKey, Depends(_key_of_program_with_scope("adjust"))]
ApprovingKey = Annotated[ApiKey, Depends(_key_of_program_with_scope("approve"))]
