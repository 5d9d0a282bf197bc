"""The subscription to alerts: each change that fires is explained, then acknowledged."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from google.protobuf.duration_pb2 import Duration
from opentelemetry.trace import SpanKind

from mesh.clients import Backoff, closing, keep_open
from mesh.clients.frames import HEARTBEAT_S, frames_of, stopped, surviving
from mesh.drain import Drain
from mesh.errors import SensusError
from mesh.telemetry import span, traceparent
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from services.explainer import metrics
from services.explainer.clients.ingest import alert_facts
from services.explainer.explanations.lifecycle import Jobs
from services.explainer.model.explanation import State

if TYPE_CHECKING:
    import grpc

    Call = grpc.aio.StreamStreamCall[pb.SubscribeRequest, pb.SubscribeResponse]

SUBSCRIPTION: Final = "explainer"

FAILURES_MAX: Final = 5
ATTEMPTS_MAX: Final = 60
"""Enough, with the waits below, to outlast an hour without database or detector."""

_RETRY_AFTER_MAX_S: Final = 60.0
_LEAVE_WITHIN_S: Final = 3.0

logger = logging.getLogger(__name__)


class _ExplanationFailedError(Exception):
    """The work itself failed: another attempt may help, many will not."""


class AlertConsumer:
    """Keeps a session with ingest until the process drains."""

    def __init__(
        self,
        stub: "pb_grpc.IngestServiceAsyncStub",
        jobs: Jobs,
        *,
        consumer_id: str,
        at_once: int,
        ack_deadline_s: float,
        drain: Drain,
        waits: Callable[[], Backoff] = Backoff,
    ) -> None:
        """At most `at_once` alerts are explained at a time; more are not asked for."""
        self._stub = stub
        self._jobs = jobs
        self._consumer_id = consumer_id
        self._at_once = at_once
        self._ack_deadline_s = ack_deadline_s
        self._drain = drain
        self._waits = waits

    async def run(self) -> None:
        """Runs for ever, opening the stream again whenever it ends."""
        await keep_open(self._session, name="alerts", waits=self._waits())

    async def _session(self, waits: Backoff) -> None:
        if self._drain.started:
            await asyncio.Event().wait()
        with surviving("alerts"):
            session = AlertSession(self._stub, self._jobs, self._opening(), waits.reset)
            await session.run(self._drain)

    def _opening(self) -> pb.SubscribeRequest:
        return pb.SubscribeRequest(
            open=pb.SubscribeOpen(
                subscription=SUBSCRIPTION,
                consumer_id=self._consumer_id,
                topic=pb.TOPIC_ALERTS,
                mode=pb.SUBSCRIPTION_MODE_SHARED,
                initial_credit=pb.SubscribeCredit(samples=self._at_once),
                max_attempts=ATTEMPTS_MAX,
                ack_deadline=Duration(seconds=round(self._ack_deadline_s)),
                heartbeat_interval=Duration(seconds=HEARTBEAT_S),
            )
        )


class AlertSession:
    """One Subscribe stream. Each delivery is a task; its end gives the credit back."""

    def __init__(
        self,
        stub: "pb_grpc.IngestServiceAsyncStub",
        jobs: Jobs,
        opening: pb.SubscribeRequest,
        useful: Callable[[], None],
    ) -> None:
        """Opens nothing yet; `useful` is called when the stream has proved itself."""
        self._stub = stub
        self._jobs = jobs
        self._useful = useful
        self._working: set[asyncio.Task[None]] = set()
        self._outgoing: asyncio.Queue[pb.SubscribeRequest | None] = asyncio.Queue()
        self._outgoing.put_nowait(opening)

    async def run(self, drain: Drain) -> None:
        """Returns when ingest or this process drains; what is in hand is finished or given back.

        Raises:
            grpc.aio.AioRpcError: The stream broke; what was not acknowledged comes again.
            Unavailable: Ingest is silent.
        """
        async with closing(self._stub.Subscribe(self._requests())) as call:
            reading = asyncio.create_task(self._read(call), name="alerts")
            draining = asyncio.create_task(drain.wait())
            try:
                await asyncio.wait([reading, draining], return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()
            finally:
                await self._leave(reading)
                await stopped(reading, draining, *self._working)

    async def _leave(self, reading: "asyncio.Task[None]") -> None:
        """Lets what is in hand end and its acks go out, as far as the stream still lives."""
        if reading.done() and (reading.cancelled() or reading.exception()):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                if self._working:
                    await asyncio.wait(self._working)
                self._outgoing.put_nowait(None)
                await asyncio.wait([reading])

    async def _requests(self) -> AsyncIterator[pb.SubscribeRequest]:
        """What is to be said, acks of one moment as one, and credit as one; until there is None."""
        while True:
            frames = [await self._outgoing.get()]
            while not self._outgoing.empty():
                frames.append(self._outgoing.get_nowait())
            said = [each for each in frames if each is not None]
            acked = [id for each in said for id in each.ack.delivery_ids]
            credit = sum(each.credit.samples for each in said)
            for each in said:
                if not (each.HasField("ack") or each.HasField("credit")):
                    yield each
            if acked:
                yield pb.SubscribeRequest(ack=pb.SubscribeAck(delivery_ids=acked))
            if credit:
                yield pb.SubscribeRequest(credit=pb.SubscribeCredit(samples=credit))
            if len(said) < len(frames):
                return

    async def _read(self, call: "Call") -> None:
        async with aclosing(frames_of(call, sender="ingest")) as frames:
            async for frame in frames:
                self._take(frame)

    def _take(self, frame: pb.SubscribeResponse) -> None:
        if frame.WhichOneof("frame") == "opened":
            logger.info("subscribed", extra={"session": frame.opened.session_id})
            return
        self._useful()
        if frame.WhichOneof("frame") == "alert":
            task = asyncio.create_task(self._process(frame.alert))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _process(self, delivery: pb.AlertDelivery) -> None:
        try:
            await self._explain(delivery)
            outcome, answer = "done", _ack(delivery)
        except _ExplanationFailedError as error:
            hopeless = delivery.attempt >= FAILURES_MAX
            outcome, answer = "failed", _nack(delivery, str(error), permanent=hopeless)
        except SensusError as error:
            outcome, answer = "retry", _nack(delivery, error.message, error.retry_after_s)
        except Exception:
            error_id = uuid.uuid4().hex
            logger.exception("unforeseen error", extra={"error_id": error_id})
            outcome, answer = "retry", _nack(delivery, f"internal error {error_id}")
        metrics.DELIVERIES.labels("alert", outcome).inc()
        self._outgoing.put_nowait(answer)
        credit = pb.SubscribeCredit(samples=1)
        self._outgoing.put_nowait(pb.SubscribeRequest(credit=credit))

    async def _explain(self, delivery: pb.AlertDelivery) -> None:
        alert = delivery.alert
        with span(
            "process alert",
            kind=SpanKind.CONSUMER,
            parent=alert.traceparent,
            attributes={"sensus.alert_id": alert.alert_id, "sensus.attempt": delivery.attempt},
            always_sample=True,
        ):
            if alert.state != alert_pb2.ALERT_STATE_FIRING:
                return
            ended = await self._jobs.explain(alert_facts(alert), parent=traceparent())
            if ended is State.FAILED:
                raise _ExplanationFailedError("the explanation failed")


def _ack(delivery: pb.AlertDelivery) -> pb.SubscribeRequest:
    return pb.SubscribeRequest(ack=pb.SubscribeAck(delivery_ids=[delivery.delivery_id]))


def _nack(
    delivery: pb.AlertDelivery,
    reason: str,
    after_s: float | None = None,
    *,
    permanent: bool = False,
) -> pb.SubscribeRequest:
    after = Duration()
    wait_s = min(2.0 ** min(delivery.attempt, 10), _RETRY_AFTER_MAX_S)
    after.FromMilliseconds(round(1000 * max(wait_s, after_s or 0.0)))
    return pb.SubscribeRequest(
        nack=pb.SubscribeNack(
            delivery_ids=[delivery.delivery_id],
            redeliver_after=after,
            reason=reason,
            permanent=permanent,
        )
    )
