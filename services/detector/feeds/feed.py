"""Follows in the store what may change while detectors run; every replica asks for itself."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol

from mesh.clock import Clock
from mesh.errors import Unavailable

POLL_S: Final = 1.0

logger = logging.getLogger(__name__)


class Feed(Protocol):
    """One thing that is followed."""

    @property
    def subject(self) -> str:
        """What is followed, in words."""

    async def refresh(self) -> None:
        """Asks the store once, and takes what is new.

        Raises:
            Unavailable: The store does not answer; what was known stays.
        """


class FeedPoller:
    """Asks for each of several feeds once a second: a change works everywhere within two."""

    def __init__(self, feeds: Sequence[Feed], clock: Clock) -> None:
        """Asks nothing before `run`."""
        self._feeds = [(feed, asyncio.Event()) for feed in feeds]
        self._clock = clock

    async def known(self) -> None:
        """Returns when every feed was refreshed once."""
        for _, answered in self._feeds:
            await answered.wait()

    async def run(self) -> None:
        """Follows all of them for ever."""
        async with asyncio.TaskGroup() as group:
            for feed, answered in self._feeds:
                group.create_task(self._poll(feed, answered), name=f"feed of {feed.subject}")

    async def _poll(self, feed: Feed, answered: asyncio.Event) -> None:
        while True:
            try:
                await feed.refresh()
                answered.set()
            except Unavailable as error:
                note = {"subject": feed.subject, "cause": error.message}
                logger.warning("not known whether it changed", extra=note)
            await self._clock.sleep(POLL_S)
