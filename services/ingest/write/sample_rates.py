"""How many samples a second each caller may send: token buckets with a burst of some seconds."""

from typing import Final

from cachetools import LRUCache

from mesh.clock import Clock
from mesh.errors import Overloaded

_BURST_S: Final = 10.0
_CALLERS: Final = 10_000


class SampleRates:
    """A bucket per caller, full at first. One body may overdraw it: then the next ones wait."""

    def __init__(self, clock: Clock, per_s: float, what: str = "samples") -> None:
        """Each caller may send `per_s` of them a second, and those of ten seconds at once."""
        self._clock = clock
        self._per_s = per_s
        self._what = what
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(_CALLERS)

    def take(self, caller: str, samples: int) -> None:
        """Takes tokens for samples that are about to be committed.

        Raises:
            Overloaded: SAMPLE_RATE_EXCEEDED, with the time until there is room again.
        """
        left = self._left(caller)
        if left < 0:
            message = f"more than {self._per_s:g} {self._what} a second: send fewer, or less often"
            wait_s = max(1.0, -left / self._per_s)
            raise Overloaded(message, reason="SAMPLE_RATE_EXCEEDED", retry_after_s=wait_s)
        self._spend(caller, left, samples)

    async def wait(self, caller: str, samples: int) -> None:
        """Like `take`, of a stream: its credit makes its sender wait."""
        while (left := self._left(caller)) < 0:
            await self._clock.sleep(-left / self._per_s)
        self._spend(caller, left, samples)

    def _left(self, caller: str) -> float:
        now_s = self._clock.monotonic_s()
        left, then_s = self._buckets.get(caller, (_BURST_S * self._per_s, now_s))
        return min(_BURST_S * self._per_s, left + (now_s - then_s) * self._per_s)

    def _spend(self, caller: str, left: float, samples: int) -> None:
        self._buckets[caller] = left - samples, self._clock.monotonic_s()
