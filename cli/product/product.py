"""The whole product on this machine: stores, services and the agent under one supervisor."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType

import psutil

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from cli.problem import Problem
from cli.processes.account import Account, child_account, hand_over, write_owned
from cli.processes.child import Child, Event, Probe, SilenceLimits
from cli.processes.lock import DirectoryLock
from cli.processes.logs import LogRotation
from cli.processes.process import Program
from cli.processes.supervisor import Supervisor
from cli.product.code import cache_environment, code_directories
from cli.product.database import bring_up_schemas, new_dsns
from cli.product.directory import DataDirectory, Run, end_orphans
from cli.product.environment import (
    AGENT,
    SERVICES,
    Stores,
    addresses,
    agent_environment,
    agent_token_file,
    service_environment,
)
from cli.product.first_login import FirstLogin
from cli.product.ports import Ports, settle
from cli.product.probes import grpc_probe, http_probe
from cli.product.service import Service
from cli.product.tokens import user_token
from mesh.auth import generate_key_files
from mesh.auth.keys import JWKS_NAME
from mesh.clients.identity import STANDING
from mesh.config import child_environment
from mesh.errors import SensusError
from mesh.redis import Streams, open_redis

_PEOPLE_S = 15.0
_POLL_S = 0.1
_AGENT_TOKEN_S = 24 * 3600.0
_AGENT_TOKEN_LOOK_S = 60.0
_AGENT_PATIENCE = SilenceLimits(every_s=5.0, idle_s=15.0, busy_s=60.0)
"""Nobody waits for the agent, and a question costs both sides more than a reading."""


@dataclass(slots=True, kw_only=True)
class Product:
    """Started by `async with`; stopped, in order, when it is left.

    Attributes:
        stores: servers of the user's own; what is not given is started here.
        settings: further environment of every service, for example a shorter warm-up.
        with_agent: starts the agent too, which streams this machine's own metrics.
        admin_password: of the user `admin`, when this start has created that user.
    """

    directory: DataDirectory
    ports: Ports
    tell: Callable[[Event], None]
    stores: Stores = field(default_factory=Stores)
    settings: Mapping[str, str] = field(default_factory=dict)
    with_agent: bool = False
    admin_password: str = ""
    run: Run = field(init=False)
    _supervisor: Supervisor = field(init=False)
    _first_login: FirstLogin = field(init=False)
    _lock: DirectoryLock = field(init=False)
    _account: Account | None = field(init=False, default_factory=child_account)
    _cache_environment: Mapping[str, str] = field(init=False)
    _dsn_by_service: Mapping[str, str] = field(init=False, default_factory=dict)
    _rotation: asyncio.Task[None] = field(init=False)
    _renewal: asyncio.Task[None] | None = field(init=False, default=None)

    async def __aenter__(self) -> "Product":
        self.directory.make()
        self._lock = DirectoryLock(self.directory.path)
        self._lock.acquire()
        self._supervisor = Supervisor(self.tell)
        self._rotation = asyncio.create_task(LogRotation(self.directory.logs).run())
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
        self._make_keys()
        await self._supervisor.start(self._services())
        await self._until_people_get_in()
        self.admin_password = await self._first_login.settle(self.run.gateway_url)
        if self.with_agent:
            self._write_agent_token()
            self._renewal = asyncio.create_task(self._renew_agent_token())
            await self._supervisor.start([self._agent()])

    async def _stop(self) -> None:
        await self._supervisor.stop()
        self._rotation.cancel()
        if self._renewal:
            self._renewal.cancel()
        self.directory.forget_run()
        self._lock.release()

    async def _until_people_get_in(self) -> None:
        """The services hear from the gateway whose tokens hold; before that, only they get in."""
        run = self.run
        targets = (
            run.ingest_target,
            run.detector_target,
            run.explainer_target,
            run.incidents_target,
            run.notifier_target,
            run.topology_target,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(_PEOPLE_S):
                for target in targets:
                    while not (await grpc_probe(target, STANDING)).ready:  # noqa: ASYNC110
                        await asyncio.sleep(_POLL_S)

    async def _start_stores(self) -> None:
        if not self.stores.postgres_dsn:
            postgres = embedded_postgres(self.directory)
            await self._supervisor.start([postgres])
            self.run = replace(self.run, postgres_dsn=postgres.dsn)
            await bring_up_schemas(postgres.dsn, roles=True)
            self._dsn_by_service = await new_dsns(postgres.dsn)
        else:
            await bring_up_schemas(self.stores.postgres_dsn, roles=False)
        if not self.stores.redis_url:
            log_file = self.directory.logs / "redis.log"
            redis = EmbeddedRedis(self.directory.redis, log_file=log_file)
            await self._supervisor.start([redis])
            self.stores = replace(self.stores, redis_url=redis.url)
        await check_redis(self.stores.redis_url)

    def _services(self) -> list[Service]:
        self._cache_environment = cache_environment(self.directory, self._account)
        password = self._first_login.password()
        readyz = partial(http_probe, f"{self.run.gateway_url}/readyz")
        return [
            self._service("ingest", partial(grpc_probe, self.run.ingest_target)),
            self._service("detector", partial(grpc_probe, self.run.detector_target)),
            self._service("explainer", partial(grpc_probe, self.run.explainer_target)),
            self._service("incidents", partial(grpc_probe, self.run.incidents_target)),
            self._service("notifier", partial(grpc_probe, self.run.notifier_target)),
            self._service("topology", partial(grpc_probe, self.run.topology_target)),
            self._service("gateway", readyz, SENSUS_BOOTSTRAP_ADMIN_PASSWORD=password),
        ]

    def _service(self, name: str, probe: Probe, **own_settings: str) -> Service:
        environment = {
            **service_environment(self.directory, self.ports, self.run, self.stores),
            **self._cache_environment,
            **self._database_environment(name),
            **self.settings,
            **own_settings,
        }
        program = Program(
            command=(sys.executable, "-P", "-m", f"services.{name}"),
            log_file=self.directory.logs / f"{name}.log",
            environment=child_environment(environment),
            account=self._account,
            reach=[self.directory.keys, *code_directories()],
        )
        return Service(name, program, probe, spawned=self._spawned)

    def _agent(self) -> Service:
        hand_over(self.directory.agent, self._account)
        environment = {**agent_environment(self.directory, self.ports, self.run), **self.settings}
        program = Program(
            command=(sys.executable, "-P", "-m", "services.agent"),
            log_file=self.directory.logs / "agent.log",
            environment=child_environment(environment),
            account=self._account,
            reach=[self.directory.keys, self.directory.agent, *code_directories()],
        )
        probe = partial(http_probe, f"http://127.0.0.1:{self.ports.metrics_agent}/readyz")
        return Service(AGENT, program, probe, patience=_AGENT_PATIENCE, spawned=self._spawned)

    def _write_agent_token(self) -> None:
        """It lets the agent write samples, and nothing else, for a day."""
        token = user_token(self.directory, AGENT, scopes=("write:samples",), ttl_s=_AGENT_TOKEN_S)
        write_owned(agent_token_file(self.directory), token, self._account)

    async def _renew_agent_token(self) -> None:
        """By the clock on the wall: a machine that slept wakes up with a token that has expired."""
        written_at_s = time.time()
        while True:
            await asyncio.sleep(_AGENT_TOKEN_LOOK_S)
            if time.time() - written_at_s > _AGENT_TOKEN_S / 2:
                self._write_agent_token()
                written_at_s = time.time()

    def _database_environment(self, name: str) -> dict[str, str]:
        if dsn := self._dsn_by_service.get(name):
            return {f"SENSUS_{name.upper()}_POSTGRES_DSN": dsn}
        return {"SENSUS_POSTGRES_DSN": self.stores.postgres_dsn}

    def _make_keys(self) -> None:
        """Keys belong to whom the services run as; their directory stays ours.

        So no service can put something else where we write at the next start.
        """
        generate_key_files(self.directory.keys, SERVICES)
        self._first_login = FirstLogin(self.directory.keys)
        if self._account is not None:
            for name in (JWKS_NAME, *(f"{service}.pem" for service in SERVICES)):
                hand_over(self.directory.keys / name, self._account)
            os.chown(self.directory.keys, os.geteuid(), self._account.gid)
            self.directory.keys.chmod(0o750)

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
