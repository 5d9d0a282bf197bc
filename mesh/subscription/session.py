"""One Subscribe stream: opened, listened to, watched, and closed in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mesh.clients import closing
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import Unavailable
from mesh.subscription import frames
from mesh.subscription.credit import Amount, Credit
from mesh.subscription.shard_tasks import ShardTasks
from mesh.subscription.subscriber import Subscriber
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1 import ingest_service_pb2_grpc

MISSED_HEARTBEATS: Final = 3
GIVE_BACK_S: Final = 5.0
LISTEN_EVERY_S: Final = 1.0

if TYPE_CHECKING:
    import grpc

    Call = grpc.aio.StreamStreamCall[ingest_pb.SubscribeRequest, ingest_pb.SubscribeResponse]

logger = logging.getLogger(__name__)


class Session:
    """Holds the shards that ingest assigns for as long as the stream lives."""

    def __init__(
        self,
        stub: "ingest_service_pb2_grpc.IngestServiceAsyncStub",
        subscriber: Subscriber,
        clock: Clock,
        *,
        consumer_id: str,
        limit: Amount,
        show_credit: Callable[[float], None],
        useful: Callable[[], None],
    ) -> None:
        """Opens nothing yet; `useful` is called when the stream has proved itself."""
        self._stub = stub
        self._subscriber = subscriber
        self._clock = clock
        self._outgoing: asyncio.Queue[ingest_pb.SubscribeRequest | None] = asyncio.Queue()
        self._told_to_leave = asyncio.Event()
        self._useful = useful
        self._silence_s = float(MISSED_HEARTBEATS * frames.HEARTBEAT_S)
        self._heard_s = self._clock.monotonic_s()
        self._send(frames.opening(subscriber, consumer_id, limit))
        self._holdings = ShardTasks(
            subscriber, holder=consumer_id, credit=Credit(limit, show_credit), send=self._send
        )

    async def run(self, drain: Drain) -> None:
        """Returns when ingest or this process drains, every shard committed and released.

        Raises:
            grpc.aio.AioRpcError: The stream broke; what was not committed will come again.
            Unavailable: Ingest is silent, or what it sent makes no sense.
        """
        async with closing(self._stub.Subscribe(self._requests())) as call:
            reading = asyncio.create_task(self._read(call), name="subscription")
            leaving: list[asyncio.Task[Any]] = [
                asyncio.create_task(self._listen_for_silence()),
                asyncio.create_task(self._told_to_leave.wait()),
                asyncio.create_task(drain.wait()),
            ]
            watched: list[asyncio.Future[Any]] = [reading, *leaving, self._holdings.failed]
            try:
                await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                _raise_first(watched)
            finally:
                await _finished(self._end(reading, leaving))

    def _send(self, frame: ingest_pb.SubscribeRequest) -> None:
        self._outgoing.put_nowait(frame)

    async def _requests(self) -> AsyncIterator[ingest_pb.SubscribeRequest]:
        while (frame := await self._outgoing.get()) is not None:
            yield frame

    async def _read(self, call: "Call") -> None:
        async for frame in call:
            self._heard_s = self._clock.monotonic_s()
            self._take(frame)

    def _take(self, frame: ingest_pb.SubscribeResponse) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "opened":
            self._opened(frame.opened)
            return
        self._useful()
        match kind:
            case "assignment":
                self._assignment(frame.assignment)
            case "samples" | "events":
                self._deliver(frame)
            case "heartbeat":
                self._heartbeat(frame.heartbeat)
            case "gap":
                self._gap(frame.gap)
            case "draining":
                self._told_to_leave.set()

    def _opened(self, opened: ingest_pb.SubscribeOpened) -> None:
        interval_s = opened.heartbeat_interval.ToTimedelta().total_seconds()
        self._silence_s = MISSED_HEARTBEATS * (interval_s or frames.HEARTBEAT_S)
        logger.info("subscribed", extra={"session": opened.session_id})

    def _assignment(self, assignment: ingest_pb.ShardAssignment) -> None:
        for shard in assignment.revoked:
            self._holdings.revoke(shard)
        for assigned in assignment.assigned:
            self._holdings.assign(assigned.shard, assigned.epoch)

    def _deliver(self, frame: ingest_pb.SubscribeResponse) -> None:
        delivery = self._subscriber.delivery(frame)
        if delivery is not None:
            self._holdings.deliver(delivery)

    def _heartbeat(self, heartbeat: ingest_pb.Heartbeat) -> None:
        self._subscriber.show_lag(sum(each.lag for each in heartbeat.lags))
        for each in heartbeat.lags:
            self._holdings.beat(each.shard, heartbeat.server_time.ToMilliseconds(), each.lag)

    def _gap(self, gap: ingest_pb.Gap) -> None:
        self._subscriber.show_gap(gap.shard)
        note = {"shard": gap.shard, "after": gap.after_cursor, "to": gap.resumes_after_cursor}
        logger.error("history was dropped before it was processed", extra=note)
        self._holdings.skip(gap.shard, gap.resumes_after_cursor)

    async def _listen_for_silence(self) -> None:
        while (left_s := self._heard_s + self._silence_s - self._clock.monotonic_s()) > 0:
            await self._clock.sleep(min(left_s, LISTEN_EVERY_S))
        raise Unavailable(f"ingest has been silent for {self._silence_s:g} s", retry_after_s=None)

    async def _end(self, reading: "asyncio.Task[Any]", others: "list[asyncio.Task[Any]]") -> None:
        if not reading.done() and not self._holdings.failed.done():
            await self._leave(reading)
        await self._close([reading, *others])

    async def _leave(self, reading: "asyncio.Task[Any]") -> None:
        """Commits, releases and half-closes; ingest then ends the stream."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_BACK_S):
                await self._holdings.give_back()
                self._outgoing.put_nowait(None)
                await asyncio.wait([reading])

    async def _close(self, tasks: "list[asyncio.Task[Any]]") -> None:
        await self._holdings.close()
        self._outgoing.put_nowait(None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._holdings.failed.done():
            self._holdings.failed.exception()


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Lets `work` finish although the caller is cancelled meanwhile; a second time ends it."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _raise_first(watched: "list[asyncio.Future[Any]]") -> None:
    for each in watched:
        if each.done() and (error := each.exception()) is not None:
            raise error
