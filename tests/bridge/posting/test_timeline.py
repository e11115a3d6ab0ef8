"""Moments at which something changes by itself."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.posting.timeline import Timeline


def test_move__forward_and_back__then_tells_what_lies_between() -> None:
    timeline = Timeline[str]()
    for moment, key in ((30, "c"), (10, "a"), (20, "b"), (20, "b")):
        timeline.add(moment, key)

    assert len(timeline) == 3
    assert timeline.move(9) == set()
    assert timeline.move(20) == {"a", "b"}
    assert timeline.move(20) == set()
    assert timeline.move(100) == {"c"}
    assert timeline.move(15) == {"b", "c"}
    assert timeline.move(100) == {"b", "c"}


def test_add__of_a_moment_that_has_passed__then_is_told_only_when_the_clock_is_set_back() -> None:
    timeline = Timeline[str]()
    timeline.add(50, "late")
    timeline.move(40)

    timeline.add(30, "past")

    assert timeline.move(45) == set()
    assert timeline.move(20) == {"past"}


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.sampled_from("abc")), max_size=40),
)
def test_timeline__then_each_key_was_told_whenever_its_past_changed(steps: list[tuple[bool, int, str]]) -> None:
    """The oracle keeps everything: a key is told exactly when the moments behind the clock differ from before."""
    timeline, noted, seen, now = Timeline[str](), set[tuple[int, str]](), dict[str, set[int]](), -1
    for is_add, moment, key in steps:
        if is_add:
            timeline.add(moment, key)
            noted.add((moment, key))
            if moment <= now:
                seen.setdefault(key, set()).add(moment)
            continue
        told = timeline.move(moment)
        now = moment
        behind: dict[str, set[int]] = {}
        for each, of in noted:
            if each <= now:
                behind.setdefault(of, set()).add(each)
        assert told == {of for of in "abc" if behind.get(of, set()) != seen.get(of, set())}
        seen = behind
