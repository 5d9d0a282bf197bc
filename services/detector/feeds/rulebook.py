"""The rules that are enabled, as this process sees them."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from mesh.clock import Clock
from mesh.errors import Unavailable
from services.detector import metrics
from services.detector.model.rules import Rule
from services.detector.store.rules import RuleStore

POLL_S: Final = 1.0

logger = logging.getLogger(__name__)


class RuleFeed:
    """Follows the stored rules: a change is known everywhere within two seconds."""

    def __init__(self, store: RuleStore, clock: Clock) -> None:
        """Knows nothing before `run`; no rules then."""
        self._store = store
        self._clock = clock
        self._known = asyncio.Event()
        self._rules: Sequence[Rule] = []

    def rules(self) -> Sequence[Rule]:
        """The rules to follow."""
        return self._rules

    async def known(self) -> None:
        """Returns when the store has been asked once."""
        await self._known.wait()

    async def run(self) -> None:
        """Asks for ever."""
        while True:
            try:
                await self.refresh()
            except Unavailable as error:
                logger.warning("rules unknown", extra={"cause": error.message})
            await self._clock.sleep(POLL_S)

    async def refresh(self) -> None:
        """Asks once."""
        rules = [rule for rule in await self._store.all() if rule.enabled]
        if rules != self._rules:
            self._rules = rules
            logger.info("rules changed", extra={"enabled": len(rules)})
        metrics.RULES.set(len(rules))
        self._known.set()
