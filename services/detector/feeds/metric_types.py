"""The types of metrics as their senders say them, as this process sees them."""

import logging
from collections import Counter
from typing import Final, Protocol

from services.detector.model.metric_types import NOTHING_SAID, MetricType, MetricTypes, Said

OVERLAP_MS: Final = 60_000
"""What was said at once becomes visible one after the other."""
CONTRADICTIONS: Final = 3
"""Changes from one type to another after which nobody is believed: two senders disagree."""

logger = logging.getLogger(__name__)


class _Metadata(Protocol):
    async def changed(self, since_ms: int | None) -> Said: ...


class MetricTypeFeed:
    """Follows what ingest has been told: a new word is known everywhere within a few seconds."""

    subject: Final = "types of metrics"

    def __init__(self, metadata: _Metadata) -> None:
        """Knows nothing before `refresh`."""
        self._metadata = metadata
        self._types: MetricTypes = NOTHING_SAID
        self._newest_ms: int | None = None
        self._changes = Counter[str]()

    def types(self) -> MetricTypes:
        """By metric; the same object as long as nothing changes."""
        return self._types

    async def refresh(self) -> None:
        """Asks once for what is new."""
        since_ms = None if self._newest_ms is None else max(self._newest_ms - OVERLAP_MS, 0)
        said = await self._metadata.changed(since_ms)
        if said.newest_ms is not None:
            self._newest_ms = max(said.newest_ms, self._newest_ms or 0)
        believed = {name: self._believed(name, type) for name, type in said.types.items()}
        new = {name: type for name, type in believed.items() if self._types.get(name) != type}
        if new:
            self._types = {**self._types, **new}
            logger.info("types of metrics changed", extra={"metrics": len(new)})

    def _believed(self, name: str, said: MetricType) -> MetricType:
        known = self._types.get(name, said)
        if self._changes[name] >= CONTRADICTIONS:
            return MetricType.UNKNOWN
        if known != said and known and said:
            self._changes[name] += 1
        return said if self._changes[name] < CONTRADICTIONS else MetricType.UNKNOWN
