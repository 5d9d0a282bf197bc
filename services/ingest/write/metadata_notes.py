"""What senders say of their metrics is written once, and again when it changes."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from cachetools import LRUCache

from mesh.errors import SensusError
from services.ingest.model.metadata import Metadata
from services.ingest.store.metadata import MetadataStore

_KNOWN: Final = 100_000
_DUE: Final = 50_000
"""Of each caller; what is more is noted when it is sent again."""
_AT_ONCE: Final = 5_000

logger = logging.getLogger(__name__)


class MetadataNotes:
    """Writes behind the answers: no sample waits for it, or is refused.

    What could not be written is kept for the next time.
    """

    def __init__(self, store: MetadataStore) -> None:
        """Writes to `store`."""
        self._store = store
        self._known: LRUCache[str, Metadata] = LRUCache(_KNOWN)
        self._due: dict[str, dict[str, Metadata]] = {}
        self._writing: asyncio.Task[None] | None = None

    def note(self, caller: str, metrics: Sequence[Metadata]) -> None:
        """Takes what a body of a caller says; what is new in it is written soon."""
        due = self._due.get(caller, {})
        for each in metrics:
            if self._known.get(each.name) != each and (each.name in due or len(due) < _DUE):
                due[each.name] = each
        if due:
            self._due[caller] = due
        if self._due and (self._writing is None or self._writing.done()):
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._due:
                for caller in [*self._due]:  # in turn: nobody waits for all of another
                    await self._write_some(caller, self._due[caller])
        except SensusError as error:
            logger.info("metadata waits for the database", extra={"cause": error.message})

    async def _write_some(self, caller: str, due: dict[str, Metadata]) -> None:
        writing = [*due.values()][:_AT_ONCE]
        await self._store.save(caller, writing)
        for each in writing:
            self._known[each.name] = each
            if due.get(each.name) == each:
                del due[each.name]
        if not due:
            del self._due[caller]
