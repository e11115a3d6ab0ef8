"""Differences between two written forms."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.differences import Difference, differences

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["x", "y"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["name", "per", "caps"]), inner, max_size=3)
    ),
    max_leaves=8,
)
forms = st.dictionaries(st.sampled_from(["ratio", "bonuses", "caps"]), values, max_size=3)


def _told(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(one.field, one.before, one.after) for one in differences(before, after)]


@given(forms)
def test_differences__of_a_form_and_itself__then_there_are_none(form: dict[str, Any]) -> None:
    assert differences(form, form) == []


@given(forms, forms)
def test_differences__either_way__then_are_the_same_fields(one: dict[str, Any], other: dict[str, Any]) -> None:
    back = {(each.field, str(each.after), str(each.before)) for each in differences(other, one)}
    assert {(each.field, str(each.before), str(each.after)) for each in differences(one, other)} == back


def test_differences__in_fields_below_fields__then_have_their_whole_path() -> None:
    before = {"ratio": "3:1", "received": {"onward": True, "expiry": "inherits"}, "minimum": 5}
    after = {"ratio": "2:1", "received": {"onward": False, "expiry": "inherits"}, "notice_days": 30}

    assert _told(before, after) == [
        ("ratio", "3:1", "2:1"),
        ("received.onward", True, False),
        ("minimum", 5, None),
        ("notice_days", None, 30),
    ]


def test_differences__when_a_part_is_put_in_between__then_the_others_do_not_differ() -> None:
    first, second = {"name": "spring", "share": "15%"}, {"name": "gold", "flat": 500}
    between = {"name": "welcome", "flat": 9}

    assert _told({"bonuses": [first, second]}, {"bonuses": [first, between, {**second, "flat": 600}]}) == [
        ("bonuses.gold.flat", 500, 600),
        ("bonuses.welcome", None, between),
    ]


def test_differences__of_caps__then_are_told_apart_by_what_they_count() -> None:
    day, year = {"per": "day", "points": 100}, {"per": "year", "points": 900}

    assert _told({"caps": [day, year]}, {"caps": [{**year, "points": 800}]}) == [
        ("caps.day", day, None),
        ("caps.year.points", 900, 800),
    ]


def test_differences__of_parts_that_are_called_alike__then_are_numbered() -> None:
    one, other = {"per": "day", "points": 100}, {"per": "day", "count": 2}

    assert _told({"caps": [one, other]}, {"caps": [one, {**other, "count": 3}]}) == [("caps.day #2.count", 2, 3)]


def test_differences__of_lists_of_values__then_are_told_whole() -> None:
    assert _told({"amounts": [1, 2]}, {"amounts": [1, 3]}) == [("amounts", [1, 2], [1, 3])]
    assert Difference("amounts", [1], None).to_dict() == {"field": "amounts", "before": [1], "after": None}
