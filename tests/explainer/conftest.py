"""The explainer behind its own door, on a real PostgreSQL, with scripted peers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mesh import auth, postgres
from mesh.clients import open_channel
from mesh.clock import SystemClock
from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import server_interceptors
from mesh.serving import Server
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer.config import ExplainerConfig
from services.explainer.servicer import SERVICE
from services.explainer.work import DETECTOR, INGEST, Work
from tests.explainer.peers import (
    Detector,
    Ingest,
    alert,
    calm,
    jumping,
    served_detector,
    served_ingest,
)

ALL_SCOPES = ("read:analysis", "write:analysis")


@dataclass(kw_only=True)
class Running:
    """A started explainer and a client of it."""

    stub: "pb_grpc.ExplainerServiceAsyncStub"
    work: Work
    drain: Drain
    server: Server
    pool: Any
    target: str

    async def explain(self, alert_id: str = "a1", **more: Any) -> list[pb.ExplainResponse]:
        """All frames of an explanation of an alert."""
        request = pb.ExplainRequest(subject=pb.Subject(alert_id=alert_id), **more)
        return [frame async for frame in self.stub.Explain(request, timeout=30)]

    async def result(self, alert_id: str = "a1", **more: Any) -> pb.Explanation:
        """The result of an explanation of an alert."""
        return (await self.explain(alert_id, **more))[-1].result


Start = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="session")
def explainer_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of the services."""
    directory = tmp_path_factory.mktemp("explainer-keys")
    auth.generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    return directory


@pytest.fixture
async def ingest() -> Ingest:
    """An ingest that knows one alert, the CPU that jumped before it, and calm neighbours."""
    found = Ingest()
    found.alerts["a1"] = alert("a1")
    found.series = [
        jumping("cpu_usage", host="web-1"),
        calm("memory_usage", level=40.0, host="web-1"),
        calm("cpu_usage", level=22.0, host="web-2"),
    ]
    return found


@pytest.fixture
async def detector() -> Detector:
    """A detector without anomalies."""
    return Detector()


@pytest.fixture
async def start(
    migrated_dsn: str, redis_url: str, explainer_keys: Path, ingest: Ingest, detector: Detector
) -> AsyncIterator[Start]:
    """Starts explainers on one database, beside the peers, until the test ends."""
    async with AsyncExitStack() as stack:
        targets = {
            "ingest_target": await stack.enter_async_context(served_ingest(ingest)),
            "detector_target": await stack.enter_async_context(served_detector(detector)),
        }

        async def start(**options: Any) -> Running:
            settings = ExplainerConfig(
                **{
                    "postgres_dsn": migrated_dsn,
                    "redis_url": redis_url,
                    "auth_jwks_file": explainer_keys / "jwks.json",
                    "auth_key_file": explainer_keys / "explainer.pem",
                    "grpc_port": 0,
                    **targets,
                    **{k: v for k, v in options.items() if k not in ("scopes", "wrap")},
                }
            )
            scopes = options.get("scopes", ALL_SCOPES)
            return await stack.enter_async_context(
                _explainer(settings, explainer_keys, scopes, options.get("wrap"))
            )

        yield start


@pytest.fixture
async def explainer(start: Start) -> Running:
    """One explainer with the usual settings."""
    return await start()


@asynccontextmanager
async def _explainer(
    settings: ExplainerConfig, keys: Path, scopes: tuple[str, ...], wrap: Any
) -> AsyncIterator[Running]:
    minter = auth.TokenMinter.from_file(settings.auth_key_file, "explainer")
    user = auth.TokenMinter.from_file(keys / "gateway.pem", "gateway").mint(
        "user:tester", scopes, 600
    )
    drain, health = Drain(), Health([SERVICE], every_s=0.05)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            postgres.open_pool(settings.postgres_dsn, application_name="test-explainer")
        )
        channels = [
            await stack.enter_async_context(
                open_channel(
                    target, service=service, tokens=minter.service_token, caller="explainer"
                )
            )
            for target, service in (
                (settings.ingest_target, INGEST),
                (settings.detector_target, DETECTOR),
            )
        ]
        work = await stack.enter_async_context(
            Work(settings, pool, channels[0], channels[1], SystemClock(), drain)
        )
        if wrap is not None:
            wrap(work)
        server = Server(
            service="explainer",
            host="127.0.0.1",
            port=0,
            interceptors=server_interceptors(
                verifier=auth.TokenVerifier.from_file(settings.auth_jwks_file),
                policies=auth.policies([pb.DESCRIPTOR]),
            ),
            health=health,
            drain=drain,
        )
        pb_grpc.add_ExplainerServiceServicer_to_server(work.servicer, server.grpc)
        port = await server.start()
        stack.push_async_callback(server.stop, 0, 1)
        target = f"127.0.0.1:{port}"
        channel = await stack.enter_async_context(
            open_channel(target, service=SERVICE, tokens=lambda: user, caller="test")
        )
        yield Running(
            stub=pb_grpc.ExplainerServiceStub(channel),
            work=work,
            drain=drain,
            server=server,
            pool=pool,
            target=target,
        )
