"""Errors as RFC 9457 problem documents: stable type, field, limit, nearest valid value, request id."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from bridge.forms.faults import faults_of
from exchange.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    SarrafError,
    Unauthenticated,
    Unavailable,
)

PROBLEM = "application/problem+json"
TYPE_PREFIX = "urn:sarraf:problem:"
RETRY_AFTER_S = 1

#: Which status each family of refusals has.
STATUS: tuple[tuple[type[SarrafError], int], ...] = (
    (Malformed, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 422),
    (Unavailable, 503),
)

_log = logging.getLogger(__name__)


class TooManyRequests(SarrafError):
    """Raised when a key asks more often than its limit; `retry_after_s` says when to come back."""

    type = "too-many-requests"

    def __init__(self, detail: str, *, limit: int, retry_after_s: int) -> None:
        super().__init__(detail, limit=limit)
        self.retry_after_s = retry_after_s


class BodyTooLarge(SarrafError):
    """Raised when a request's body is longer than the API takes."""

    type = "body-too-large"


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    limit: int | str | None = None
    nearest: int | str | None = None
    request_id: str | None = None


def status_of(refusal: SarrafError) -> int:
    """The HTTP status of a refusal."""
    if isinstance(refusal, TooManyRequests):
        return 429
    if isinstance(refusal, BodyTooLarge):
        return 413
    for family, status in STATUS:
        if isinstance(refusal, family):
            return status
    raise AssertionError(f"{type(refusal).__name__} belongs to no family")


def problem_of(refusal: SarrafError, request_id: str | None = None) -> Problem:
    """The document that tells of a refusal."""
    return _problem(
        refusal.type,
        status_of(refusal),
        refusal.detail,
        field=refusal.field,
        limit=refusal.limit,
        nearest=refusal.nearest,
        request_id=request_id,
    )


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem document."""
    app.add_exception_handler(SarrafError, _refused)
    app.add_exception_handler(RequestValidationError, _misshapen)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def _problem(slug: str, status: int, detail: str, **more: Any) -> Problem:
    return Problem(
        type=TYPE_PREFIX + slug,
        title=slug.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        **more,
    )


def _answer(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem.request_id = getattr(request.state, "request_id", None)
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        media_type=PROBLEM,
        headers=getattr(request.state, "rate_headers", {}) | dict(headers or {}),
    )


async def _refused(request: Request, refusal: Exception) -> JSONResponse:
    assert isinstance(refusal, SarrafError)
    headers: dict[str, str] = {}
    if isinstance(refusal, TooManyRequests):
        headers["Retry-After"] = str(refusal.retry_after_s)
    elif isinstance(refusal, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif isinstance(refusal, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(refusal, BodyTooLarge):
        headers["Connection"] = "close"
    return _answer(request, problem_of(refusal), headers)


async def _misshapen(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _answer(request, _problem("invalid-json", 400, "the body is not valid JSON"))
    context = first.get("ctx", {})
    if "detail" in context:  # a form that the rules of the exchange refuse
        return _answer(request, _fault(first))
    slug = {"extra_forbidden": "unknown-field", "missing": "missing-field"}.get(first["type"], "invalid-request")
    limit = next((context[name] for name in _LIMITS if name in context), None)
    nearest = limit if first["type"] in ("less_than_equal", "greater_than_equal") else None
    field = _field(first["loc"])
    detail = "this field is not known here" if slug == "unknown-field" else str(first["msg"])
    return _answer(request, _problem(slug, 422, f"{field}: {detail}", field=field, limit=limit, nearest=nearest))


def _fault(error: Any) -> Problem:
    # The first part of the place says where the form stood, as in _field.
    (fault,) = faults_of([error | {"loc": error["loc"][1:]}], BaseModel)
    return _problem(fault.type, 422, fault.detail, field=fault.field, limit=fault.limit, nearest=fault.nearest)


_LIMITS = ("le", "ge", "lt", "gt", "max_length", "min_length", "pattern")


def _field(location: Sequence[int | str]) -> str:
    # The first part says where it stood (body, query, path, header), the rest is the field.
    return ".".join(str(part) for part in location[1:]) or str(location[0])


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, SarrafError):  # raised while the body came in
        return await _refused(request, error.__cause__)
    if error.status_code == 400:  # numbers too long or arrays too deep for the parser
        return _answer(request, _problem("invalid-json", 400, "the body is no JSON that can be read here"))
    slug = {404: "no-such-route", 405: "method-not-allowed"}[error.status_code]
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return _answer(request, _problem(slug, error.status_code, detail), error.headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    # The server logs the traceback itself; the caller learns only where to find it.
    request_id = getattr(request.state, "request_id", "unknown")
    _log.error("request %s failed: %r", request_id, error)
    return _answer(
        request,
        _problem("internal-error", 500, "the service failed unexpectedly; quote the request id when you report it"),
        {"X-Request-ID": request_id},  # this answer does not pass through the envelope, which adds it to all others
    )
