"""Lets go of ended episodes, old dead letters and exemplars, and unused subscriptions."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.ingest.config import Config
from services.ingest.metrics import EXPIRED
from services.ingest.model.exemplars import RETENTION_MS
from services.ingest.store.expiry import ExpiryStore

_EVERY_S: Final = 600.0
_EPISODES_AT_ONCE: Final = 500
_EXEMPLARS_MAX: Final = 100_000
"""Of all series; what comes between two rounds is more."""

logger = logging.getLogger(__name__)


class Expiry:
    """A worker of every ingest process; they may all run at once."""

    def __init__(self, store: ExpiryStore, clock: Clock, config: Config) -> None:
        """Ages are those of `config`."""
        self._store = store
        self._clock = clock
        self._alert_ms = round(config.alert_retention_s * 1000)
        self._subscription_ms = round(config.subscription_retention_s * 1000)

    async def run(self) -> None:
        """Keeps house for ever; a worker of the process."""
        while True:
            try:
                await self.tidy()
            except (Unavailable, Conflict) as error:
                logger.info("nothing expires now", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tidy(self) -> None:
        """One round: subscriptions first, because episodes wait for those that remain."""
        now_ms = self._clock.now_ms()
        await self._store.forget_consumers()
        for name in await self._store.drop_subscriptions(now_ms - self._subscription_ms):
            EXPIRED.labels("subscription").inc()
            logger.warning("a subscription was not used and is gone", extra={"subscription": name})
        before_ms = now_ms - self._alert_ms
        EXPIRED.labels("dead_letter").inc(await self._store.drop_dead_letters(before_ms))
        exemplars_before_ms = now_ms - RETENTION_MS
        dropped = await self._store.drop_exemplars(exemplars_before_ms, _EXEMPLARS_MAX)
        EXPIRED.labels("exemplar").inc(dropped)
        await self._drop_episodes(before_ms)

    async def _drop_episodes(self, before_ms: int) -> None:
        dropped = _EPISODES_AT_ONCE
        while dropped == _EPISODES_AT_ONCE:
            dropped = await self._store.drop_episodes(before_ms, _EPISODES_AT_ONCE)
            EXPIRED.labels("episode").inc(dropped)
