"""Bodies of other systems: read beside the event loop, written as one batch, counted once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager, suppress
from hashlib import blake2b
from typing import Any, Final, TypeVar

from mesh.budget import ByteBudget, Reservation
from mesh.errors import InvalidInput, Overloaded
from mesh.telemetry import traceparent
from services.ingest.metrics import BODIES_REFUSED
from services.ingest.model.foreign import NO_RECORD, SHOWN_REFUSALS, ForeignAck, ForeignBatch
from services.ingest.model.writes import Ack, Refusal
from services.ingest.write.compiled_loops import CompiledLoops
from services.ingest.write.intake import Intake
from services.ingest.write.metadata_notes import MetadataNotes
from services.ingest.write.turns import Turns, beside

T = TypeVar("T")

PRODUCER: Final = "{caller} body of {kind}"
"""Has blanks, which no name of a producer that a stream gives may have."""
_REPEATS: Final = 8
"""How often a body may come whose rows become good only by and by; then the others stay refused."""
_ROW_BYTES: Final = 16
_IN_MEMORY: Final = 6
"""About how many times its size a body takes until it is committed."""


class BodyReservation:
    """The bytes that one body may take. They are free again when nothing works on it any more."""

    def __init__(self, writer: "BodyWriter", caller: str, body: bytes, held: Reservation) -> None:
        """`held` is given back by `leave`."""
        self._writer = writer
        self._caller = caller
        self._body = body
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._reading: Future[Any] | None = None

    async def read(self, read: Callable[[bytes], T]) -> T:
        """What `read` makes of the body, in the thread that reads.

        Other callers wait for one body of this one at a time, however many it sends.

        Raises:
            Unavailable: LOOPS_LOADING: the process has just started.
        """
        await self._writer.loops.ready()
        async with self._writer.turns.of(self._caller):
            reading = self._writer.reader.submit(read, self._body)
            self._reading = reading
            return await asyncio.wrap_future(reading)

    def leave(self) -> None:
        """Gives the room back; a read that has begun goes on when its caller is gone: after it."""
        if self._reading is None or self._reading.done():
            self._held.release()
        else:
            self._reading.add_done_callback(self._release_soon)

    def _release_soon(self, _: "Future[Any]") -> None:
        with suppress(RuntimeError):  # the process ends, and its loop has ended before
            self._loop.call_soon_threadsafe(self._held.release)


class BodyWriter:
    """Writes bodies.

    One thread reads them all: label sets that it has met are remembered from body to body.
    """

    def __init__(
        self,
        intake: Intake,
        notes: MetadataNotes,
        budget: ByteBudget,
        reader: Executor,
        loops: CompiledLoops,
    ) -> None:
        """`budget` bounds what is in memory at once; `reader` has one thread and needs `loops`."""
        self.loops = loops
        self.reader = reader
        self.turns = Turns()
        self._intake = intake
        self.notes = notes
        self._budget = budget

    def latest_ms(self) -> int:
        """Up to when a record may be dated now."""
        return self._intake.latest_ms()

    @asynccontextmanager
    async def room(self, caller: str, kind: str, body: bytes) -> "AsyncIterator[BodyReservation]":
        """Room for a body of a caller while the block runs; what ends the block is counted.

        Raises:
            Overloaded: CALLER_OVER_LIMIT.
        """
        try:
            async with self._held(caller, body) as room:
                yield room
        except (InvalidInput, Overloaded) as error:
            BODIES_REFUSED.labels(kind, error.reason).inc()
            raise

    @asynccontextmanager
    async def _held(self, caller: str, body: bytes) -> "AsyncIterator[BodyReservation]":
        try:
            held = await self._budget.take(caller, _IN_MEMORY * len(body))
        except Overloaded as error:
            message = "too many bytes of yours wait for their commit: send again later"
            raise Overloaded(message, reason="CALLER_OVER_LIMIT", retry_after_s=1.0) from error
        room = BodyReservation(self, caller, body, held)
        try:
            yield room
        finally:
            room.leave()

    async def write(self, caller: str, kind: str, body: bytes, batch: ForeignBatch) -> ForeignAck:
        """Commits the good rows; the body names the batch, so that a repeat counts once.

        Raises:
            Overloaded: SAMPLE_RATE_EXCEEDED; BODY_TOO_LARGE, without a time to try again.
            Unavailable: Nothing is acknowledged; send the body again.
        """
        most = self._intake.limits.max_batch_samples
        if len(batch.values) > most:
            message = f"{len(batch.values)} samples: send at most {most} in one body"
            raise Overloaded(message, reason="BODY_TOO_LARGE", retry_after_s=None)
        if not len(batch.values):
            return _answer(batch, Ack(sequence=0))
        producer = PRODUCER.format(caller=caller, kind=kind)
        sequence, *rest = await beside(len(body) // _ROW_BYTES, _numbers, body, _REPEATS)
        incoming = batch.incoming(sequence, rest, traceparent())
        return _answer(batch, await self._intake.write(producer, self._intake.table(), incoming))


async def body_number(body: bytes) -> int:
    """The number of a body; of a producer whose bodies are taken as a whole."""
    return (await beside(len(body) // _ROW_BYTES, _numbers, body, 1))[0]


def _numbers(body: bytes, count: int) -> list[int]:
    """The number of a body, and those under which come rows that were refused at first."""
    digest = blake2b(body).digest()
    return [
        int.from_bytes(blake2b(digest, digest_size=8, salt=bytes([n])).digest(), "big") >> 1 or 1
        for n in range(count)
    ]


def _answer(batch: ForeignBatch, ack: Ack) -> ForeignAck:
    shown = {
        int(batch.records[refusal.index]): refusal
        for refusal in reversed(ack.refusals)
        if refusal.index < len(batch.records)
    }
    shown.pop(NO_RECORD, None)
    for each in batch.broken:
        for record in each.records[:SHOWN_REFUSALS].tolist():
            shown[record] = Refusal(record, each.reason, each.message)
    return ForeignAck(
        refused=batch.refused(ack),
        refusals=[
            Refusal(int(batch.places[record]), shown[record].reason, shown[record].message)
            for record in sorted(shown)[:SHOWN_REFUSALS]
        ],
        duplicate=ack.duplicate,
    )
