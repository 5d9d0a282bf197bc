"""The watch of incidents: one replica at a time turns changes into notices.

The cursor moves in the commit that stores the notices of a change, so a crash repeats none and
loses none.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration
from opentelemetry.trace import SpanKind

from mesh.clients import Backoff, closing, keep_open
from mesh.clients.frames import HEARTBEAT_S, frames_of, going_back, stopped, surviving
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from mesh.telemetry import span
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.notifier import metrics
from services.notifier.convert.incidents import change_of
from services.notifier.decisions.plan import plan
from services.notifier.feed import RoutingFeed
from services.notifier.store import Changes

if TYPE_CHECKING:
    import grpc

    Call = grpc.aio.UnaryStreamCall[pb.WatchIncidentsRequest, pb.WatchIncidentsResponse]

_HOLD_EVERY_S: Final = 2.0

logger = logging.getLogger(__name__)


class IncidentConsumer:
    """Keeps the watch while it holds the cursor; otherwise waits for its turn."""

    def __init__(
        self,
        stub: "pb_grpc.IncidentsServiceAsyncStub",
        changes: Changes,
        feed: RoutingFeed,
        *,
        owner: uuid.UUID,
        clock: Clock,
        drain: Drain,
        cause_wait_s: float = 0.0,
        waits: Callable[[], Backoff] = Backoff,
    ) -> None:
        """Asks by `stub` as `owner`; decides by the routing of `feed`.

        The notice of what opens goes out after `cause_wait_s` when it has no cause until then.
        """
        self._stub = stub
        self._changes = changes
        self._feed = feed
        self._clock = clock
        self._drain = drain
        self._waits = waits
        self._owner = owner
        self._decide = partial(plan, cause_wait_s=cause_wait_s)

    async def run(self) -> None:
        """Runs for ever, opening the watch again whenever it ends."""
        await keep_open(self._session, name="incidents", waits=self._waits())

    async def _session(self, waits: Backoff) -> None:
        if self._drain.started:
            await asyncio.Event().wait()
        with surviving("incidents"):
            await self._hold_and_watch(waits)

    async def _hold_and_watch(self, waits: Backoff) -> None:
        cursor = await self._changes.hold(self._owner)
        if cursor is None:
            waits.reset()
            raise Unavailable("another replica follows the incidents", retry_after_s=_HOLD_EVERY_S)
        try:
            async with (
                going_back(partial(self._changes.back, self._owner), stream="incidents"),
                closing(self._stub.WatchIncidents(_request(cursor))) as call,
            ):
                await self._watch(call, waits)
        finally:
            await self._changes.release(self._owner)

    async def _watch(self, call: "Call", waits: Backoff) -> None:
        reading = asyncio.create_task(self._read(call, waits), name="incidents")
        draining = asyncio.create_task(self._drain.wait())
        try:
            await asyncio.wait([reading, draining], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            await stopped(reading, draining)

    async def _read(self, call: "Call", waits: Backoff) -> None:
        async with aclosing(frames_of(call, sender="the incidents service")) as frames:
            async for frame in frames:
                waits.reset()
                await self._take(frame)
                metrics.CURSOR.set(frame.cursor)

    async def _take(self, frame: pb.WatchIncidentsResponse) -> None:
        if frame.WhichOneof("frame") != "change":
            await self._changes.move(self._owner, frame.cursor)
            return
        change = change_of(frame)
        with span(
            "decide notices",
            kind=SpanKind.CONSUMER,
            parent=change.incident.traceparent,
            attributes={"sensus.incident_id": change.incident.incident_id},
            always_sample=True,
        ):
            added = await self._changes.take(
                self._owner, change, self._feed.routing, self._clock.now_ms(), self._decide
            )
        if change.kind is not None:
            metrics.NOTICES.labels(str(change.kind)).inc(added)


def _request(cursor: int) -> pb.WatchIncidentsRequest:
    return pb.WatchIncidentsRequest(
        after_cursor=cursor,
        include_member_labels=True,
        heartbeat_interval=Duration(seconds=HEARTBEAT_S),
    )
