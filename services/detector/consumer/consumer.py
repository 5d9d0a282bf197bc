"""The subscription to samples: one session per stream, opened again for ever."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from mesh.clients import Backoff, keep_open
from mesh.drain import Drain
from sensus.ingest.v1 import ingest_service_pb2_grpc
from services.detector.consumer.session import Session
from services.detector.detectors.engine import Settings
from services.detector.feeds.feed import Following
from services.detector.shards.credit import Amount
from services.detector.shards.shard import Terms

SUBSCRIPTION: Final = "detector"

logger = logging.getLogger(__name__)


class Consumer:
    """Keeps a session with ingest until the process drains."""

    def __init__(
        self,
        stub: "ingest_service_pb2_grpc.IngestServiceAsyncStub",
        *,
        consumer_id: str,
        limit: Amount,
        terms: Terms,
        settings: Settings,
        feeds: Following,
        prepare: Callable[[], None],
        drain: Drain,
        waits: Callable[[], Backoff] = Backoff,
    ) -> None:
        """Opens nothing yet: samples wait in the log until every feed is known.

        Before that `prepare` makes the engine ready in the pool, while the server serves.
        """
        self._stub = stub
        self._consumer_id = consumer_id
        self._limit = limit
        self._terms = terms
        self._settings = settings
        self._feeds = feeds
        self._prepare = prepare
        self._drain = drain
        self._waits = waits

    async def run(self) -> None:
        """Runs for ever; on draining or cancellation every shard is checkpointed and released."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._terms.pool, self._prepare)
        await self._feeds.known()
        await keep_open(self._session, name="samples", waits=self._waits())

    async def _session(self, waits: Backoff) -> None:
        if not self._drain.started:
            session = Session(
                self._stub,
                consumer_id=self._consumer_id,
                limit=self._limit,
                terms=self._terms,
                settings=self._settings,
                useful=waits.reset,
            )
            await session.run(self._drain)
        if self._drain.started:
            await asyncio.Event().wait()
