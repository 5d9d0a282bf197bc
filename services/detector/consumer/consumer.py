"""The subscription to samples, opened when the engine is ready and every feed is known."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from mesh.subscription import Subscription
from services.detector.feeds.feed import FeedPoller


class Consumer:
    """Keeps the subscription until the process drains."""

    def __init__(
        self,
        subscription: Subscription,
        *,
        feeds: FeedPoller,
        pool: Executor,
        prepare: Callable[[], None],
    ) -> None:
        """Opens nothing yet: samples wait in the log until every feed is known.

        Before that `prepare` makes the engine ready in the pool, while the server serves.
        """
        self._subscription = subscription
        self._feeds = feeds
        self._pool = pool
        self._prepare = prepare

    async def run(self) -> None:
        """Runs for ever; on draining or cancellation every shard is checkpointed and released."""
        await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare)
        await self._feeds.known()
        await self._subscription.run("samples")
