"""Rules as a form: there and back, and what is refused is told with its field."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from bridge.forms.rules import RulesForm
from exchange.errors import InvalidTerms
from exchange.points import Points
from exchange.ratio import Ratio
from exchange.rules import PLAIN, Rules, When
from tests.bridge.forms.strategies import rules


@given(rules())
@settings(max_examples=60)
def test_rules__written_as_a_form_and_read_again__are_the_same(value: Rules) -> None:
    form = RulesForm.of(value)
    assert form.rules() == value
    text = json.dumps(form.written())
    assert RulesForm.read(json.loads(text)) == value
    assert RulesForm.of(RulesForm.read(json.loads(text))).written() == form.written()


def test_plain_rules__when_written__then_nothing_is() -> None:
    assert RulesForm.of(PLAIN).written() == {}
    assert RulesForm.read({}) == PLAIN


def test_rules__when_read__then_texts_mean_what_they_say() -> None:
    read = RulesForm.read(
        {
            "bonuses": [
                {
                    "name": "february",
                    "share": "12.5%",
                    "when": {"starts": "2026-02-01", "before": "2026-03-01T08:00:00+08:00"},
                },
                {"name": "gold", "ratio": "2:1.5"},
            ],
            "fees": [{"rate": "USD 0.0006", "ceiling": "USD 99"}, {"points": 500}],
            "caps": [{"per": "year", "points": 100000, "side": "in"}],
        }
    )
    february, gold = read.bonuses
    assert february.share == Ratio(Points(1000), Points(125))
    assert february.when == When(starts=1_769_904_000, ends=1_772_323_200)
    assert gold.ratio == Ratio(Points(4), Points(3))
    assert RulesForm.of(read).written()["fees"] == [{"rate": "USD 0.0006", "ceiling": "USD 99"}, {"points": 500}]


def bonus(**more: Any) -> dict[str, Any]:
    return {"bonuses": [{"name": "a", "flat": 1, **more}]}


def cap(**more: Any) -> dict[str, Any]:
    return {"caps": [{"per": "year", "points": 1}, {"per": "year", "points": 1, **more}]}


@pytest.mark.parametrize(
    ("value", "field", "limit", "nearest"),
    [
        ([], "rules", None, None),
        ({"bonusses": []}, "rules.bonusses", None, None),
        (bonus(wen={}), "rules.bonuses.0.wen", None, None),
        (bonus(flat=True), "rules.bonuses.0.flat", None, None),
        (bonus(flat=1.0), "rules.bonuses.0.flat", None, 1),
        (bonus(flat=1.5), "rules.bonuses.0.flat", None, None),
        (bonus(flat="1"), "rules.bonuses.0.flat", None, 1),
        (bonus(flat=0), "rules.bonuses.0.flat", 1, 1),
        (bonus(flat=2**48), "rules.bonuses.0.flat", 2**48 - 1, 2**48 - 1),
        (bonus(share="15%"), "rules.bonuses.0", None, None),
        (bonus(share=15), "rules.bonuses.0.share", None, None),
        (bonus(share="0%"), "rules.bonuses.0.share", 1, "1%"),
        (bonus(ratio="3/1"), "rules.bonuses.0.ratio", None, None),
        (bonus(ratio="0:1"), "rules.bonuses.0.ratio", 1, "1:1"),
        (bonus(ratio="0.0:1"), "rules.bonuses.0.ratio", 1, "1:1"),
        (bonus(name=""), "rules.bonuses.0.name", 64, None),
        (bonus(name=7), "rules.bonuses.0.name", None, None),
        (bonus(when={"starts": "2026-02-30"}), "rules.bonuses.0.when.starts", None, "2026-02-28"),
        (bonus(when={"starts": 0}), "rules.bonuses.0.when.starts", None, None),
        (bonus(when={"starts": "2026-02-23T10:00:00"}), "rules.bonuses.0.when.starts", None, None),
        (bonus(when={"starts": "1969-12-31"}), "rules.bonuses.0.when.starts", "1970-01-01", "1970-01-01"),
        (
            bonus(when={"starts": "2026-03-01", "before": "2026-02-01"}),
            "rules.bonuses.0.when.before",
            "2026-03-01",
            "2026-03-02",
        ),
        (bonus(when={"nth_from": 3}), "rules.bonuses.0.when.nth_per", None, None),
        (bonus(when={"nth_per": "transfer"}), "rules.bonuses.0.when.nth_per", None, None),
        ({"bonuses": [*bonus()["bonuses"], *bonus()["bonuses"]]}, "rules.bonuses.name", None, None),
        ({"bonuses": [{"flat": 1}]}, "rules.bonuses.0.name", None, None),
        (cap(per="hour"), "rules.caps.1.per", "'transfer', 'day', 'week', 'month', 'year' or 'ever'", None),
        (cap(tiers=["a"], except_tiers=["b"]), "rules.caps.1.except_tiers", None, None),
        (bonus(member_per="year"), "rules.bonuses.0.member_per", None, None),
        (cap(points=-1), "rules.caps.1.points", 0, 0),
        (cap(points=None), "rules.caps.1.points", None, None),
        (cap(shared=True), "rules.group", None, None),
        (cap(shared=1), "rules.caps.1.shared", None, None),
        ({"fees": [{}]}, "rules.fees.0.flat", None, None),
        ({"fees": [{"flat": 27.25}]}, "rules.fees.0.flat", None, None),
        ({"fees": [{"flat": "USD 1", "rate": "SGD 1"}]}, "rules.fees.0.rate", None, None),
        ({"fees": [{"flat": "USD 1", "points": 1}]}, "rules.fees.0.points", None, None),
        ({"fees": [{"flat": "USD 1", "points_rate": 1}]}, "rules.fees.0.points_rate", None, None),
        ({"fees": [{"points": 1, "per": 5}]}, "rules.fees.0.points", None, None),
        ({"fees": [{"points_ceiling": 1}]}, "rules.fees.0.points", None, 1),
        ({"fees": [{"rate": "USD 999999999"}]}, "rules.fees.0.rate", "USD 281474976.710656", "USD 281474976.710656"),
        ({"fees": [{"rate": "USD 1", "ceiling": "USD 0"}]}, "rules.fees.0.ceiling", "USD 0.000001", "USD 0.000001"),
        ({"amounts": [3, 2]}, "rules.amounts", 3, 4),
        ({"minimums": [{"tiers": [], "minimum": 1}]}, "rules.minimums.0.tiers", None, None),
        ({"received": {"days": 3}}, "rules.received.days", None, None),
        ({"eligible": {"age_min_days": 2, "age_max_days": 1}}, "rules.eligible.age_max_days", 2, 2),
        ({"notice_days": -1}, "rules.notice_days", 0, 0),
    ],
)
def test_rules__that_cannot_be__are_refused_with_field_limit_and_the_nearest(
    value: object, field: str, limit: int | str | None, nearest: int | str | None
) -> None:
    with pytest.raises(InvalidTerms) as refusal:
        RulesForm.read(value)
    assert (refusal.value.field, refusal.value.limit, refusal.value.nearest) == (field, limit, nearest)


def test_per__with_a_fraction__is_refused_since_blocks_are_whole() -> None:
    with pytest.raises(InvalidTerms) as refusal:
        RulesForm.read({"bonuses": [{"name": "blocks", "per": "1000:2.5"}]}, "rules")
    assert refusal.value.field == "rules.bonuses.0.per"
