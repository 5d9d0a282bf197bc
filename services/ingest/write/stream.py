"""One WriteSamples stream: definitions and batches in, acks out, credit kept."""

import asyncio
from collections.abc import AsyncIterator

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import InvalidInput, Overloaded, Unavailable
from services.ingest.long_stream import Put, answers
from services.ingest.model.writes import (
    Ack,
    BatchRefused,
    Incoming,
    Refusal,
    SampleReason,
)
from services.ingest.store.log import Log
from services.ingest.write.frames import (
    Definitions,
    Draining,
    Opened,
    Sent,
    WriteAnswer,
    WriteFrame,
    WriteOpen,
)
from services.ingest.write.intake import Intake, Resolved

_OVERDRAFT = 2


class WriteStreams:
    """Serves streams of writes."""

    def __init__(
        self, intake: Intake, log: Log, clock: Clock, drain: Drain, *, grace_s: float
    ) -> None:
        """A stream that does not end by itself ends `grace_s` after the word to drain."""
        self._intake = intake
        self._log = log
        self._clock = clock
        self._drain = drain
        self._grace_s = grace_s

    def serve(self, frames: AsyncIterator[WriteFrame]) -> AsyncIterator[WriteAnswer]:
        """Answers one stream.

        Raises:
            InvalidInput: OPEN_REQUIRED, OPEN_TWICE, TOO_MANY_SERIES or what `frames` raises.
            Overloaded: CREDIT_EXCEEDED.
        """
        return answers(lambda put: self._work(frames, put))

    async def _work(self, frames: AsyncIterator[WriteFrame], put: Put[WriteAnswer]) -> None:
        opened = await anext(frames, None)
        if not isinstance(opened, WriteOpen):
            raise InvalidInput("the first frame must be `open`", reason="OPEN_REQUIRED")
        last = await self._log.last_sequence(opened.producer_id, self._clock.now_ms())
        await put(Opened(last))
        stream = _Stream(self._intake, opened.producer_id, put)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(stream.read(frames))
            stopping = tasks.create_task(self._stop(put, reading))
            await asyncio.wait([reading])
            stopping.cancel()

    async def _stop(self, put: Put[WriteAnswer], reading: "asyncio.Task[None]") -> None:
        await self._drain.wait()
        await put(Draining(self._grace_s))
        await self._clock.sleep(self._grace_s)
        reading.cancel()


class _Stream:
    def __init__(self, intake: Intake, producer_id: str, put: Put[WriteAnswer]) -> None:
        self._intake = intake
        self._producer_id = producer_id
        self._put = put
        self._table = intake.table()
        self._in_flight = 0

    async def read(self, frames: AsyncIterator[WriteFrame]) -> None:
        """Returns when the sender has half-closed and every batch is answered."""
        async with asyncio.TaskGroup() as writes:
            async for frame in frames:
                self._take(frame, writes)

    def _take(self, frame: WriteFrame, writes: asyncio.TaskGroup) -> None:
        match frame:
            case Definitions(by_ref):
                for ref, definition in by_ref:
                    self._table.define(ref, definition)
            case Sent(sequence, batch):
                self._spend_credit()
                writes.create_task(self._answer(sequence, self._resolved(batch)))
            case WriteOpen():
                raise InvalidInput("`open` comes once: open another stream", reason="OPEN_TWICE")

    def _resolved(self, batch: Incoming | BatchRefused) -> Resolved | BatchRefused:
        if isinstance(batch, BatchRefused):
            return batch
        return self._intake.resolve(self._table, batch)

    def _spend_credit(self) -> None:
        credit = self._intake.limits.initial_credit
        self._in_flight += 1
        if self._in_flight > _OVERDRAFT * credit:
            told = f"more than {credit} batches in flight: wait for acks before sending more"
            raise Overloaded(told, reason="CREDIT_EXCEEDED")

    async def _answer(self, sequence: int, batch: Resolved | BatchRefused) -> None:
        await self._put(await self._ack(sequence, batch))
        self._in_flight -= 1

    async def _ack(self, sequence: int, batch: Resolved | BatchRefused) -> Ack:
        if isinstance(batch, BatchRefused):
            return refused(sequence, batch)
        try:
            return await self._intake.write_resolved(self._producer_id, batch)
        except Unavailable as error:
            rows = len(batch.slots)
            return refused(
                sequence, BatchRefused(SampleReason.UNAVAILABLE, error.message, rows=rows)
            )


def refused(sequence: int, error: BatchRefused) -> Ack:
    """The ack of a whole batch that was not stored."""
    refusal = Refusal(0, error.cause, error.message)
    return Ack(sequence=sequence, rejected=error.rows, refusals=[refusal])
