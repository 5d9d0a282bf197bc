"""The frames of one run, for the streams of this process that follow it."""

import asyncio
from collections.abc import Sequence


class Feed:
    """Holds each frame once, however many streams read it; a slow reader costs nothing more."""

    def __init__(self, frames: Sequence[bytes] = ()) -> None:
        """`frames` are those that an earlier run left."""
        self._frames = list(frames)
        self._changed = asyncio.Event()
        self.finished = False

    @property
    def last_sequence(self) -> int:
        """Sequence of the last frame; 0 before the first."""
        return len(self._frames)

    def after(self, sequence: int) -> list[bytes]:
        """All frames that follow `sequence`."""
        return self._frames[sequence:]

    def extend(self, frames: Sequence[bytes], *, finished: bool = False) -> None:
        """Adds frames that are durable, and wakes the readers."""
        self._frames.extend(frames)
        self.finished = finished
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def news(self, sequence: int, *, at_most_s: float) -> None:
        """Returns when there is a frame after `sequence`, at the latest after `at_most_s`."""
        if len(self._frames) > sequence:
            return
        try:
            async with asyncio.timeout(at_most_s):
                await self._changed.wait()
        except TimeoutError:
            return
