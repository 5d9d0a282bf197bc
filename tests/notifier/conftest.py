"""The notifier behind its own door, on a real PostgreSQL, beside a scripted log of incidents."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh import auth
from mesh.clock import SystemClock
from sensus.notifier.v1 import notice_pb2, notifier_service_pb2
from sensus.notifier.v1 import notifier_service_pb2_grpc as pb_grpc
from services.notifier.config import Config
from services.notifier.wiring import FULL_NAME, Notifier, assemble
from tests.channels import patient_channel
from tests.databases import database
from tests.notifier.peers import Hook, Log, served_hook, served_log

ADMIN = ("admin",)


@dataclass(kw_only=True)
class Running:
    """A started notifier and a client of it."""

    stub: "pb_grpc.NotifierServiceAsyncStub"
    notifier: Notifier
    config: Config
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def begin(self, worker: str) -> None:
        """Runs a worker beside the server."""
        self.tasks[worker] = asyncio.create_task(self.notifier.workers[worker]())

    async def route(self, yaml: str) -> notifier_service_pb2.PutRoutingResponse:
        """Puts a routing."""
        return await self.stub.PutRouting(notifier_service_pb2.PutRoutingRequest(yaml=yaml))

    async def notices(self, **wanted: Any) -> list[notice_pb2.Notice]:
        """All notices that fit, oldest first."""
        request = notifier_service_pb2.ListNoticesRequest(page_size=1000, **wanted)
        return list((await self.stub.ListNotices(request)).notices)[::-1]

    async def get(self, notice_id: str) -> notice_pb2.Notice:
        """One notice with its attempts."""
        request = notifier_service_pb2.GetNoticeRequest(notice_id=notice_id)
        return (await self.stub.GetNotice(request)).notice

    async def until(
        self, fits: Callable[[list[notice_pb2.Notice]], bool], within_s: float = 60
    ) -> list[notice_pb2.Notice]:
        """The notices, once they are as they should be."""
        found: list[notice_pb2.Notice] = []
        try:
            async with asyncio.timeout(within_s):
                while not fits(found := await self.notices()):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"still {found}") from None
        return found


Start = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="session")
def notifier_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys of the services."""
    directory = tmp_path_factory.mktemp("notifier-keys")
    auth.generate_key_files(directory, ["incidents", "notifier", "gateway"])
    return directory


@pytest.fixture(scope="session")
async def notifier_database(
    postgres: EmbeddedPostgres, migrated_template: str
) -> AsyncIterator[tuple[str, "asyncpg.Connection[asyncpg.Record]", str]]:
    """One database for all tests, a connection to it, and what empties it."""
    async with database(postgres.dsn, template=migrated_template) as dsn:
        connection = await asyncpg.connect(dsn)
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'notifier' ORDER BY 1"
        )
        emptying = "; ".join(f"DELETE FROM notifier.{row['tablename']}" for row in tables)
        yield dsn, connection, f"SET session_replication_role = replica; {emptying}"
        await connection.close()


@pytest.fixture
async def sql(
    notifier_database: tuple[str, "asyncpg.Connection[asyncpg.Record]", str],
) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to the database, emptied for this test."""
    _, connection, emptying = notifier_database
    await connection.execute(emptying)
    return connection


@pytest.fixture
async def log() -> Log:
    """An empty log of incidents."""
    return Log()


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A webhook that takes everything."""
    async with served_hook() as hook:
        yield hook


@pytest.fixture
async def start(
    notifier_database: tuple[str, "asyncpg.Connection[asyncpg.Record]", str],
    sql: "asyncpg.Connection[asyncpg.Record]",
    notifier_keys: Path,
    log: Log,
    tmp_path: Path,
) -> AsyncIterator[Start]:
    """Starts notifiers on one database, beside the log, until the test ends.

    A worker that a test goes `without` does nothing behind its back.
    """
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(served_log(log))

        async def start(
            *, scopes: tuple[str, ...] = ADMIN, without: tuple[str, ...] = (), **options: Any
        ) -> Running:
            settings: dict[str, Any] = {
                "postgres_dsn": notifier_database[0],
                "auth_jwks_file": notifier_keys / "jwks.json",
                "auth_key_file": notifier_keys / "notifier.pem",
                "grpc_port": 0,
                "metrics_port": 0,
                "gateway_target": "off",
                "incidents_target": target,
                "private_hosts": ("127.0.0.1", "localhost"),
                "secret_directories": (str(tmp_path),),
                "poll_s": 0.05,
                "explanation_wait_s": 0.0,
                "delivery_timeout_s": 30.0,
                "public_url": "https://sensus.example",
            }
            config = Config(**settings | options)
            return await stack.enter_async_context(
                _notifier(config, notifier_keys, scopes, without)
            )

        yield start


@pytest.fixture
async def notifier(start: Start) -> Running:
    """One notifier with the usual settings."""
    return await start()


@asynccontextmanager
async def _notifier(
    config: Config, keys: Path, scopes: tuple[str, ...], without: tuple[str, ...]
) -> AsyncIterator[Running]:
    user = auth.TokenMinter.from_file(keys / "gateway.pem", "gateway").mint(
        "user:tester", scopes, 3600
    )
    async with assemble(config, SystemClock()) as notifier:
        target = f"127.0.0.1:{await notifier.server.start()}"
        async with patient_channel(target, service=FULL_NAME, tokens=lambda: user) as channel:
            stub = pb_grpc.NotifierServiceStub(channel)
            running = Running(stub=stub, notifier=notifier, config=config)
            try:
                for worker in notifier.workers.keys() - without:
                    running.begin(worker)
                yield running
            finally:
                await notifier.server.stop(0, 1)
                for task in running.tasks.values():
                    task.cancel()
                await asyncio.gather(*running.tasks.values(), return_exceptions=True)
