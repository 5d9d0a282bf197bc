"""The whole product on this machine: two stores and four services under one supervisor."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

import asyncpg
import psutil

from cli.directory import DataDirectory, Run, end_orphans
from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from cli.environment import SERVICES, Stores, addresses, service_environment
from cli.first_login import FirstLogin
from cli.lock import DirectoryLock
from cli.ports import Ports, settle
from cli.probes import grpc_ready, http_ready
from cli.problem import Problem
from cli.process import Program
from cli.service import Service
from cli.supervisor import Child, Event, Supervisor
from mesh.auth import generate_key_files
from mesh.config import child_environment
from mesh.errors import SensusError
from mesh.migrations import DIRECTORY, MigrationError, migrate
from mesh.streams import Streams, open_redis


@dataclass(slots=True, kw_only=True)
class Product:
    """Started by `async with`; stopped, in order, when it is left.

    Attributes:
        stores: servers of the user's own; what is not given is started here.
        settings: further environment of every service, for example a shorter warm-up.
        admin_password: of the user `admin`, when this start has created that user.
    """

    directory: DataDirectory
    ports: Ports
    tell: Callable[[Event], None]
    stores: Stores = field(default_factory=Stores)
    settings: Mapping[str, str] = field(default_factory=dict)
    admin_password: str = ""
    run: Run = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _first_login: FirstLogin = field(init=False)
    _lock: DirectoryLock = field(init=False)

    async def __aenter__(self) -> "Product":
        self.directory.make()
        self._lock = DirectoryLock(self.directory.path)
        self._lock.acquire()
        self._supervisor = Supervisor(self.tell)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    @property
    def children(self) -> tuple[Child, ...]:
        """The stores and services that run now."""
        return self._supervisor.children

    async def _start(self) -> None:
        end_orphans(self.directory.last_run())
        self.ports = settle(self.ports)
        self.run = addresses(self.ports)
        await self._start_stores()
        await bring_up_schemas(self.stores.postgres_dsn)
        generate_key_files(self.directory.keys, SERVICES)
        self._first_login = FirstLogin(self.directory.keys)
        await self._supervisor.start(self._services())
        self.admin_password = await self._first_login.settle(self.run.gateway_url)

    async def _stop(self) -> None:
        await self._supervisor.stop()
        self.directory.forget_run()
        self._lock.release()

    async def _start_stores(self) -> None:
        if not self.stores.postgres_dsn:
            postgres = embedded_postgres(self.directory)
            await self._supervisor.start([postgres])
            self.run = replace(self.run, postgres_dsn=postgres.dsn)
            self.stores = replace(self.stores, postgres_dsn=postgres.dsn)
        if not self.stores.redis_url:
            log_file = self.directory.logs / "redis.log"
            redis = EmbeddedRedis(self.directory.redis, log_file=log_file)
            await self._supervisor.start([redis])
            self.stores = replace(self.stores, redis_url=redis.url)
        await check_redis(self.stores.redis_url)

    def _services(self) -> list[Service]:
        password = self._first_login.password()
        readyz = partial(http_ready, f"{self.run.gateway_url}/readyz")
        return [
            self._service("ingest", partial(grpc_ready, self.run.ingest_target)),
            self._service("detector", partial(grpc_ready, self.run.detector_target)),
            self._service("explainer", partial(grpc_ready, self.run.explainer_target)),
            self._service("gateway", readyz, SENSUS_BOOTSTRAP_ADMIN_PASSWORD=password),
        ]

    def _service(
        self, name: str, probe: Callable[[], Awaitable[bool]], **own_settings: str
    ) -> Service:
        environment = service_environment(self.directory, self.ports, self.run, self.stores)
        program = Program(
            command=(sys.executable, "-P", "-m", f"services.{name}"),
            log_file=self.directory.logs / f"{name}.log",
            environment=child_environment({**environment, **self.settings, **own_settings}),
        )
        return Service(name, program, probe, spawned=self._spawned)

    def _spawned(self, name: str, pid: int) -> None:
        with suppress(psutil.NoSuchProcess):  # it may have ended already
            self.run.processes[name] = (pid, psutil.Process(pid).create_time())
        self.directory.write_run(self.run)


def embedded_postgres(directory: DataDirectory) -> EmbeddedPostgres:
    """The PostgreSQL of a data directory, not started."""
    return EmbeddedPostgres(directory.postgres, log_file=directory.logs / "postgres.log")


async def check_redis(url: str) -> None:
    """Asks the server once; Problem when it does not answer."""
    try:
        async with open_redis(url) as redis:
            await Streams(redis).ping()
    except (SensusError, ValueError) as error:
        cause = error.__cause__ or error
        raise Problem(f"Redis at SENSUS_REDIS_URL cannot be used: {cause}") from None


async def bring_up_schemas(dsn: str) -> list[str]:
    """Applies the migrations of all services; Problem when the server or a file refuses."""
    services = sorted(path.name for path in DIRECTORY.iterdir() if path.is_dir())
    try:
        return await migrate(dsn, services)
    except MigrationError as error:
        raise Problem(f"migrations: {error}") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Problem(f"PostgreSQL at SENSUS_POSTGRES_DSN cannot be used: {error}") from None
