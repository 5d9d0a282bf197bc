"""What detectors follow in the store while they run: the active model, the rules."""

import asyncio
from collections.abc import Sequence
from typing import Protocol


class Feed(Protocol):
    """One thing that is followed; every replica asks for itself."""

    async def run(self) -> None:
        """Asks for ever, about once a second."""

    async def known(self) -> None:
        """Returns when the store has been asked once."""


async def follow(feeds: Sequence[Feed]) -> None:
    """Follows all of them for ever."""
    async with asyncio.TaskGroup() as group:
        for feed in feeds:
            group.create_task(feed.run(), name=type(feed).__name__)
