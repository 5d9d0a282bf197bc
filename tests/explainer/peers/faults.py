"""What goes wrong with a peer, by script."""

import asyncio
from collections import Counter

from mesh.errors import SensusError


class Faults:
    """What goes wrong, by method: an event or seconds to wait for, or an error; counts calls."""

    def __init__(self) -> None:
        """Nothing goes wrong."""
        self.held: dict[str, asyncio.Event] = {}
        self.delay_s: dict[str, float] = {}
        self.errors: dict[str, SensusError] = {}
        self.calls: Counter[str] = Counter()

    async def meet(self, method: str) -> None:
        """Waits or raises as scripted."""
        self.calls[method] += 1
        if held := self.held.get(method):
            await held.wait()
        await asyncio.sleep(self.delay_s.get(method, 0.0))
        if error := self.errors.get(method):
            raise error
