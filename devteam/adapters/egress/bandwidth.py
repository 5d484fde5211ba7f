"""How much an attempt may send and receive: one bucket, whichever way its bytes take."""

import asyncio
import threading
import time
from collections.abc import Callable
from uuid import UUID
from weakref import WeakValueDictionary

BURST_SECONDS = 0.25
"""How much may pass at once after a pause, as a share of a second's worth; small pieces never wait for it."""
LEAST_BURST = 256 * 1024


class TokenBucket:
    """Bytes per second with a burst. What was taken beyond the store is a debt that time pays."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError("a bucket needs a positive rate and burst")
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._store = burst
        self._at = clock()

    def take(self, amount: int) -> float:
        """Take bytes that are about to pass; how many seconds they have to wait first."""
        with self._lock:
            now = self._clock()
            self._store = min(self._burst, self._store + (now - self._at) * self._rate)
            self._at = now
            self._store -= amount
            return max(0.0, -self._store / self._rate)


class Bandwidth:
    """A bucket for each attempt, shared by all that carry its bytes; `bits` per second."""

    def __init__(self, bits: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.bits = bits
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: WeakValueDictionary[UUID, TokenBucket] = WeakValueDictionary()

    def of(self, attempt_id: UUID) -> TokenBucket:
        """The attempt's bucket, for as long as somebody holds it."""
        with self._lock:
            bucket = self._buckets.get(attempt_id)
            if bucket is None:
                rate = self.bits / 8
                bucket = TokenBucket(rate, max(LEAST_BURST, rate * BURST_SECONDS), self._clock)
                self._buckets[attempt_id] = bucket
            return bucket


async def pace(bucket: TokenBucket | None, amount: int) -> None:
    """Wait until bytes may pass."""
    seconds = 0.0 if bucket is None else bucket.take(amount)
    if seconds > 0:
        await asyncio.sleep(seconds)
