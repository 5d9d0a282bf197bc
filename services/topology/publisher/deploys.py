"""Tells the explainer of versions that were not there before."""

import logging
from typing import Final

from mesh.clock import Clock
from mesh.errors import SensusError
from services.topology import metrics
from services.topology.clients.explainer import ExplainerClient
from services.topology.store.published import PublishedStore

_EVERY_S: Final = 10.0
_AT_ONCE: Final = 20
"""In one round: a sender with a new version in each request must not flood anybody."""

logger = logging.getLogger(__name__)


class Deploys:
    """A worker of every replica: a change that is sent twice is one."""

    def __init__(self, store: PublishedStore, explainer: ExplainerClient, clock: Clock) -> None:
        """Tells nothing yet."""
        self._store = store
        self._explainer = explainer
        self._clock = clock

    async def run(self) -> None:
        """Tells for ever."""
        while True:
            try:
                await self.tell()
            except SensusError as error:
                logger.info("deploys are sent later", extra={"cause": error.message})
            await self._clock.sleep(_EVERY_S)

    async def tell(self) -> None:
        """One round."""
        for each in await self._store.unsent(_AT_ONCE):
            await self._explainer.deployed(
                each.service, each.version, each.environment, each.first_seen
            )
            await self._store.sent(each)
            metrics.DEPLOYS.inc()
