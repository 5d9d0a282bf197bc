"""A real gateway on a free port: real PostgreSQL, real Redis, scripted services behind it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import TokenMinter, generate_key_files
from services.gateway.auth.passwords import Passwords
from services.gateway.auth.roles import SCOPES_BY_ROLE
from services.gateway.config import Config
from services.gateway.http.server import HttpServer
from services.gateway.store import rate_limiter
from services.gateway.wiring import Gateway, open_gateway
from tests.databases import database
from tests.gateway.scripted import Script, scripted_services
from tests.ingest.harness import config as ingest_config
from tests.ingest.harness import running as ingest_running
from tests.ingest.harness import until

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "ingest", "detector", "explainer", "incidents", "notifier", "topology")
ADMIN_PASSWORD = "a long enough password"
PATIENCE_S = 3600
"""Longer than a test may run: the loop stands still while hypothesis draws and others compute."""
_SERVING: list["Running"] = []


@dataclass
class Running:
    """A gateway that serves, with a client for anonymous requests."""

    gateway: Gateway
    server: HttpServer
    url: str
    http: httpx.AsyncClient
    keys: Path
    passwords: Passwords
    keeping: asyncio.Task[None]

    def token(self, role: str = "admin", *, ttl_s: float = 600) -> str:
        """An access token of the user that is named like the role."""
        minter = TokenMinter.from_file(self.keys / "gateway.pem", "gateway")
        return minter.mint(f"user:{role}", SCOPES_BY_ROLE.get(role, {"admin"}), ttl_s)

    def headers(self, role: str = "admin") -> dict[str, str]:
        """Authorization of the user that is named like the role."""
        return {"Authorization": f"Bearer {self.token(role)}"}

    def client(self, role: str) -> httpx.AsyncClient:
        """A client of the user that is named like the role."""
        return httpx.AsyncClient(base_url=self.url, headers=self.headers(role), timeout=60)

    async def make_user(self, name: str, role: str, password: str = ADMIN_PASSWORD) -> None:
        """Makes a user past the HTTP door."""
        hashed = await self.passwords.hash(password)
        await self.gateway.stores.accounts.create("test", name, hashed, role)
        await self.gateway.keeper.notice()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key per service and the JWKS of all."""
    directory = tmp_path_factory.mktemp("keys")
    generate_key_files(directory, SERVICES)
    return directory


@pytest.fixture(scope="session")
def passwords() -> Passwords:
    """Argon2id with parameters that cost nothing."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
async def services(keys: Path) -> AsyncIterator[tuple[Script, dict[str, str]]]:
    """The scripted services of the session and their targets."""
    script = Script()
    async with scripted_services(script, keys / "jwks.json") as targets:
        yield script, targets


@pytest.fixture
async def script(services: tuple[Script, dict[str, str]]) -> AsyncIterator[Script]:
    """The script of the services, empty."""
    script = services[0]
    script.reset()
    yield script
    downed = list(script.health)
    script.reset()
    for running in _SERVING:
        await until(lambda r=running: running_again(r, downed))


@pytest.fixture
def config(
    migrated_dsn: str, redis_url: str, keys: Path, services: tuple[Script, dict[str, str]]
) -> Config:
    """A config with limits that no test reaches by accident."""
    return gateway_config(migrated_dsn, redis_url, keys, services[1])


async def running_again(running: Running, services: Sequence[str]) -> bool:
    """Whether the channels of a gateway have heard that these services serve."""
    if not services:
        return True
    health = running.gateway.dependencies.health
    await health.probe()
    return all(health.components()[name].healthy for name in services)


@pytest.fixture(scope="session", autouse=True)
def patient_limits() -> Iterator[None]:
    """Nobody is let through because a busy machine's Redis answered late."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rate_limiter, "_TIMEOUT_S", 60)
        yield


Start = Callable[..., Any]


@pytest.fixture
def start(config: Config, passwords: Passwords, script: Script) -> Start:
    """Starts a gateway of this test whose config differs in the values given."""
    return lambda **changes: started_gateway(dataclasses.replace(config, **changes), passwords)


@pytest.fixture
async def fresh(start: Start) -> AsyncIterator[Running]:
    """A gateway of this test, with the users admin, operator and viewer."""
    async with start() as running:
        await _make_users(running)
        yield running


