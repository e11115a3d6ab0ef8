"""The key ring: API keys that were recognised, so that not every request asks the ledger.

A revocation forgets them all at once, in the process that takes it.
"""

import hashlib

from bridge.store.keys import ApiKey

#: Keys that are remembered; beyond that the longest known is forgotten.
KEYS_REMEMBERED_MAX = 10_000


class KeyRing:
    """Recognised keys by the hash of their text. Used by one event loop, so it needs no lock."""

    def __init__(self) -> None:
        self._known: dict[bytes, ApiKey] = {}

    def get(self, text: str) -> ApiKey | None:
        """Whose key this is, when it was recognised before."""
        return self._known.get(_fingerprint(text))

    def remember(self, text: str, key: ApiKey) -> None:
        """This text was recognised as this key."""
        self._known[_fingerprint(text)] = key
        if len(self._known) > KEYS_REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def forget(self) -> None:
        """A key was revoked: recognise all anew."""
        self._known.clear()


def _fingerprint(text: str) -> bytes:
    # Not the text itself: what a dump of the memory shows should open nothing.
    return hashlib.sha256(text.encode()).digest()
