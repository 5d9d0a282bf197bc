"""Topology in this process, beside a real ingest, reached through its own door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from mesh.auth import TokenMinter
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1.topology_service_pb2_grpc import TopologyServiceStub
from services.topology.config import Config
from services.topology.wiring import Topology, assemble
from tests.databases import fetch
from tests.ingest.harness import Running as Ingest
from tests.ingest.harness import TestClock

_WITHIN_S = 60


def config(dsn: str, ingest: Ingest, keys: Path, **changes: Any) -> Config:
    """A configuration for one test."""
    given: dict[str, Any] = {
        "postgres_dsn": dsn,
        "grpc_port": 0,
        "metrics_port": 0,
        "auth_jwks_file": keys / "jwks.json",
        "auth_key_file": keys / "topology.pem",
        "gateway_target": "off",
        "shutdown_grace_s": 2.0,
        "ingest_target": f"127.0.0.1:{ingest.port}",
        "checkpoint_interval_s": 0.3,
    }
    return Config(**(given | changes))


@dataclass(kw_only=True)
class Running:
    """Topology, started and stopped as a test wants it, and the ingest that feeds it."""

    ingest: Ingest
    settings: Config
    minter: TokenMinter
    clock: TestClock
    stub: Any = None
    topology: Topology | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self, **changes: Any) -> None:
        """Serves with all workers, or those named by `only`."""
        only = changes.pop("only", None)
        settings = Config(
            **{k: getattr(self.settings, k) for k in Config.__dataclass_fields__} | changes
        )
        topology = await self._stack.enter_async_context(assemble(settings, self.clock))
        port = await topology.server.start()
        workers = [
            asyncio.create_task(work(), name=name)
            for name, work in topology.workers.items()
            if only is None or name in only
        ]
        self._stack.push_async_callback(_stop, topology, workers)
        tokens = client_interceptors(
            tokens=lambda: self.minter.mint("user:test", ["read:topology"], 3600),
            default_timeout_s=60,
        )
        channel = await self._stack.enter_async_context(
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", OWN_CONNECTIONS, interceptors=tokens)
        )
        self.topology, self.stub = topology, TopologyServiceStub(channel)

    async def stop(self) -> None:
        """Drains and stops."""
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    async def send(self, *requests: Any) -> None:
        """Exports requests of OTLP; all of them must be taken."""
        for request in requests:
            if hasattr(request, "resource_spans"):
                answer = await TraceServiceStub(self.ingest.channel).Export(request)
            else:
                answer = await LogsServiceStub(self.ingest.channel).Export(request)
            assert not answer.partial_success.error_message, answer

    def go_on(self, seconds: int) -> None:
        """Moves the clocks of ingest and of topology."""
        self.ingest.clock.ahead_ms += 1000 * seconds
        self.clock.ahead_ms += 1000 * seconds

    async def edges(self, **asked: Any) -> pb.ListEdgesResponse:
        """The graph of the last hours."""
        request = pb.ListEdgesRequest(**asked)
        begin_s = self.clock.now_ms() // 3_600_000 * 3600 - 4 * 3600
        request.start_time.FromSeconds(begin_s)
        answer: pb.ListEdgesResponse = await self.stub.ListEdges(request)
        return answer

    async def counted(self, spans: int) -> pb.ListEdgesResponse:
        """The graph between operations, when so many spans are counted; until then time flies."""
        self.go_on(12)

        async def enough() -> pb.ListEdgesResponse | None:
            answer = await self.edges(by_operation=True)
            return answer if answer.coverage.spans >= spans else None

        return await until(enough)

    async def final(self) -> None:
        """Waits until no minute can grow."""

        async def closed() -> bool:
            rows = await fetch(
                self.settings.postgres_dsn,
                "SELECT 1 FROM topology.minute WHERE NOT is_final LIMIT 1",
            )
            return not rows

        await until(closed)


async def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as it gives something."""
    async with asyncio.timeout(_WITHIN_S):
        while not (answer := await found()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return answer


@asynccontextmanager
async def running(ingest: Ingest, keys: Path, **changes: Any) -> AsyncIterator[Running]:
    """Beside `ingest`, not started yet."""
    made = Running(
        ingest=ingest,
        settings=config(ingest.dsn, ingest, keys, **changes),
        minter=TokenMinter.from_file(keys / "gateway.pem", "gateway"),
        clock=TestClock(),
    )
    try:
        yield made
    finally:
        await made.stop()


async def _stop(topology: Topology, workers: "list[asyncio.Task[None]]") -> None:
    await topology.server.stop(0, 1.0)
    for worker in workers:
        worker.cancel()
    for result in await asyncio.gather(*workers, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
