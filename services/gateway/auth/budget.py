"""What an address may cost before it has proved anything."""

from typing import Final

from cachetools import LRUCache

from mesh.clock import Clock
from mesh.errors import Overloaded

_ADDRESSES: Final = 65_536


class AddressBudget:
    """A token bucket per address, in memory: it guards the processor, not a quota.

    Whoever comes from very many addresses empties none; what he costs is bounded elsewhere.
    """

    def __init__(self, clock: Clock, *, burst: int, per_s: float) -> None:
        """Allows `burst` at once and `per_s` in the long run."""
        self._clock = clock
        self._burst = burst
        self._per_s = per_s
        self._level_by_address: LRUCache[str, tuple[float, float]] = LRUCache(_ADDRESSES)

    def spend(self, address: str) -> None:
        """Takes one from the budget of an address.

        Raises:
            Overloaded: ADDRESS_LIMITED, with the time until there is one again.
        """
        now_s = self._clock.monotonic_s()
        level, at_s = self._level_by_address.get(address, (float(self._burst), now_s))
        level = min(self._burst, level + (now_s - at_s) * self._per_s)
        if level < 1:
            message = "too many attempts from this address: slow down"
            wait_s = (1 - level) / self._per_s
            raise Overloaded(message, retry_after_s=wait_s, reason="ADDRESS_LIMITED")
        self._level_by_address[address] = level - 1, now_s
