"""A subscription by shards: one session per stream, opened again for ever."""

import asyncio
from collections.abc import Callable

from mesh.clients import Backoff, keep_open
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.subscription.credit import Amount
from mesh.subscription.session import Session
from mesh.subscription.subscriber import Subscriber
from sensus.ingest.v1 import ingest_service_pb2_grpc


class Subscription:
    """Keeps a session with ingest until the process drains."""

    def __init__(
        self,
        stub: "ingest_service_pb2_grpc.IngestServiceAsyncStub",
        subscriber: Callable[[], Subscriber],
        clock: Clock,
        drain: Drain,
        *,
        consumer_id: str,
        limit: Amount,
        show_credit: Callable[[float], None],
    ) -> None:
        """Opens nothing yet; `subscriber` makes the service's side of each stream."""
        self._stub = stub
        self._subscriber = subscriber
        self._clock = clock
        self._drain = drain
        self._consumer_id = consumer_id
        self._limit = limit
        self._show_credit = show_credit

    async def run(self, name: str) -> None:
        """Runs for ever; on draining or cancellation every shard is committed and released.

        Args:
            name: For logs.
        """
        await keep_open(self._session, name=name, waits=Backoff())

    async def _session(self, waits: Backoff) -> None:
        if not self._drain.started:
            session = Session(
                self._stub,
                self._subscriber(),
                self._clock,
                consumer_id=self._consumer_id,
                limit=self._limit,
                show_credit=self._show_credit,
                useful=waits.reset,
            )
            await session.run(self._drain)
        if self._drain.started:
            await asyncio.Event().wait()
