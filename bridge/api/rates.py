"""Rate limits: a bucket for each API key."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.api.problems import TooManyRequests

#: Keys whose recent rate is remembered; beyond that the longest unused is forgotten.
KEYS_REMEMBERED_MAX = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class RateLimiter:
    """A bucket for each key that refills steadily and holds one second's worth."""

    def __init__(self, per_second: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock_s = clock_s
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()

    def take(self, key_id: str) -> int:
        """Count one request; answers how many more could follow at once. Raises TooManyRequests."""
        now_s = self._clock_s()
        with self._lock:
            bucket = self._buckets.pop(key_id, None) or _Bucket(self.per_second, now_s)
            self._buckets[key_id] = bucket
            if len(self._buckets) > KEYS_REMEMBERED_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket.tokens = min(self.per_second, bucket.tokens + (now_s - bucket.at_s) * self.per_second)
            bucket.at_s = now_s
            if bucket.tokens < 1:
                raise TooManyRequests(
                    f"this key may ask {self.per_second} times a second",
                    limit=self.per_second,
                    retry_after_s=1,
                )
            bucket.tokens -= 1
            return int(bucket.tokens)
