"""How much a consumer will take. Additive; one delivery may overdraw."""

import asyncio

from services.ingest.subscribe.frames import Credit


class StreamCredit:
    """The credit of one stream. Bytes count from the first credit that names any."""

    def __init__(self) -> None:
        """Empty."""
        self._samples = 0
        self._bytes = 0
        self._counts_bytes = False
        self._open = asyncio.Event()

    @property
    def samples(self) -> int:
        """Samples that may be delivered now; 0 or less when either count is spent."""
        return self._samples if self._open.is_set() else 0

    def add(self, credit: Credit) -> None:
        """Takes what the consumer gave."""
        self._samples += credit.samples
        self._bytes += credit.size_bytes
        self._counts_bytes = self._counts_bytes or credit.size_bytes > 0
        self._settle()

    def spend(self, samples: int, size_bytes: int) -> None:
        """Notes a delivery."""
        self._samples -= samples
        self._bytes -= size_bytes if self._counts_bytes else 0
        self._settle()

    async def wait(self) -> None:
        """Returns when something may be delivered."""
        await self._open.wait()

    def _settle(self) -> None:
        if self._samples > 0 and (not self._counts_bytes or self._bytes > 0):
            self._open.set()
        else:
            self._open.clear()
