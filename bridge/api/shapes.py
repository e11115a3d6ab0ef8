"""Shapes that several resources share: strict bodies, times, bytes, pages, idempotency, waiting."""

import datetime
import re
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StrictInt, model_validator

from bridge.store import pages
from bridge.store.texts import NO_NUL, UnfitText
from exchange.errors import IdempotencyKeyMissing, Malformed

IDEMPOTENCY_KEY_LENGTH_MAX = 255
#: How long `Prefer: wait` may hold an answer.
WAIT_S_MAX = 30


class InvalidHeader(Malformed):
    """Raised when a request's header says something that cannot be understood."""

    type = "invalid-header"


class Body(BaseModel):
    """A request's body: unknown fields are refused, and the character NUL in every text."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_nul(cls, given: object) -> object:
        # Before all else, so that no field of whatever type lets one through. It stops the reading at once.
        if isinstance(given, dict):
            for name, value in given.items():
                if _has_nul(value):
                    raise UnfitText(NO_NUL, field=name if name in cls.model_fields else None)
        return given


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_has_nul, value)) or any(map(_has_nul, value.values()))
    return isinstance(value, list) and any(map(_has_nul, value))


class Answer(BaseModel):
    """A response's body."""


class RatioShape(Body):
    """`from_units` source points become `to_units` destination points."""

    from_units: StrictInt
    to_units: StrictInt


#: A whole number that is written as one: neither 1.0 nor "1" nor true.
Whole = StrictInt


def rfc3339(ms: int | None) -> str | None:
    """Milliseconds as a time in UTC, such as 2026-11-21T21:00:00.123Z."""
    if ms is None:
        return None
    seconds, millis = divmod(ms, 1000)
    moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{millis:03d}Z"


def time_of(ms: int) -> str:
    """Like rfc3339, of a time that is there."""
    text = rfc3339(ms)
    assert text is not None
    return text


def milliseconds(moment: datetime.datetime | None) -> int | None:
    """A time, such as a `Moment`, as milliseconds."""
    if moment is None:
        return None
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(milliseconds=1)


def _text_of_time(value: object) -> object:
    # Left alone, pydantic would also take numbers, and guess whether they are seconds or milliseconds.
    if not isinstance(value, str) or not _DATE_TIME.match(value):
        raise ValueError("a time is written like 2026-11-21T21:00:00Z")
    return value


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=datetime.UTC)
    try:
        return moment.astimezone(datetime.UTC)
    except OverflowError:
        raise ValueError("a time is in the years 1 to 9999 in UTC") from None


_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}")

#: A time in RFC 3339; one without an offset is read as UTC.
Moment = Annotated[datetime.datetime, BeforeValidator(_text_of_time), AfterValidator(_in_utc)]


def whole_number(text: str, most: int) -> int | None:
    """The number from 0 to `most` that a header says in plain digits; None where it says something else."""
    # The length comes first: Python refuses to read a number of thousands of digits.
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return None
    return int(text) if int(text) <= most else None


def hexadecimal(value: bytes | None) -> str | None:
    """Bytes as 0x…, None as None."""
    return None if value is None else f"0x{value.hex()}"


def hex_of(value: bytes) -> str:
    """Bytes as 0x…"""
    return f"0x{value.hex()}"


async def _ask(
    limit: Annotated[int, Query(ge=1, le=pages.PAGE_ITEMS_MAX)] = pages.PAGE_ITEMS_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> pages.Ask:
    return pages.Ask(limit, cursor)


PageAsk = Annotated[pages.Ask, Depends(_ask)]


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(description="names this request for ever, within the program")
    ] = None,
) -> str:
    if not idempotency_key:
        raise IdempotencyKeyMissing(
            "send an Idempotency-Key header of 1 to 255 characters, so that a repeat of this request changes nothing",
            field="Idempotency-Key",
        )
    if len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise InvalidHeader(
            f"an idempotency key has at most {IDEMPOTENCY_KEY_LENGTH_MAX} characters, this one {len(idempotency_key)}",
            field="Idempotency-Key",
            limit=IDEMPOTENCY_KEY_LENGTH_MAX,
        )
    return idempotency_key


IdempotencyKey = Annotated[str, Depends(_idempotency_key)]


async def _wait_s(
    prefer: Annotated[
        str | None, Header(description=f"wait=SECONDS, at most {WAIT_S_MAX}, for the final answer")
    ] = None,
) -> int:
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name == "wait":
            if whole_number(value, WAIT_S_MAX) is None:
                raise InvalidHeader(
                    f"Prefer: wait takes 0 to {WAIT_S_MAX} whole seconds",
                    field="Prefer",
                    limit=WAIT_S_MAX,
                    nearest=WAIT_S_MAX,
                )
            return int(value)
    return 0


WaitSeconds = Annotated[int, Depends(_wait_s)]


#: A refusal, in the words of the OpenAPI document.
REFUSED: dict[str, Any] = {
    "description": "refused",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How the refusals of a route that asks for a key are described in the OpenAPI document."""
    return dict.fromkeys(sorted({401, 429, *statuses}), REFUSED)