@pytest.fixture(scope="session")
async def shared(
    postgres: EmbeddedPostgres,
    migrated_template: str,
    redis_server: EmbeddedRedis,
    keys: Path,
    services: tuple[Script, dict[str, str]],
    passwords: Passwords,
) -> AsyncIterator[Running]:
    """One gateway for all tests that leave its users and its state alone."""
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        started_gateway(
            gateway_config(dsn, redis_server.url, keys, services[1]), passwords
        ) as running,
    ):
        await _make_users(running)
        yield running


@pytest.fixture
def running(shared: Running, script: Script) -> Running:
    """The shared gateway; files that change users override this with `fresh`."""
    return shared


@pytest.fixture
async def client(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an operator: may send and read."""
    async with running.client("operator") as client:
        yield client


@pytest.fixture(scope="module")
async def to_ingest(
    postgres: EmbeddedPostgres,
    redis_server: EmbeddedRedis,
    migrated_template: str,
    keys: Path,
    services: tuple[Script, dict[str, str]],
    passwords: Passwords,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway before a real ingest."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(postgres.dsn, template=migrated_template))
        settings = ingest_config(dsn, redis_server.url, keys)
        only = ("committer", "publisher", "event_committer", "event_publisher")
        ingest = await stack.enter_async_context(ingest_running(settings, keys, only=only))
        targets = services[1] | {"ingest": f"127.0.0.1:{ingest.port}"}
        config = gateway_config(dsn, redis_server.url, keys, targets)
        gateway = await stack.enter_async_context(started_gateway(config, passwords))
        yield await stack.enter_async_context(gateway.client("admin"))


@pytest.fixture
async def admin(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the admin."""
    async with running.client("admin") as client:
        yield client


def gateway_config(dsn: str, redis_url: str, keys: Path, targets: dict[str, str]) -> Config:
    """A config with limits that no test reaches by accident."""
    return Config(
        postgres_dsn=dsn,
        redis_url=redis_url,
        auth_jwks_file=keys / "jwks.json",
        auth_key_file=keys / "gateway.pem",
        http_port=0,
        grpc_port=0,
        bootstrap_admin_password=ADMIN_PASSWORD,
        rate_metrics=100_000,
        rate_alerts=100_000,
        rate_analysis=100_000,
        rate_other=100_000,
        rate_telemetry=100_000,
        standing_grace_s=PATIENCE_S,
        answer_within_s=60,
        max_body_bytes=1024 * 1024,
        ingest_target=targets["ingest"],
        detector_target=targets["detector"],
        explainer_target=targets["explainer"],
        incidents_target=targets["incidents"],
        notifier_target=targets["notifier"],
        topology_target=targets["topology"],
    )


@asynccontextmanager
async def started_gateway(config: Config, passwords: Passwords) -> AsyncIterator[Running]:
    """A gateway that serves until the block ends."""
    async with open_gateway(config, passwords) as gateway:
        server = HttpServer(
            gateway.app,
            host="127.0.0.1",
            port=0,
            admission=gateway.admission,
            drain=gateway.drain,
            leave=gateway.dependencies.leave,
        )
        url = f"http://127.0.0.1:{await server.start()}"
        keeping = asyncio.create_task(gateway.keeper.run())
        try:
            async with httpx.AsyncClient(base_url=url, timeout=60) as http:
                keys = config.auth_key_file.parent
                running = Running(gateway, server, url, http, keys, passwords, keeping)
                _SERVING.append(running)
                yield running
                _SERVING.remove(running)
        finally:
            keeping.cancel()
            await server.stop(0, 2)


async def _make_users(running: Running) -> None:
    await running.make_user("operator", "operator")
    await running.make_user("viewer", "viewer")


def reason_of(response: httpx.Response) -> str:
    """The ErrorInfo reason of an error answer."""
    details = response.json()["error"]["details"]
    return next(d["reason"] for d in details if d["@type"].endswith("ErrorInfo"))


def fields_of(response: httpx.Response) -> list[str]:
    """The fields that an error answer names."""
    details = response.json()["error"]["details"]
    bad = [d for d in details if d["@type"].endswith("BadRequest")]
    return [violation["field"] for d in bad for violation in d["fieldViolations"]]
