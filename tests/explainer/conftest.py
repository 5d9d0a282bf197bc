"""The explainer behind its own door, on a real PostgreSQL, with scripted peers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh import auth
from mesh.clock import SystemClock
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc
from services.explainer.config import Config
from services.explainer.wiring import FULL_NAME, Explainer, assemble
from tests.channels import patient_channel
from tests.databases import database
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
    explainer: Explainer
    config: Config
    target: str

    async def explain(self, alert_id: str = "a1", **more: Any) -> list[pb.ExplainResponse]:
        """All frames of an explanation of an alert."""
        request = pb.ExplainRequest(subject=pb.Subject(alert_id=alert_id), **more)
        return [frame async for frame in self.stub.Explain(request, timeout=120)]

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


@pytest.fixture(scope="session")
async def explainer_database(
    postgres: EmbeddedPostgres, migrated_template: str
) -> AsyncIterator[tuple[str, "asyncpg.Connection[asyncpg.Record]", str]]:
    """One database for all tests, a connection to it, and what empties it.

    Copying the template anew for each test took longer than most tests.
    """
    async with database(postgres.dsn, template=migrated_template) as dsn:
        connection = await asyncpg.connect(dsn)
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'explainer' ORDER BY 1"
        )
        emptying = "; ".join(f"DELETE FROM explainer.{row['tablename']}" for row in tables)
        yield dsn, connection, f"SET session_replication_role = replica; {emptying}"
        await connection.close()


@pytest.fixture
async def migrated_dsn(
    explainer_database: tuple[str, "asyncpg.Connection[asyncpg.Record]", str],
) -> str:
    """URL of the database, emptied for this test."""
    dsn, connection, emptying = explainer_database
    await connection.execute(emptying)
    return dsn


@pytest.fixture
async def fresh_dsn(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """URL of a database of the test's own, for one that breaks it or needs other services'."""
    async with database(postgres.dsn, template=migrated_template) as dsn:
        yield dsn


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
            settings = Config(
                **{
                    "postgres_dsn": migrated_dsn,
                    "redis_url": redis_url,
                    "auth_jwks_file": explainer_keys / "jwks.json",
                    "auth_key_file": explainer_keys / "explainer.pem",
                    "grpc_port": 0,
                    "gateway_target": "off",
                    # a busy machine is no reason for missing evidence
                    "gather_timeout_s": 60.0,
                    "job_lease_s": 60.0,
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
    config: Config, keys: Path, scopes: tuple[str, ...], wrap: Any
) -> AsyncIterator[Running]:
    user = auth.TokenMinter.from_file(keys / "gateway.pem", "gateway").mint(
        "user:tester", scopes, 3600
    )
    async with assemble(config, SystemClock()) as explainer:
        if wrap is not None:
            wrap(explainer)
        target = f"127.0.0.1:{await explainer.server.start()}"
        try:
            async with patient_channel(target, service=FULL_NAME, tokens=lambda: user) as channel:
                stub = pb_grpc.ExplainerServiceStub(channel)
                yield Running(stub=stub, explainer=explainer, config=config, target=target)
        finally:
            await explainer.server.stop(0, 1)
