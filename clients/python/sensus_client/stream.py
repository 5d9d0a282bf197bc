"""One stream of writes, from its opening to its end."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc

from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus_client.batch import Batch, Labels, definition
from sensus_client.errors import Failure, failure_of
from sensus_client.outbox import Outbox

_OPEN_S: Final = 30.0
_DEFINITIONS: Final = 500
_DEFINITIONS_BYTES: Final = 1 << 20
"""Label sets in one message: far below the largest that a server takes."""

Frames = asyncio.Queue["pb.WriteSamplesRequest | None"]


class StreamEndedError(Exception):
    """The stream broke, or the server cannot store now."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Stream:
    """Sends what the outbox holds, oldest first, within the server's credit, and settles acks."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        opened: Callable[[], None],
        acked: Callable[[pb.WriteAck], None],
        ack_timeout_s: float,
    ) -> None:
        """`opened` is told of the server's first frame, `acked` of each ack but "not now"."""
        self._outbox = outbox
        self._opened = opened
        self._acked = acked
        self._ack_timeout_s = ack_timeout_s
        self._frames: Frames = asyncio.Queue()
        self._credit = asyncio.Semaphore(0)
        self._ref_by_labels: dict[Labels, int] = {}
        self._max_series = 0
        self._in_flight: set[int] = set()
        self._limit = asyncio.timeout(None)

    async def run(self, call: Any, producer_id: str) -> None:
        """Returns when the server has ended the stream well, having answered what it got.

        Raises:
            StreamEndedError: It broke; what has no ack is in the outbox.
        """
        opening = pb.WriteSamplesRequest(open=pb.WriteOpen(producer_id=producer_id))
        self._frames.put_nowait(opening)
        self._limit = asyncio.timeout(_OPEN_S)
        try:
            async with self._limit, _closing(call), _beside(_write(call, self._frames)):
                await self._answers(call)
        except grpc.aio.AioRpcError as error:
            raise StreamEndedError(failure_of(error)) from error
        except TimeoutError as error:
            raise StreamEndedError(Failure(message="the server did not answer in time")) from error

    async def _answers(self, call: Any) -> None:
        response = await call.read()
        if response is grpc.aio.EOF:
            raise StreamEndedError(Failure(message="the server ended the stream at once"))
        self._outbox.begin(response.opened.last_sequence)
        self._max_series = response.opened.max_series
        self._opened()
        self._release(response.opened.initial_credit)
        self._watch()
        async with _beside(self._feed()) as feeding:
            feeding.add_done_callback(lambda task: call.cancel() if _cause(task) else None)
            try:
                while (response := await call.read()) is not grpc.aio.EOF:
                    await self._take(response, feeding)
            except asyncio.CancelledError:
                if cause := _cause(feeding):
                    raise cause from None
                raise

    async def _take(self, response: pb.WriteSamplesResponse, feeding: "asyncio.Task[None]") -> None:
        match response.WhichOneof("frame"):
            case "credit":
                self._release(response.credit.batches)
            case "ack":
                await self._settle(response.ack)
            case "draining":
                feeding.cancel()
                self._frames.put_nowait(None)

    async def _settle(self, ack: pb.WriteAck) -> None:
        """An ack that only says "not now" leaves its batch to the next stream."""
        if any(error.reason == pb.SAMPLE_ERROR_REASON_UNAVAILABLE for error in ack.errors[:1]):
            raise StreamEndedError(Failure(message=ack.errors[0].message))
        self._in_flight.discard(ack.sequence)
        self._watch()
        self._acked(ack)
        await self._outbox.settle(ack.sequence)
        self._release(1)

    async def _feed(self) -> None:
        """Ends, and the sending half with it, when the stream has no numbers for new series."""
        sent = 0
        while True:
            await self._credit.acquire()
            sent, batch = await self._outbox.after(sent)
            fresh = [each for each in batch.series if each not in self._ref_by_labels]
            known = len(self._ref_by_labels)
            if known and self._max_series and known + len(fresh) > self._max_series:
                self._frames.put_nowait(None)
                return
            for frame in self._frames_of(sent, batch, fresh):
                self._frames.put_nowait(frame)
            self._in_flight.add(sent)
            self._watch()

    def _frames_of(
        self, sequence: int, batch: Batch, fresh: list[Labels]
    ) -> Iterator[pb.WriteSamplesRequest]:
        defined = pb.SeriesDefinitions()
        for labels in fresh:
            ref = self._ref_by_labels.setdefault(labels, len(self._ref_by_labels))
            defined.series.append(definition(ref, labels))
            if len(defined.series) == _DEFINITIONS or defined.ByteSize() > _DEFINITIONS_BYTES:
                yield pb.WriteSamplesRequest(series=defined)
                defined = pb.SeriesDefinitions()
        if defined.series:
            yield pb.WriteSamplesRequest(series=defined)
        columns = batch.columns([self._ref_by_labels[each] for each in batch.series])
        yield pb.WriteSamplesRequest(batch=pb.SampleBatch(sequence=sequence, columns=columns))

    def _release(self, count: int) -> None:
        for _ in range(count):
            self._credit.release()

    def _watch(self) -> None:
        """The server has to answer while something is in flight."""
        if not self._limit.expired():
            now_s = asyncio.get_running_loop().time()
            self._limit.reschedule(now_s + self._ack_timeout_s if self._in_flight else None)


def _cause(task: "asyncio.Task[None]") -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def _write(call: Any, frames: Frames) -> None:
    """The sending half; that it broke is told by the receiving one."""
    try:
        while (frame := await frames.get()) is not None:
            await call.write(frame)
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass


@asynccontextmanager
async def _closing(call: Any) -> AsyncIterator[None]:
    try:
        yield
    finally:
        call.cancel()


@asynccontextmanager
async def _beside(work: Any) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
