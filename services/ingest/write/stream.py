"""One WriteSamples stream: definitions and batches in, acks out, credit kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mesh.budget import ByteBudget, Reservation
from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import InvalidInput, Overloaded, Unavailable
from services.ingest.long_stream import Put, answers
from services.ingest.model.writes import (
    Ack,
    BatchRefused,
    IncomingBatch,
    Refusal,
    SampleReason,
)
from services.ingest.store.log import Log
from services.ingest.write.frames import (
    Definitions,
    Draining,
    SentBatch,
    StreamOpened,
    WriteAnswer,
    WriteFrame,
    WriteOpen,
)
from services.ingest.write.intake import Intake, ResolvedBatch

_OVERDRAFT = 2
_STREAM_BYTES = 64 * 1024
_RESERVED_BYTES = 256 * 1024
_RESERVED_MOST_BYTES = 2 * 1024 * 1024
_RESERVED_S = 5.0


class WriteStreams:
    """Serves streams of writes."""

    def __init__(
        self,
        intake: Intake,
        log: Log,
        clock: Clock,
        drain: Drain,
        *,
        grace_s: float,
        budget: ByteBudget,
    ) -> None:
        """A stream that does not end by itself ends `grace_s` after the signal to drain.

        `budget` bounds what all streams hold: batches in work, and acks that nobody reads.
        """
        self._intake = intake
        self._log = log
        self._clock = clock
        self._drain = drain
        self._grace_s = grace_s
        self._budget = budget

    def serve(self, frames: AsyncIterator[WriteFrame], caller: str) -> AsyncIterator[WriteAnswer]:
        """Answers one stream of `caller`.

        Raises:
            InvalidInput: OPEN_REQUIRED, OPEN_TWICE, TOO_MANY_SERIES or what `frames` raises.
            Overloaded: CREDIT_EXCEEDED, or UNREAD when the caller leaves its acks unread.
        """
        return answers(lambda put: self._work(frames, caller, put))

    async def _work(
        self, frames: AsyncIterator[WriteFrame], caller: str, put: Put[WriteAnswer]
    ) -> None:
        opened = await anext(frames, None)
        if not isinstance(opened, WriteOpen):
            raise InvalidInput("the first frame must be `open`", reason="OPEN_REQUIRED")
        last = await self._log.last_sequence(opened.producer_id, self._clock.now_ms())
        await put(StreamOpened(last))
        room = _StreamBudget(self._budget, caller)
        stream = _Stream(self._intake, opened.producer_id, room, put)
        async with room.opened(), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(stream.read(frames))
            stopping = tasks.create_task(self._stop(put, reading))
            await asyncio.wait([reading])
            stopping.cancel()

    async def _stop(self, put: Put[WriteAnswer], reading: "asyncio.Task[None]") -> None:
        await self._drain.wait()
        await put(Draining(self._grace_s))
        await self._clock.sleep(self._grace_s)
        reading.cancel()


class _StreamBudget:
    """The part of the budget that one stream uses: for itself, and for its next batch."""

    def __init__(self, budget: ByteBudget, caller: str) -> None:
        self._budget = budget
        self._caller = caller
        self._next_bytes = _RESERVED_MOST_BYTES
        self._reserved: Reservation | None = None
        self._idle: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Room for an open stream."""
        async with self._budget.holding(self._caller, _STREAM_BYTES):
            try:
                yield
            finally:
                if reserved := self._handed_on():
                    reserved.release()

    async def reserve(self) -> None:
        """Waits for room for a batch like the last one, before it is read.

        Without it every stream that waits would be read as soon as there is room for one. A stream
        that sends nothing gives most of it back.
        """
        if self._reserved is None:
            self._reserved = await self._budget.take(self._caller, self._next_bytes)
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(_RESERVED_S, self._reserved.shrink, _RESERVED_BYTES)

    def take(self, batch: IncomingBatch | BatchRefused) -> Reservation:
        """The room of the batch that has come: what was reserved, made as large as it is.

        It is in memory, so it does not wait: while it did, others would be read into the room that
        it had given back.
        """
        size = batch.size_bytes if isinstance(batch, IncomingBatch) else 0
        self._next_bytes = min(size, _RESERVED_MOST_BYTES)
        held = self._handed_on()
        if held is None:
            raise RuntimeError("a frame was read without room for it")
        held.resize(size)
        return held

    def _handed_on(self) -> Reservation | None:
        held, self._reserved = self._reserved, None
        if self._idle is not None:
            self._idle.cancel()
        return held


class _Stream:
    def __init__(
        self, intake: Intake, producer_id: str, room: _StreamBudget, put: Put[WriteAnswer]
    ) -> None:
        self._intake = intake
        self._producer_id = producer_id
        self._room = room
        self._put = put
        self._table = intake.table()
        self._in_flight = 0

    async def read(self, frames: AsyncIterator[WriteFrame]) -> None:
        """Returns when the sender has half-closed and every batch is answered."""
        async with asyncio.TaskGroup() as writes:
            await self._room.reserve()
            async for frame in frames:
                await self._take(frame, writes)
                del frame
                await self._room.reserve()

    async def _take(self, frame: WriteFrame, writes: asyncio.TaskGroup) -> None:
        match frame:
            case Definitions(by_ref):
                for ref, definition in by_ref:
                    self._table.define(ref, definition)
            case SentBatch(sequence, batch):
                self._spend_credit()
                held = self._room.take(batch)
                try:
                    resolved = await self._resolved(batch)
                except BaseException:
                    held.release()
                    raise
                answer = self._answer(sequence, resolved, held)
                writes.create_task(answer).add_done_callback(lambda _: held.release())
            case WriteOpen():
                raise InvalidInput("`open` comes once: open another stream", reason="OPEN_TWICE")

    async def _resolved(self, batch: IncomingBatch | BatchRefused) -> ResolvedBatch | BatchRefused:
        if isinstance(batch, BatchRefused):
            return batch
        return await self._intake.resolve(self._table, batch)

    def _spend_credit(self) -> None:
        credit = self._intake.limits.initial_credit
        self._in_flight += 1
        if self._in_flight > _OVERDRAFT * credit:
            rule = f"more than {credit} batches in flight: wait for acks before sending more"
            raise Overloaded(rule, reason="CREDIT_EXCEEDED")

    async def _answer(
        self, sequence: int, batch: ResolvedBatch | BatchRefused, held: Reservation
    ) -> None:
        ack = await self._ack(sequence, batch)
        del batch
        held.shrink(ack.size_bytes)
        await self._put(ack)
        self._in_flight -= 1

    async def _ack(self, sequence: int, batch: ResolvedBatch | BatchRefused) -> Ack:
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
