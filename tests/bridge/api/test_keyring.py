"""The key ring remembers for a moment only: another process may have revoked a key."""

import pytest

from bridge.api import keyring
from bridge.api.keyring import KEYS_REMEMBERED_MAX, REMEMBERED_MS, KeyRing
from bridge.store.keys import ApiKey

KEY = ApiKey("key_1", None, frozenset())


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time by the machine's steady clock, as its only element."""
    now = [5 * REMEMBERED_MS]
    monkeypatch.setattr(keyring, "_now_ms", lambda: now[0])
    return now


def test_key__recognised_a_moment_ago__is_known(passes: list[int]) -> None:
    ring = KeyRing()
    ring.remember("text", KEY)
    passes[0] += REMEMBERED_MS - 1
    assert ring.get("text") is KEY
    assert ring.get("another") is None


def test_key__recognised_some_time_ago__is_asked_for_again(passes: list[int]) -> None:
    ring = KeyRing()
    ring.remember("text", KEY)
    passes[0] += REMEMBERED_MS
    assert ring.get("text") is None


def test_keys__when_one_is_revoked_here__are_forgotten_at_once(passes: list[int]) -> None:
    ring = KeyRing()
    ring.remember("text", KEY)
    ring.forget()
    assert ring.get("text") is None and passes


def test_keys__beyond_the_limit__then_the_one_recognised_longest_ago_is_forgotten(
    passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "KEYS_REMEMBERED_MAX", 2)
    ring = KeyRing()
    for text in ("first", "second", "first", "third"):
        ring.remember(text, KEY)
    assert [ring.get(text) is KEY for text in ("first", "second", "third")] == [True, False, True]
    assert passes and KEYS_REMEMBERED_MAX > 2
