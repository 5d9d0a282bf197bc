"""A whole detector inside the test: its server, its workers, and clients of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from mesh.auth import TokenMinter
from mesh.clients import open_channel
from mesh.clock import SystemClock
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.config import Config
from services.detector.wiring import Detector, assemble

SERVICE = "sensus.detector.v1.DetectorService"
READER = ("read:analysis",)
WRITER = ("write:analysis", "read:analysis")
ADMIN = ("admin",)


class RunningDetector:
    """The detector as `__main__` runs it, with quick settings."""

    def __init__(self, dsn: str, ingest_target: str, keys: Path) -> None:
        """Nothing runs before `start`."""
        self.keys = keys
        self.settings: dict[str, Any] = {
            "postgres_dsn": dsn,
            "grpc_port": 0,
            "consumer_id": "detector-1",
            "ingest_target": ingest_target,
            "gateway_target": "off",
            "auth_jwks_file": keys / "jwks.json",
            "auth_key_file": keys / "detector.pem",
            "checkpoint_interval_s": 0.1,
            "warmup_samples": 300,
            "warmup_s": 0.0,
            "series_warmup_samples": 20,
            "alerts_per_week": 0,
            "warnings_per_week": 0,
        }
        self.port = 0
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.parts: Detector
        self._stack = AsyncExitStack()

    async def start(self, workers: Iterable[str] | None = None, **settings: Any) -> None:
        """Starts the server and the named workers, all by default."""
        config = Config(**(self.settings | settings))
        self.parts = await self._stack.enter_async_context(assemble(config, SystemClock()))
        self.port = await self.parts.server.start()
        for name, run in self.parts.workers.items():
            if workers is None or name in workers:
                self.tasks[name] = asyncio.create_task(run(), name=name)

    async def stop(self) -> None:
        """Stops as `mesh.serving.run` does."""
        if self.port:
            self.port = 0
            await self.parts.server.stop(0, 5)
        try:
            await self.cancel()
        finally:
            await self._stack.aclose()

    async def cancel(self) -> None:
        """Ends the workers; raises what any of them died of."""
        tasks, self.tasks = list(self.tasks.values()), {}
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def token(self, scopes: Iterable[str] = READER) -> str:
        """A user's token of these scopes."""
        minter = TokenMinter.from_file(self.keys / "gateway.pem", "gateway")
        return minter.mint("user:test", scopes, 3600)

    @asynccontextmanager
    async def client(
        self, scopes: Iterable[str] = READER
    ) -> AsyncIterator["detector_service_pb2_grpc.DetectorServiceAsyncStub"]:
        """A client with a user's token of these scopes."""
        token = self.token(scopes)
        async with open_channel(
            f"127.0.0.1:{self.port}",
            service=SERVICE,
            tokens=lambda: token,
            caller="test",
            default_timeout_s=120,
        ) as channel:
            yield detector_service_pb2_grpc.DetectorServiceStub(channel)

    async def status(self) -> detector_pb.GetDetectorStatusResponse:
        """What the detector says of itself."""
        async with self.client() as stub:
            return await stub.GetDetectorStatus(
                detector_pb.GetDetectorStatusRequest(), wait_for_ready=True
            )

    async def anomalies(self) -> list[detector_pb.Anomaly]:
        """All anomalies, newest first."""
        async with self.client() as stub:
            request = detector_pb.ListAnomaliesRequest(page_size=1000)
            answer = await stub.ListAnomalies(request, wait_for_ready=True)
            return list(answer.anomalies)


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 300.0
) -> None:
    """Returns when the condition holds.

    Raises:
        TimeoutError: It does not in time.
    """
    async with asyncio.timeout(within_s):
        for _ in range(10**9):
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.02)
