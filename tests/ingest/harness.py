"""The real service in this process, reached through its own door."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import asyncpg
import grpc

from mesh.auth import TokenMinter
from mesh.clock import SystemClock
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from services.ingest.config import Config
from services.ingest.wiring import Ingest, assemble
from services.ingest.write.compiled_loops import OF_BODIES

SCOPES = (
    "write:samples",
    "write:alerts",
    "write:traces",
    "write:logs",
    "read:stream",
    "read:samples",
    "read:alerts",
    "admin",
)


class TestClock(SystemClock):
    """The machine's clock, moved by as much as a test wants."""

    __test__ = False

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


@dataclass(kw_only=True)
class Running:
    """A started ingest service and a channel to it."""

    ingest: Ingest
    stub: Any
    channel: grpc.aio.Channel
    port: int
    clock: TestClock
    minter: TokenMinter
    dsn: str

    @asynccontextmanager
    async def called_by(self, subject: str, *scopes: str) -> AsyncIterator[Any]:
        """A stub with which somebody else calls."""
        tokens = client_interceptors(
            tokens=lambda: self.minter.mint(subject, scopes, 3600), default_timeout_s=120
        )
        target = f"127.0.0.1:{self.port}"
        async with grpc.aio.insecure_channel(
            target, OWN_CONNECTIONS, interceptors=tokens
        ) as channel:
            yield pb_grpc.IngestServiceStub(channel)


def config(dsn: str, redis_url: str, keys: Path, **changes: Any) -> Config:
    """A configuration for one test."""
    given: dict[str, Any] = {
        "postgres_dsn": dsn,
        "redis_url": redis_url,
        "grpc_port": 0,
        "metrics_port": 0,
        "auth_jwks_file": keys / "jwks.json",
        "auth_key_file": keys / "ingest.pem",
        "gateway_target": "off",
        "shutdown_grace_s": 2.0,
        "shard_count": 4,
        "lease_ttl_s": 20.0,
        "commit_timeout_s": 60.0,
        "postgres_pool_size": 8,
        "max_caller_samples_per_s": 10**9,
    }
    return Config(**(given | changes))


@asynccontextmanager
async def running(
    settings: Config, keys: Path, *, only: Sequence[str] = ()
) -> AsyncIterator[Running]:
    """Serves with all workers, or `only` those named, until the block ends."""
    clock = TestClock()
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    for module in OF_BODIES:  # a busy machine compiles longer than a body waits
        await asyncio.to_thread(import_module, module)
    async with AsyncExitStack() as stack:
        ingest = await stack.enter_async_context(assemble(settings, clock))
        port = await ingest.server.start()
        workers = [
            asyncio.create_task(work(), name=name)
            for name, work in ingest.workers.items()
            if not only or name in only
        ]
        stack.push_async_callback(_stop, ingest, workers)
        tokens = client_interceptors(
            tokens=lambda: minter.mint("user:test", SCOPES, 3600), default_timeout_s=120
        )
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", OWN_CONNECTIONS, interceptors=tokens)
        )
        stub = pb_grpc.IngestServiceStub(channel)
        yield Running(
            ingest=ingest,
            stub=stub,
            channel=channel,
            port=port,
            clock=clock,
            minter=minter,
            dsn=settings.postgres_dsn,
        )


async def _stop(ingest: Ingest, workers: Sequence[asyncio.Task[None]]) -> None:
    await ingest.server.stop(0, 1.0)
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def labels(**pairs: str) -> list[series_pb2.Label]:
    """A label set; `name` stands for `__name__`."""
    named = {("__name__" if key == "name" else key): value for key, value in pairs.items()}
    return [series_pb2.Label(name=key, value=value) for key, value in named.items()]


def columns(rows: Iterable[tuple[int, int, float]]) -> pb.SampleColumns:
    """Rows of ref, time in ms, value as raw columns."""
    rows = list(rows)
    count = len(rows)
    return pb.SampleColumns(
        series_refs=struct.pack(f"<{count}I", *(row[0] for row in rows)),
        timestamps_ms=struct.pack(f"<{count}q", *(row[1] for row in rows)),
        values=struct.pack(f"<{count}d", *(row[2] for row in rows)),
    )


