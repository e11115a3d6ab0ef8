"""The key ring: API keys that were recognised, so that not every request asks the ledger.

A revocation forgets them all at once in the process that takes it; any other process asks again after a short while.
"""

import time

from bridge.store.ids import secret_hash
from bridge.store.keys import ApiKey

#: Keys that are remembered; beyond that the longest known is forgotten.
KEYS_REMEMBERED_MAX = 10_000
#: How long a key counts before the ledger is asked again: for so long one that another process revoked may be taken.
REMEMBERED_MS = 1_000


class KeyRing:
    """Recognised keys, by the hash of their text: what a dump of the memory shows should open nothing.

    Used by one event loop, so it needs no lock.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[ApiKey, int]] = {}

    def get(self, text: str) -> ApiKey | None:
        """Whose key this is, when it was recognised a moment ago."""
        key, since_ms = self._known.get(secret_hash(text), (None, 0))
        return key if _now_ms() - since_ms < REMEMBERED_MS else None

    def remember(self, text: str, key: ApiKey) -> None:
        """This text was recognised as this key, just now."""
        hashed = secret_hash(text)
        self._known.pop(hashed, None)
        self._known[hashed] = key, _now_ms()
        if len(self._known) > KEYS_REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def forget(self) -> None:
        """A key was revoked: recognise all anew."""
        self._known.clear()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
