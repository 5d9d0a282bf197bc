"""The watch of anomalies: those that are severe enough are explained, by one replica at a time.

The cursor is moved over an anomaly only after its explanation is stored, so a crash repeats some
and loses none; a repeated one finds its explanation done.
"""

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration
from opentelemetry.trace import SpanKind

from mesh.clients import Backoff, backoff, closing, keep_open
from mesh.clients.frames import HEARTBEAT_S, frames_of, going_back, stopped, surviving
from mesh.drain import Drain
from mesh.errors import SensusError, Unavailable
from mesh.telemetry import span, traceparent
from sensus.core.v1 import series_pb2
from sensus.detector.v1 import detector_service_pb2 as pb
from sensus.detector.v1 import detector_service_pb2_grpc as pb_grpc
from services.explainer import metrics
from services.explainer.clients.detector import anomaly_facts
from services.explainer.explanations.lifecycle import Jobs
from services.explainer.model.explanation import State
from services.explainer.store.cursors import Cursors

if TYPE_CHECKING:
    import grpc

    Call = grpc.aio.UnaryStreamCall[pb.WatchAnomaliesRequest, pb.WatchAnomaliesResponse]

WATCH: Final = "anomalies"
FAILURES_MAX: Final = 3

_SETTLE_EVERY_S: Final = 0.5
_HOLD_EVERY_S: Final = 5.0
_SEVERITY: Final = {
    "info": series_pb2.SEVERITY_INFO,
    "warning": series_pb2.SEVERITY_WARNING,
    "critical": series_pb2.SEVERITY_CRITICAL,
}

logger = logging.getLogger(__name__)


class AnomalyConsumer:
    """Keeps the watch while it holds the cursor; otherwise waits for its turn."""

    def __init__(
        self,
        stub: "pb_grpc.DetectorServiceAsyncStub",
        jobs: Jobs,
        cursors: Cursors,
        *,
        min_severity: str,
        at_once: int,
        drain: Drain,
        waits: Callable[[], Backoff] = Backoff,
    ) -> None:
        """`min_severity` is info, warning, critical, or none for no watch at all."""
        self._stub = stub
        self._jobs = jobs
        self._cursors = cursors
        self._severity = _SEVERITY.get(min_severity, series_pb2.SEVERITY_UNSPECIFIED)
        self._at_once = at_once
        self._drain = drain
        self._waits = waits
        self._owner = uuid.uuid4()

    async def run(self) -> None:
        """Runs for ever, opening the watch again whenever it ends."""
        if self._severity == series_pb2.SEVERITY_UNSPECIFIED:
            await asyncio.Event().wait()
        await keep_open(self._session, name="anomalies", waits=self._waits())

    async def _session(self, waits: Backoff) -> None:
        if self._drain.started:
            await asyncio.Event().wait()
        with surviving("anomalies"):
            await self._hold_and_watch(waits)

    async def _hold_and_watch(self, waits: Backoff) -> None:
        cursor = await self._cursors.hold(WATCH, self._owner)
        if cursor is None:
            raise Unavailable("another replica watches", retry_after_s=_HOLD_EVERY_S)
        try:
            watch = AnomalyWatch(self._jobs, self._cursors, self._owner, self._at_once, waits.reset)
            async with (
                going_back(partial(self._cursors.back, WATCH, self._owner), stream=WATCH),
                closing(self._stub.WatchAnomalies(self._request(cursor))) as call,
            ):
                await watch.run(call, self._drain)
        finally:
            await self._cursors.release(WATCH, self._owner)

    def _request(self, cursor: int) -> pb.WatchAnomaliesRequest:
        return pb.WatchAnomaliesRequest(
            after_cursor=cursor,
            min_severity=self._severity,
            heartbeat_interval=Duration(seconds=HEARTBEAT_S),
        )


