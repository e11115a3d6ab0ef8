"""Fields: what the fields of forms share, and how a refusal of the pure core is told by a form.

Leaves are strict: a whole number is written as one, neither 1.0 nor "1" nor true. Lists and words of a fixed set are
read as JSON has them.
"""

from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from bridge.forms import spelling
from bridge.forms.spelling import Money
from exchange.errors import SarrafError
from exchange.ratio import Ratio

T = TypeVar("T")


class Part(BaseModel):
    """A part of a form: unknown fields are refused, and so is what `exchange` refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def core(self) -> object:
        """What `exchange` makes of this part. Raises its refusals."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _stands(self) -> Self:
        told(self.core)
        return self


def told(read: Callable[[], T]) -> T:
    """What `read` returns; a refusal that it raises becomes one of pydantic's errors, with field, limit and nearest."""
    try:
        return read()
    except SarrafError as refusal:
        context = {
            "detail": refusal.detail,
            "field": refusal.field,
            "limit": refusal.limit,
            "nearest": refusal.nearest,
        }
        raise PydanticCustomError(_slug(refusal), "{detail}", context) from None


def _slug(refusal: SarrafError) -> Any:  # pydantic wants a literal, and takes any text
    return refusal.type


def _spelt(read: Callable[[object], T], kind: type[T]) -> PlainValidator:
    """A validator of a text that is read into a `kind`; a value that is one already is taken as it is."""

    def validate(value: object) -> T:
        return value if isinstance(value, kind) else told(lambda: read(value))

    return PlainValidator(validate)


def _moment(value: object) -> int:
    return told(lambda: spelling.moment_of(value))


Whole = StrictInt
"""A whole number that is written as one."""

Text = StrictStr
Flag = StrictBool

RatioField = Annotated[
    Ratio,
    _spelt(spelling.ratio_of, Ratio),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": spelling.RATIO_PATTERN, "examples": ["3:1", "2:1.5"]}),
]

RowField = Annotated[
    Ratio,
    _spelt(spelling.row_of, Ratio),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": spelling.ROW_PATTERN, "examples": ["3000:1500"]}),
]
"""An amount and what it gives: two whole numbers, which do not stand for their quotient."""

ShareField = Annotated[
    Ratio,
    _spelt(spelling.share_of, Ratio),
    PlainSerializer(spelling.spell_share, return_type=str),
    WithJsonSchema({"type": "string", "pattern": spelling.SHARE_PATTERN, "examples": ["15%", "12.5%"]}),
]

MoneyField = Annotated[
    Money,
    _spelt(spelling.money_of, Money),
    PlainSerializer(spelling.spell_money, return_type=str),
    WithJsonSchema({"type": "string", "pattern": spelling.MONEY_PATTERN, "examples": ["SGD 27.25", "USD 0.0006"]}),
]

MomentField = Annotated[
    int,
    PlainValidator(_moment),
    PlainSerializer(spelling.spell_moment, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": spelling.MOMENT_PATTERN, "examples": ["2026-02-23", "2026-02-23T10:00:00+08:00"]}
    ),
]
"""Unix seconds, written as a day or a time."""

Tiers = Annotated[tuple[Text, ...], Field(description="names of tiers", examples=[["gold"]])]
ExceptTiers = Annotated[
    tuple[Text, ...],
    Field(description="all but these tiers; members of no tier are in none of them", examples=[["basic"]]),
]
