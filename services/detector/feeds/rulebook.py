"""The rules that are enabled, as this process sees them."""

import logging
from collections.abc import Sequence
from typing import Final

from services.detector import metrics
from services.detector.model.rules import Rule
from services.detector.store.rules import RuleStore

logger = logging.getLogger(__name__)


class RuleFeed:
    """Follows the stored rules: a change is known everywhere within two seconds."""

    subject: Final = "rules"

    def __init__(self, store: RuleStore) -> None:
        """Knows nothing before `refresh`; no rules then."""
        self._store = store
        self._rules: Sequence[Rule] = []

    def rules(self) -> Sequence[Rule]:
        """The rules to follow."""
        return self._rules

    async def refresh(self) -> None:
        """Asks once."""
        rules = [rule for rule in await self._store.all() if rule.enabled]
        if rules != self._rules:
            self._rules = rules
            logger.info("rules changed", extra={"enabled": len(rules)})
        metrics.RULES.set(len(rules))
