"""Rounds that any replica may make: each row is taken by one of them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError
from services.notifier import metrics
from services.notifier.decisions.due import due
from services.notifier.decisions.retry import RetryLimits
from services.notifier.feed import RoutingFeed
from services.notifier.routing.receivers import channel_of
from services.notifier.store import HeldNotices, IntegrationStore, RetentionStore, Timers

TIMERS_EVERY_S: Final = 1.0
HELD_EVERY_S: Final = 2.0
QUEUES_EVERY_S: Final = 5.0
OLD_EVERY_S: Final = 600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """All of them."""

    timers: Timers
    held: HeldNotices
    retention: RetentionStore
    integration_store: IntegrationStore
    feed: RoutingFeed
    retry_limits: RetryLimits
    clock: Clock
    retention_days: float

    async def run(self) -> None:
        """Runs for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(TIMERS_EVERY_S, self.fire))
            tasks.create_task(self._every(HELD_EVERY_S, self.let_go))
            tasks.create_task(self._every(QUEUES_EVERY_S, self.look_at_queues))
            tasks.create_task(self._every(OLD_EVERY_S, self.forget))

    async def fire(self) -> None:
        """Turns timers that are due into notices."""
        fired = await self.timers.fire(self.feed.routing, self.clock.now_ms(), due)
        metrics.TIMERS.inc(fired)

    async def let_go(self) -> None:
        """Lets go what nothing holds back any more."""
        await self.held.judge(self.feed.routing, self.clock.now_ms())

    async def look_at_queues(self) -> None:
        """Measures what waits, and gives up what waits too long."""
        queues, states = (
            await self.integration_store.queues(),
            await self.integration_store.states(),
        )
        waiting: dict[str, int] = {}
        opened: dict[str, int] = {}
        for way, queue in queues.items():
            channel = channel_of(way.integration)
            waiting[channel] = waiting.get(channel, 0) + queue.waiting
        for way, state in states.items():
            channel = channel_of(way.integration)
            opened[channel] = opened.get(channel, 0) + state.is_open
        for channel in {channel_of(way.integration) for way in states}:
            metrics.WAITING.labels(channel).set(waiting.get(channel, 0))
            metrics.CIRCUITS.labels(channel).set(opened.get(channel, 0))
        metrics.OLDEST.set(max((queue.oldest_s for queue in queues.values()), default=0.0))
        while given_up := await self.retention.give_up(self.retry_limits, self.feed.routing):
            logger.error("notices given up", extra={"notices": given_up})

    async def forget(self) -> None:
        """Deletes what is too old, in batches."""
        while forgotten := await self.retention.forget(self.retention_days):
            metrics.FORGOTTEN.inc(forgotten)
            await asyncio.sleep(0)

    async def _every(self, wait_s: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except SensusError as error:
                logger.info("round put off", extra={"cause": error.message})
            except Exception:
                logger.exception("round failed")
            await self.clock.sleep(wait_s)
