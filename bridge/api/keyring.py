"""The key ring: API keys that were recognised, so that not every request asks the ledger.

A revocation forgets them all at once, in the process that takes it.
"""

from bridge.store.ids import secret_hash
from bridge.store.keys import ApiKey

#: Keys that are remembered; beyond that the longest known is forgotten.
KEYS_REMEMBERED_MAX = 10_000


class KeyRing:
    """Recognised keys, by the hash of their text: what a dump of the memory shows should open nothing.

    Used by one event loop, so it needs no lock.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, ApiKey] = {}

    def get(self, text: str) -> ApiKey | None:
        """Whose key this is, when it was recognised before."""
        return self._known.get(secret_hash(text))

    def remember(self, text: str, key: ApiKey) -> None:
        """This text was recognised as this key."""
        self._known[secret_hash(text)] = key
        if len(self._known) > KEYS_REMEMBERED_MAX:
            del self._known[next(iter(self._known))]

    def forget(self) -> None:
        """A key was revoked: recognise all anew."""
        self._known.clear()
