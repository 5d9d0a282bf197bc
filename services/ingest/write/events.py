"""OTLP traces and logs: a body in, what became of its records out."""

from typing import Final

from mesh.clock import Clock
from mesh.telemetry import traceparent
from services.ingest.metrics import EVENTS_RECEIVED, EVENTS_REFUSED, EVENTS_REPEATED
from services.ingest.model.events import EventBatch, shards_of
from services.ingest.otlp.event_body import EventBody
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.traces import OtlpTracesReader
from services.ingest.write.bodies import PRODUCER, BodyWriter, body_number
from services.ingest.write.event_committer import EventCommitter
from services.ingest.write.name_caps import NameCaps
from services.ingest.write.otlp import OtlpWritten
from services.ingest.write.sample_rates import SampleRates

_TRACES: Final = "otlp traces"
_LOGS: Final = "otlp logs"


class EventWrites:
    """Takes requests for traces and for logs."""

    def __init__(
        self,
        bodies: BodyWriter,
        committer: EventCommitter,
        rates: SampleRates,
        clock: Clock,
        *,
        shard_count: int,
        takes_examples: bool,
    ) -> None:
        """Bodies are read where `bodies` reads them; `rates` are those of events."""
        self._bodies = bodies
        self._committer = committer
        self._rates = rates
        self._clock = clock
        self._caps = NameCaps(clock)
        self._shard_count = shard_count
        self._traces = OtlpTracesReader(takes_examples=takes_examples)
        self._logs = OtlpLogsReader(takes_examples=takes_examples)

    async def write_traces(self, caller: str, body: bytes) -> OtlpWritten:
        """Returns when the good spans are durable.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
            Overloaded: CALLER_OVER_LIMIT or SAMPLE_RATE_EXCEEDED.
            Unavailable: Nothing is acknowledged; send the body again.
        """
        return await self._write(caller, _TRACES, body, self._traces)

    async def write_logs(self, caller: str, body: bytes) -> OtlpWritten:
        """Like `write_traces`, of log records."""
        return await self._write(caller, _LOGS, body, self._logs)

    async def _write(
        self, caller: str, kind: str, body: bytes, reader: OtlpTracesReader | OtlpLogsReader
    ) -> OtlpWritten:
        now_ns = self._clock.now_ms() * 1_000_000
        async with self._bodies.room(caller, kind, body) as room:
            found = await room.read(
                lambda content: self._caps.capped(caller, reader.read(content, now_ns))
            )
            if len(found.rows):
                self._rates.take(caller, len(found.rows))
                await self._commit(caller, kind, body, found)
        EVENTS_REFUSED.labels(kind).inc(found.rejected)
        return OtlpWritten(rejected=found.rejected, message="; ".join(found.reasons))

    async def _commit(self, caller: str, kind: str, body: bytes, found: EventBody) -> None:
        batch = EventBatch(
            producer_id=PRODUCER.format(caller=caller, kind=kind),
            sequence=await body_number(body),
            rows=found.rows,
            shards=shards_of(found.rows, self._shard_count),
            names=found.names,
            examples=found.examples,
            traceparent=traceparent(),
        )
        if await self._committer.commit(batch):
            EVENTS_REPEATED.labels(kind).inc()
        else:
            EVENTS_RECEIVED.labels(kind).inc(len(found.rows))
