"""Remembering an answer for a few seconds."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from mesh.clock import Clock

K = TypeVar("K")
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Answers of `ask`, kept for `ttl_s`; failures are not kept, the oldest answer goes first."""

    def __init__(
        self, ask: Callable[[K], Awaitable[V]], *, ttl_s: float, max_size: int, clock: Clock
    ) -> None:
        """Holds at most `max_size` answers."""
        self._ask = ask
        self._ttl_s = ttl_s
        self._max_size = max_size
        self._clock = clock
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    async def get(self, key: K) -> V:
        """The answer, at most `ttl_s` old."""
        kept = self._kept.get(key)
        if kept and self._clock.monotonic_s() - kept[0] < self._ttl_s:
            return kept[1]
        value = await self._ask(key)
        self._kept[key] = (self._clock.monotonic_s(), value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._max_size:
            self._kept.popitem(last=False)
        return value
