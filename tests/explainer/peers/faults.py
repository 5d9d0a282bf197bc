"""What goes wrong with a peer, by script."""

import asyncio

from mesh.errors import SensusError


class Faults:
    """What goes wrong: by method a delay in seconds, or an error to raise."""

    def __init__(self) -> None:
        """Nothing goes wrong."""
        self.delay_s: dict[str, float] = {}
        self.errors: dict[str, SensusError] = {}

    async def meet(self, method: str) -> None:
        """Waits or raises as scripted."""
        await asyncio.sleep(self.delay_s.get(method, 0.0))
        if error := self.errors.get(method):
            raise error
