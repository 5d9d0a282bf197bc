"""The signal to drain, which long streams wait for."""

import asyncio


class Drain:
    """One signal for a whole process: take nothing new, finish what runs.

    The handler of a long stream waits for it beside its own work, then says `draining` to its
    client and returns; the client opens the stream again elsewhere.
    """

    def __init__(self) -> None:
        """Nothing drains yet."""
        self._begun = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether draining has begun."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Begins; a second time changes nothing."""
        self._begun.set()

    async def wait(self) -> None:
        """Returns when draining begins."""
        await self._begun.wait()
