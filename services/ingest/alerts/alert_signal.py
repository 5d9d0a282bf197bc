"""Wakes whoever waits for alerts in this process; others find them by looking."""

import asyncio


class AlertSignal:
    """A ring reaches everybody who waits at that moment. A missed one costs a short wait only."""

    def __init__(self) -> None:
        """Silent."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wakes all who wait."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, at_most_s: float) -> None:
        """Returns at the next ring, or when the time is over."""
        rung = self._rung
        try:
            async with asyncio.timeout(at_most_s):
                await rung.wait()
        except TimeoutError:
            return
