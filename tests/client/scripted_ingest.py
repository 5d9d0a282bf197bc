"""An ingest that follows a script, stream by stream."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import numpy as np
from grpc_status.rpc_status import to_status as to_grpc_status

from mesh.errors import Unauthenticated, to_status
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
        self.producer_ids: list[str] = []

    async def WriteSamples(
        self, requests: Requests, context: grpc.aio.ServicerContext
    ) -> Responses:
        opening = await anext(requests)
        assert opening.HasField("open")
        self.producer_ids.append(opening.open.producer_id)
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
            error = pb.SampleError(
                reason=pb.SAMPLE_ERROR_REASON_UNAVAILABLE, message="the database is away"
            )
            ack = pb.WriteAck(sequence=request.batch.sequence, rejected=1, errors=[error])
            yield pb.WriteSamplesResponse(ack=ack)


async def knows_the_producer(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1, last_sequence=41)
    async for request in requests:
        if ack := ingest.store(request):
            yield ack


async def has_a_reason_of_later(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1)
    async for request in requests:
        if ack := ingest.store(request):
            ack.ack.errors.add(reason=999, message="of a later version")  # type: ignore[arg-type]
            yield ack


async def finds_the_token_too_old(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    yield opened(1)
    await context.abort_with_status(
        to_grpc_status(to_status(Unauthenticated("old", reason="TOKEN_EXPIRED")))
    )


async def has_room_for_two_series(
    ingest: ScriptedIngest, requests: Requests, _: object
) -> Responses:
    yield pb.WriteSamplesResponse(opened=pb.WriteOpened(initial_credit=4, max_series=2))
    ingest.names.clear()
    async for request in requests:
        if ack := ingest.store(request):
            assert len(ingest.names) <= 2
            yield ack


async def falls_silent(ingest: ScriptedIngest, requests: Requests, _: object) -> Responses:
    yield opened(1)
    async for _request in requests:
        pass


async def refuses(
    ingest: ScriptedIngest, requests: Requests, context: grpc.aio.ServicerContext
) -> Responses:
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "this needs write:samples")
    yield opened(1)


@asynccontextmanager
async def listening(
    ingest: ScriptedIngest, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[str]:
    """Serves on a free port, over TLS with `credentials`, and gives the target."""
    server = grpc.aio.server()
    pb_grpc.add_IngestServiceServicer_to_server(ingest, server)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
