"""Prices as answers show them: what burns, what arrives and why, hop by hop and line by line."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from bridge.api.shapes import Answer, RatioShape
from bridge.store import terms
from bridge.store.quotes import Quote
from exchange.explanation import Worth
from exchange.pricing import Price


class HopShape(Answer):
    """What happens in one direction, before bonuses; `settlement_micro` is what its source comes to owe for it."""

    from_program_id: str
    to_program_id: str
    terms_id: str
    terms_version: int
    ratio: RatioShape
    amount_in: int
    amount_out: int
    settlement_micro: int


class BonusShape(Answer):
    """What one bonus adds."""

    name: str
    points: int


class MoneyShape(Answer):
    """Money: micro-units of a currency."""

    micro: int
    currency: str


class ValueShape(Answer):
    """What is given and received in money, by what points are redeemed for at home; `note` says by which rates.

    `lost_bp` is in hundredths of a percent of what is given; below zero the swap gains.
    """

    given_micro: int
    received_micro: int
    currency: str
    lost_bp: int
    note: str


class ExplanationLine(Answer):
    """One line of how a price came about; `program` says whose points it is about."""

    label: str
    detail: str
    points: int
    micro: int | None
    currency: str | None
    program: str | None


class PriceShape(Answer):
    """A price: `amount_in` and `fee_points` are burned, `amount_out` arrives, `base_out` of it by the swap itself."""

    from_program_id: str
    to_program_id: str
    path: Annotated[list[str], Field(description="the programs along the way, from the first to the last")]
    amount_in: int
    amount_out: int
    base_out: int
    bonuses: list[BonusShape]
    fee_points: int
    fees_money: list[MoneyShape]
    remainder: Annotated[int, Field(description="points offered that would add nothing, and stay")]
    nearest_below: Annotated[int, Field(description="the greatest amount up to the one offered that leaves nothing")]
    nearest_above: Annotated[int | None, Field(description="the least amount in that gives more")]
    hops: list[HopShape]
    settlement_micro: int
    currency: Annotated[str, Field(description="of settlements")]
    value: ValueShape | None
    explanation: list[ExplanationLine]


def of_quote(connection: sa.Connection, one: Quote) -> dict[str, Any]:
    """The fields of a firm quote's price."""
    agreed = [terms.by_id(connection, hop.terms_id) for hop in one.hops]
    return {
        "from_program_id": one.program_id,
        "to_program_id": one.to_program_id,
        "path": one.path,
        "amount_in": one.amount_in,
        "amount_out": one.amount_out,
        "base_out": one.base_out,
        "bonuses": [BonusShape.model_validate(each) for each in one.bonuses],
        "fee_points": one.fee_points,
        "fees_money": [MoneyShape.model_validate(each) for each in one.fees],
        "remainder": one.remainder,
        "nearest_below": one.amount_in,
        "nearest_above": one.nearest_above,
        "hops": [
            HopShape(
                from_program_id=hop.from_program_id,
                to_program_id=hop.to_program_id,
                terms_id=hop.terms_id,
                terms_version=row.version or 0,
                ratio=RatioShape(from_units=row.from_units, to_units=row.to_units),
                amount_in=hop.amount_in,
                amount_out=hop.amount_out,
                settlement_micro=hop.settlement_micro,
            )
            for hop, row in zip(one.hops, agreed, strict=True)
        ],
        "settlement_micro": one.settlement_micro,
        "currency": agreed[0].currency,
        "value": None if one.value is None else _value(one.value, str(one.value["note"])),
        "explanation": [ExplanationLine.model_validate(line) for line in one.explanation],
    }


def of_price(priced: Price, currency: str, worth: Worth | None) -> PriceShape:
    """An indicative price; `currency` is the one of settlements."""
    hops = [each.terms for each in priced.hops]
    return PriceShape(
        from_program_id=hops[0].source,
        to_program_id=hops[-1].destination,
        path=[hops[0].source, *(each.destination for each in hops)],
        amount_in=priced.amount_in,
        amount_out=priced.amount_out,
        base_out=priced.base_out,
        bonuses=[BonusShape(name=each.name, points=each.points) for each in priced.bonuses],
        fee_points=priced.fee_points,
        fees_money=[MoneyShape(micro=each.micro, currency=each.currency) for each in priced.fees],
        remainder=priced.remainder,
        nearest_below=priced.nearest_below,
        nearest_above=priced.nearest_above,
        hops=[
            HopShape(
                from_program_id=each.terms.source,
                to_program_id=each.terms.destination,
                terms_id=each.terms.id,
                terms_version=each.terms.version,
                ratio=RatioShape(from_units=each.terms.ratio.from_units, to_units=each.terms.ratio.to_units),
                amount_in=each.amount_in,
                amount_out=each.amount_out,
                settlement_micro=each.settlement,
            )
            for each in priced.hops
        ],
        settlement_micro=priced.settlement,
        currency=currency,
        value=None if priced.value is None or worth is None else _value(asdict(priced.value), worth.note),
        explanation=lines_of(priced),
    )


def lines_of(priced: Price) -> list[ExplanationLine]:
    """A price's explanation."""
    return [ExplanationLine.model_validate(asdict(line)) for line in priced.lines]


def _value(value: Mapping[str, Any], note: str) -> ValueShape:
    return ValueShape(
        given_micro=value["given"],
        received_micro=value["received"],
        currency=value["currency"],
        lost_bp=value["lost_bp"],
        note=note,
    )