def batch_request(
    producer: str,
    sequence: int,
    rows: Iterable[tuple[int, int, float]],
    series: dict[int, list[series_pb2.Label]] | None = None,
) -> pb.WriteBatchRequest:
    """A batch with its definitions; by default ref n is `cpu{host="n"}`."""
    rows = list(rows)
    if series is None:
        series = {ref: labels(name="cpu", host=str(ref)) for ref in {row[0] for row in rows}}
    return pb.WriteBatchRequest(
        producer_id=producer,
        series=[pb.SeriesDefinition(ref=ref, labels=given) for ref, given in series.items()],
        batch=pb.SampleBatch(sequence=sequence, columns=columns(rows)),
    )


def alert(
    state: int = alert_pb2.ALERT_STATE_FIRING,
    *,
    start_ms: int,
    end_ms: int | None = None,
    summary: str = "",
    **pairs: str,
) -> alert_pb2.Alert:
    """A change of an alert."""
    made = alert_pb2.Alert(state=state, labels=labels(**({"alertname": "HighCPU"} | pairs)))
    made.start_time.FromMilliseconds(start_ms)
    if end_ms is not None:
        made.end_time.FromMilliseconds(end_ms)
    if summary:
        made.annotations.add(name="summary", value=summary)
    return made


async def query(stub: Any, selector: str, start_ms: int, end_ms: int, **more: Any) -> dict:
    """Samples by their labels without the name: {labels: [(time, value)]}."""
    request = pb.QuerySamplesRequest(selector=selector, **more)
    request.start_time.FromMilliseconds(start_ms)
    request.end_time.FromMilliseconds(end_ms)
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    async for response in stub.QuerySamples(request):
        for part in response.series:
            key = tuple((each.name, each.value) for each in part.series.labels)
            points = list(zip(part.timestamps_ms, part.values, strict=True))
            found.setdefault(key, []).extend(points)
    return found


class Stream:
    """A bidirectional stream driven step by step; frames that arrive are kept in order."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.call:
                await self._arrived.put(frame)
            await self._arrived.put(None)
        except grpc.aio.AioRpcError as error:
            await self._arrived.put(error)

    async def send(self, frame: Any) -> None:
        await self.call.write(frame)

    async def next(self, kind: str = "", timeout_s: float = 300.0) -> Any:
        """The next frame, of `kind` if given; others are skipped. None at the end."""
        async with asyncio.timeout(timeout_s):
            while True:
                frame = await self._arrived.get()
                if isinstance(frame, Exception):
                    raise frame
                if frame is None or not kind or frame.WhichOneof("frame") == kind:
                    return frame if frame is None or not kind else getattr(frame, kind)

    async def nothing(self, kind: str, for_s: float) -> None:
        """Asserts that no frame of `kind` comes for a while."""
        with suppress(TimeoutError):
            frame = await self.next(kind, for_s)
            raise AssertionError(f"unexpected {kind}: {frame}")

    async def close(self) -> None:
        self.call.cancel()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def opened(method: Callable[[], Any], first: Any = None) -> AsyncIterator[Stream]:
    """A stream that is cancelled at the end."""
    stream = Stream(method())
    try:
        if first is not None:
            await stream.send(first)
        yield stream
    finally:
        await stream.close()


def status_of(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """Code and reason of a failed call."""
    from mesh.errors import from_rpc_error

    return error.code().name, from_rpc_error(error).reason


async def until(condition: Callable[[], Any], timeout_s: float = 300.0) -> Any:
    """Waits until an async condition gives something true."""
    async with asyncio.timeout(timeout_s):
        while not (found := await condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def fetch(service: Running, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Rows of a statement on the database of the service."""
    connection = await asyncpg.connect(service.dsn)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()
