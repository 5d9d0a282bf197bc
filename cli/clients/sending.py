"""A long stream of sample batches that outlives its server: nothing is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc
import numpy as np

from cli.problem import Problem
from cli.samples import Sample
from mesh.clients import Backoff, closing, may_open_again
from mesh.errors import SensusError, Unavailable, translated
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc

Batch = Sequence[Sample]
Acked = Callable[[Batch, pb.WriteAck], None]
Labels = tuple[tuple[str, str], ...]
Frames: TypeAlias = "asyncio.Queue[pb.WriteSamplesRequest | None]"

MAX_BATCH_SAMPLES = 5000
_QUEUED_BATCHES = 4
_GIVE_UP_AFTER = 8


class SampleSender:
    """Numbers batches, keeps each until its ack, and sends those without one again."""

    def __init__(
        self, stub: "ingest_service_pb2_grpc.IngestServiceAsyncStub", producer_id: str, acked: Acked
    ) -> None:
        self._stub = stub
        self._producer_id = producer_id
        self._acked = acked
        self._waiting: asyncio.Queue[Batch] = asyncio.Queue(_QUEUED_BATCHES)
        self._unacked: dict[int, Batch] = {}
        self._sequence = 0
        self._failures = 0

    async def send(self, batch: Batch) -> None:
        """Takes at most MAX_BATCH_SAMPLES; waits while the server has no credit to give."""
        await self._waiting.put(batch)

    async def flush(self) -> None:
        """Returns when every batch taken so far has its ack."""
        await self._waiting.join()

    async def run(self) -> None:
        """Sends for ever. Problem when the server refuses, or stays away for too long."""
        waits = Backoff()
        while True:
            try:
                with translated():
                    await self._session(waits)
            except SensusError as error:
                if not may_open_again(error) or self._failures >= _GIVE_UP_AFTER:
                    raise Problem(f"ingest: {error.message} ({error.reason})") from None
            self._failures += 1
            await waits.wait()

    async def _session(self, waits: Backoff) -> None:
        frames: Frames = asyncio.Queue()
        credit = asyncio.Semaphore(0)
        frames.put_nowait(pb.WriteSamplesRequest(open=pb.WriteOpen(producer_id=self._producer_id)))
        async with closing(self._stub.WriteSamples(_drain(frames))) as call:
            feeding = asyncio.create_task(self._feed(frames, credit))
            try:
                async for response in call:
                    if response.WhichOneof("frame") == "draining":
                        feeding.cancel()
                        frames.put_nowait(None)
                    self._take(response, credit, waits)
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)

    async def _feed(self, frames: Frames, credit: asyncio.Semaphore) -> None:
        refs: dict[Labels, int] = {}
        for sequence in sorted(self._unacked):
            await credit.acquire()
            _put(frames, refs, sequence, self._unacked[sequence])
        while True:
            await credit.acquire()
            batch = await self._waiting.get()
            self._sequence += 1
            self._unacked[self._sequence] = batch
            _put(frames, refs, self._sequence, batch)

    def _take(
        self, response: pb.WriteSamplesResponse, credit: asyncio.Semaphore, waits: Backoff
    ) -> None:
        match response.WhichOneof("frame"):
            case "opened":
                self._sequence = max(self._sequence, response.opened.last_sequence)
                _release(credit, response.opened.initial_credit)
            case "credit":
                _release(credit, response.credit.batches)
            case "ack":
                self._failures = 0
                waits.reset()
                self._settle(response.ack)
                _release(credit, 1)

    def _settle(self, ack: pb.WriteAck) -> None:
        """An ack that only says "not now" keeps its batch for the next session."""
        batch = self._unacked.get(ack.sequence)
        if batch is None:
            return
        if any(error.reason == pb.SAMPLE_ERROR_REASON_UNAVAILABLE for error in ack.errors[:1]):
            raise Unavailable(ack.errors[0].message)
        del self._unacked[ack.sequence]
        self._acked(batch, ack)
        self._waiting.task_done()


@asynccontextmanager
async def open_sender(
    channel: grpc.aio.Channel, producer_id: str, acked: Acked
) -> AsyncIterator[SampleSender]:
    """A sender that works in the background; leaving waits for the last ack.

    Args:
        channel: to ingest.
        producer_id: of this sender alone, in all installations.
        acked: told each batch with its ack, in the order of the acks.
    """
    stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
    sender = SampleSender(stub, producer_id, acked)
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(sender.run())
            yield sender
            await sender.flush()
            running.cancel()
    except* Problem as problems:
        raise problems.exceptions[0] from None


def columns(batch: Batch, refs: Sequence[int]) -> pb.SampleColumns:
    """The wire form of a batch; `refs` has the number of each sample's series."""
    return pb.SampleColumns(
        series_refs=np.array(refs, dtype="<u4").tobytes(),
        timestamps_ms=np.array([sample.timestamp_ms for sample in batch], dtype="<i8").tobytes(),
        values=np.array([sample.value for sample in batch], dtype="<f8").tobytes(),
    )


def _put(
    frames: Frames,
    refs: dict[Labels, int],
    sequence: int,
    batch: Batch,
) -> None:
    fresh = {sample.labels for sample in batch} - refs.keys()
    if fresh:
        definitions = [_define(refs, labels) for labels in sorted(fresh)]
        series = pb.SeriesDefinitions(series=definitions)
        frames.put_nowait(pb.WriteSamplesRequest(series=series))
    rows = columns(batch, [refs[sample.labels] for sample in batch])
    frames.put_nowait(pb.WriteSamplesRequest(batch=pb.SampleBatch(sequence=sequence, columns=rows)))


def _define(refs: dict[Labels, int], labels: Labels) -> pb.SeriesDefinition:
    refs[labels] = len(refs)
    pairs = [series_pb2.Label(name=name, value=value) for name, value in labels]
    return pb.SeriesDefinition(ref=refs[labels], labels=pairs)


def _release(credit: asyncio.Semaphore, count: int) -> None:
    for _ in range(count):
        credit.release()


async def _drain(frames: Frames) -> AsyncIterator[pb.WriteSamplesRequest]:
    """The request stream; None half-closes it."""
    while (frame := await frames.get()) is not None:
        yield frame