class AnomalyWatch:
    """One WatchAnomalies stream: reads ahead as far as there is room, settles in order."""

    def __init__(
        self,
        jobs: Jobs,
        cursors: Cursors,
        owner: uuid.UUID,
        at_once: int,
        useful: Callable[[], None],
    ) -> None:
        """Reads nothing yet."""
        self._jobs = jobs
        self._cursors = cursors
        self._owner = owner
        self._room = asyncio.Semaphore(at_once)
        self._useful = useful
        self._pending: deque[tuple[int, asyncio.Task[None] | None]] = deque()

    async def run(self, call: "Call", drain: Drain) -> None:
        """Returns when the detector or this process drains.

        Raises:
            grpc.aio.AioRpcError: The stream broke.
            Unavailable: The detector is silent, or another replica holds the watch now.
        """
        reading = asyncio.create_task(self._read(call), name="anomalies")
        settling = asyncio.create_task(self._settle_for_ever())
        draining = asyncio.create_task(drain.wait())
        ends = [reading, settling, draining]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for each in ends:
                if each.done():
                    each.result()
        finally:
            working = [task for _, task in self._pending if task is not None]
            await stopped(*ends, *working)

    async def _read(self, call: "Call") -> None:
        async with aclosing(frames_of(call, sender="the detector")) as frames:
            async for frame in frames:
                await self._take(frame)

    async def _take(self, frame: pb.WatchAnomaliesResponse) -> None:
        self._useful()
        if frame.WhichOneof("frame") != "anomaly":
            self._pending.append((frame.cursor, None))
            return
        await self._room.acquire()
        task = asyncio.create_task(self._process(frame.anomaly))
        task.add_done_callback(lambda _: self._room.release())
        self._pending.append((frame.cursor, task))

    async def _settle_for_ever(self) -> None:
        reached = 0
        while True:
            while self._pending and self._is_settled(self._pending[0][1]):
                reached = self._pending.popleft()[0]
            self._compact()
            if not await self._cursors.move(WATCH, self._owner, reached):
                raise Unavailable("another replica watches the anomalies now")
            metrics.WATCH_CURSOR.set(reached)
            await asyncio.sleep(_SETTLE_EVERY_S)

    def _compact(self) -> None:
        """Of what is settled behind one that is not, only the last cursor matters."""
        kept: deque[tuple[int, asyncio.Task[None] | None]] = deque()
        for cursor, task in self._pending:
            if kept and self._is_settled(task) and self._is_settled(kept[-1][1]):
                kept.pop()
            kept.append((cursor, task))
        self._pending = kept

    def _is_settled(self, task: "asyncio.Task[None] | None") -> bool:
        return task is None or task.done()

    async def _process(self, anomaly: pb.Anomaly) -> None:
        """Tries until it is explained; gives up what fails by itself, waits out what is away."""
        failures = 0
        async for _ in backoff():
            try:
                if await self._explain(anomaly) is not State.FAILED:
                    metrics.DELIVERIES.labels("anomaly", "done").inc()
                    return
                failures += 1
            except SensusError as error:
                note = {"anomaly_id": anomaly.anomaly_id, "cause": error.message}
                logger.warning("anomaly not explained yet", extra=note)
            except Exception:
                logger.exception("unforeseen error", extra={"anomaly_id": anomaly.anomaly_id})
                failures += 1
            if failures >= FAILURES_MAX:
                break
            metrics.DELIVERIES.labels("anomaly", "retry").inc()
        metrics.DELIVERIES.labels("anomaly", "buried").inc()
        logger.error("anomaly given up", extra={"anomaly_id": anomaly.anomaly_id})

    async def _explain(self, anomaly: pb.Anomaly) -> State:
        with span(
            "process anomaly",
            kind=SpanKind.CONSUMER,
            parent=anomaly.traceparent,
            attributes={"sensus.anomaly_id": anomaly.anomaly_id},
            always_sample=True,
        ):
            return await self._jobs.explain(anomaly_facts(anomaly), parent=traceparent())
