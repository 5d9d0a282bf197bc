"""The sender keeps each batch until its ack, across anything the server may do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest

from cli.clients.sending import open_sender
from cli.problem import Problem
from cli.samples import Sample
from mesh.wire import OWN_CONNECTIONS
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc

Requests = AsyncIterator[pb.WriteSamplesRequest]
Responses = AsyncIterator[pb.WriteSamplesResponse]


class ScriptedIngest(pb_grpc.IngestServiceServicer):
    """Each stream is handled by the next script; values acked are remembered by sequence."""

    def __init__(self, *scripts: Callable[..., Responses]) -> None:
        self._scripts = list(scripts)
        self.values_by_sequence: dict[int, list[float]] = {}
        self.names: dict[int, str] = {}

    async def WriteSamples(
        self, requests: Requests, context: grpc.aio.ServicerContext
    ) -> Responses:
        opening = await anext(requests)
        assert opening.HasField("open")
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        async for response in script(self, requests, context):
            yield response

    def store(self, request: pb.WriteSamplesRequest) -> pb.WriteSamplesResponse | None:
        if request.HasField("series"):
            for series in request.series.series:
                self.names[series.ref] = next(
                    label.value for label in series.labels if label.name == "__name__"
                )
            return None
        batch = request.batch
        values = np.frombuffer(batch.columns.values, dtype="<f8").tolist()
        refs = np.frombuffer(batch.columns.series_refs, dtype="<u4").tolist()
        assert all(ref in self.names for ref in refs)
        duplicate = batch.sequence in self.values_by_sequence
        self.values_by_sequence.setdefault(batch.sequence, values)
        ack = pb.WriteAck(sequence=batch.sequence, accepted=len(values), duplicate=duplicate)
        return pb.WriteSamplesResponse(ack=ack)


def opened(credit: int, last_sequence: int = 0) -> pb.WriteSamplesResponse:
    return pb.WriteSamplesResponse(
        opened=pb.WriteOpened(initial_credit=credit, last_sequence=last_sequence)
    )


async def well(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(2)
    async for request in requests:
        if ack := ingest.store(request):
            yield ack


async def dies_before_the_ack(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    yield opened(1)
    async for request in requests:
        if ingest.store(request):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")


async def drains(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1)
    async for request in requests:
        if ack := ingest.store(request):
            yield ack
            yield pb.WriteSamplesResponse(draining=pb.Draining())


async def cannot_commit(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1)
    async for request in requests:
        if request.HasField("batch"):
            error = pb.SampleError(reason=pb.SAMPLE_ERROR_REASON_UNAVAILABLE, retryable=True)
            ack = pb.WriteAck(sequence=request.batch.sequence, rejected=1, errors=[error])
            yield pb.WriteSamplesResponse(ack=ack)


async def knows_the_producer(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1, last_sequence=41)
    async for request in requests:
        if ack := ingest.store(request):
            yield ack


async def refuses(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this needs write:samples")
    yield opened(1)


@asynccontextmanager
async def serving(ingest: ScriptedIngest) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    pb_grpc.add_IngestServiceServicer_to_server(ingest, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", OWN_CONNECTIONS) as channel:
            yield channel
    finally:
        await server.stop(None)


def sample(value: float) -> Sample:
    labels = (("__name__", f"metric_{value:g}"),)
    return Sample(place="line 1", labels=labels, timestamp_ms=1, value=value)


async def send_four(ingest: ScriptedIngest) -> list[float]:
    """Sends 0 to 3, one per batch, and returns the values whose ack came."""
    acked: list[float] = []
    async with (
        serving(ingest) as channel,
        open_sender(channel, "test", lambda batch, ack: acked.append(batch[0].value)) as sender,
    ):
        for value in range(4):
            await sender.send([sample(value)])
    return acked


@pytest.mark.parametrize(
    "scripts",
    [
        [well],
        [dies_before_the_ack, well],
        [dies_before_the_ack, dies_before_the_ack, well],
        [drains],
        [cannot_commit, well],
    ],
    ids=["well", "dies once", "dies twice", "drains after each batch", "cannot commit"],
)
async def test_every_sample_is_stored_once_and_acked_once(
    scripts: list[Callable[..., Responses]],
) -> None:
    ingest = ScriptedIngest(*scripts)
    assert await send_four(ingest) == [0, 1, 2, 3]
    assert ingest.values_by_sequence == {1: [0], 2: [1], 3: [2], 4: [3]}


async def test_a_producer_that_is_known_goes_on_above_its_last_sequence() -> None:
    ingest = ScriptedIngest(knows_the_producer)
    await send_four(ingest)
    assert sorted(ingest.values_by_sequence) == [42, 43, 44, 45]


async def test_a_refusal_is_told_and_not_tried_again() -> None:
    with pytest.raises(Problem, match="ingest: this needs write:samples"):
        await asyncio.wait_for(send_four(ScriptedIngest(refuses)), 20)
