"""Time as an argument: nothing below `__main__` asks the machine for the time itself."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC; may step when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never step back; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds` of this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleeps on the event loop."""
        await asyncio.sleep(seconds)
