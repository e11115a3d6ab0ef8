"""Rate limits: a bucket for each key."""

import pytest

from bridge.api import rates
from bridge.api.problems import TooManyRequests
from bridge.api.rates import RateLimiter

from .world import World, problem


class _Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_rate__when_used_up__then_429_until_it_refills(world: World) -> None:
    clock = _Clock()
    with world.other(limiter=RateLimiter(3, clock)) as caller:
        coffee = caller(world.coffee.key)
        answers = [coffee.get("/v1/status") for _ in range(4)]
        other = caller(world.books.key).get("/v1/status")
        clock.now_s += 1.0 / 3
        refilled = [coffee.get("/v1/status").status_code for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["ratelimit"] for one in answers] == [f'"key";r={left};t=1' for left in (2, 1, 0, 0)]
    assert {one.headers["ratelimit-policy"] for one in answers} == {'"key";q=3;w=1'}
    assert problem(answers[3], 429, "too-many-requests")["limit"] == 3
    assert answers[3].headers["retry-after"] == "1"
    assert other.status_code == 200, "another key has a rate of its own"
    assert refilled == [200, 429]


def test_rate__when_the_request_is_refused__then_is_told_too(world: World) -> None:
    response = world.coffee.get("/v1/members/mbr_nobody")

    assert response.status_code == 404
    assert response.headers["ratelimit-policy"] == f'"key";q={world.service.limiter.per_second};w=1'
    assert response.headers["ratelimit"].startswith('"key";r=')


def test_rate__without_a_key__then_nothing_is_told(world: World) -> None:
    assert "ratelimit" not in world.caller(None).get("/v1/status").headers


def test_bucket__after_a_long_pause__then_holds_one_seconds_worth() -> None:
    clock = _Clock()
    limiter = RateLimiter(2, clock)
    clock.now_s += 3600

    assert [limiter.take("a"), limiter.take("a")] == [1, 0]
    with pytest.raises(TooManyRequests) as refused:
        limiter.take("a")
    assert (refused.value.limit, refused.value.retry_after_s) == (2, 1)


def test_buckets__when_too_many__then_the_longest_unused_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "KEYS_REMEMBERED_MAX", 2)
    limiter = RateLimiter(2, _Clock())
    for key in ("a", "b", "a", "c"):
        limiter.take(key)

    with pytest.raises(TooManyRequests):
        limiter.take("a")
    assert limiter.take("b") == 1, "b was forgotten, and begins anew"
