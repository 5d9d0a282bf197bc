"""The real service in this process, fed by a real ingest, reached through its own door."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest

from mesh.auth import TokenMinter
from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from sensus.core.v1 import alert_pb2
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1.incidents_service_pb2_grpc import IncidentsServiceStub
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.incidents.config import Config
from services.incidents.wiring import Incidents, assemble
from tests.ingest import harness as ingest
from tests.ingest.harness import TestClock, alert

T = TypeVar("T")
LIMIT_S = 60.0
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
OPEN = incident_pb2.INCIDENT_STATE_OPEN
_runs = itertools.count()


@dataclass(kw_only=True)
class Running:
    """A started service, its ingest, and a channel to each."""

    ingest: ingest.Running
    incidents: Incidents
    stub: Any
    clock: TestClock
    keys: Path
    dsn: str
    target: str
    tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    def start(self, worker: str) -> None:
        """Runs a worker of the service beside it."""
        self.tasks[worker] = asyncio.create_task(self.incidents.workers[worker]())

    async def stop(self, worker: str) -> None:
        """Ends a worker."""
        self.tasks[worker].cancel()
        await asyncio.gather(self.tasks.pop(worker), return_exceptions=True)

    def env(self) -> str:
        """An environment of its own for a test."""
        return f"env-{next(_runs)}"

    @asynccontextmanager
    async def called_by(self, subject: str, *scopes: str) -> AsyncIterator[Any]:
        """A stub with which somebody else calls."""
        async with called_by(self.target, self.keys, subject, *scopes) as stub:
            yield stub

    async def write(self, *alerts: alert_pb2.Alert) -> list[str]:
        """Sends changes of alerts to ingest; their ids."""
        answer = await self.ingest.stub.WriteAlerts(ingest_pb.WriteAlertsRequest(alerts=alerts))
        return list(answer.alert_ids)

    async def placed(self, env: str, count: int) -> None:
        """Waits until so many alerts of an environment are members of incidents."""
        query = "SELECT count(*) FROM incidents.member WHERE labels->>'env' = $1"

        async def look() -> bool | None:
            return await self.incidents.pool.fetchval(query, env) == count or None

        await until(look)

    async def read_all(self) -> None:
        """Waits until every change of an alert so far was read."""
        query = (
            "SELECT cursor >= (SELECT max(change_id) FROM ingest.alert_change) "
            "FROM incidents.cursor WHERE name = 'alerts'"
        )

        async def look() -> bool | None:
            return await self.incidents.pool.fetchval(query) or None

        await until(look)

    async def listed(self, env: str, **asked: Any) -> list[incident_pb2.Incident]:
        """Incidents of an environment, those that changed last first."""
        request = pb.ListIncidentsRequest(selector=f'{{environment="{env}"}}', **asked)
        return list((await self.stub.ListIncidents(request)).incidents)

    async def one(self, env: str, count: int = 1, **asked: Any) -> incident_pb2.Incident:
        """The only incident of an environment, when it has so many members."""

        async def look() -> incident_pb2.Incident | None:
            found = await self.listed(env, **asked)
            good = len(found) == 1 and found[0].member_count >= count
            return found[0] if good else None

        return await until(look)

    async def get(self, incident_id: str) -> pb.GetIncidentResponse:
        """One incident."""
        answer: pb.GetIncidentResponse = await self.stub.GetIncident(
            pb.GetIncidentRequest(incident_id=incident_id)
        )
        return answer

    async def reaches(self, incident_id: str, state: int) -> incident_pb2.Incident:
        """The incident once it is in this state."""

        async def look() -> incident_pb2.Incident | None:
            found = (await self.get(incident_id)).incident
            return found if found.state == state else None

        return await until(look)

    async def events(self, incident_id: str) -> list[incident_pb2.IncidentEvent]:
        """Its log, oldest first."""
        request = pb.ListTimelineRequest(incident_id=incident_id, page_size=1000)
        return list((await self.stub.ListTimeline(request)).events)[::-1]

    async def kinds(self, incident_id: str) -> list[str]:
        """Kinds of its events without those of members alone, oldest first."""
        names = [incident_pb2.EventKind.Name(e.kind) for e in await self.events(incident_id)]
        short = [name.removeprefix("EVENT_KIND_") for name in names]
        return [name for name in short if name not in ("MEMBERS", "FLAPPED")]

    async def later(self, seconds: float) -> None:
        """The clock of this service goes on."""
        self.clock.ahead_ms += round(seconds * 1000)

    async def opened(self, env: str, *names: str, **labels: str) -> incident_pb2.Incident:
        """A critical incident of alerts of these names, which fire from now on."""
        now = self.clock.now_ms()
        pairs = {"severity": "critical", "env": env, "service": f"{env}-shop"} | labels
        await self.write(*(alert(start_ms=now, **pairs, alertname=name) for name in names))
        return await self.one(env, len(names), states=[OPEN])


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` gives, once it gives anything."""
    async with asyncio.timeout(LIMIT_S):
        while (found := await look()) is None:  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)
    return found


@asynccontextmanager
async def called_by(target: str, keys: Path, subject: str, *scopes: str) -> AsyncIterator[Any]:
    """A stub for this subject."""
    minter = TokenMinter.from_file(keys / "gateway.pem", "gateway")
    tokens = client_interceptors(
        tokens=lambda: minter.mint(subject, scopes, 3600), default_timeout_s=120
    )
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS, interceptors=tokens) as channel:
        yield IncidentsServiceStub(channel)


@asynccontextmanager
async def running(
    dsn: str, redis_url: str, keys: Path, *, without: tuple[str, ...] = (), **changes: Any
) -> AsyncIterator[Running]:
    """Serves with all workers, but `without` some, until the block ends."""
    async with AsyncExitStack() as stack:
        settings = ingest.config(dsn, redis_url, keys)
        only = ("committer", "publisher", "alert_publisher")
        source = await stack.enter_async_context(ingest.running(settings, keys, only=only))
        clock = TestClock()
        given: dict[str, Any] = {
            "postgres_dsn": dsn,
            "grpc_port": 0,
            "metrics_port": 0,
            "auth_jwks_file": keys / "jwks.json",
            "auth_key_file": keys / "incidents.pem",
            "gateway_target": "off",
            "ingest_target": f"127.0.0.1:{source.port}",
            "detector_target": "127.0.0.1:1",
            "explainer_target": "127.0.0.1:1",
        }
        config = Config(**(given | changes))
        incidents = await stack.enter_async_context(assemble(config, clock))
        port = await incidents.server.start()
        target = f"127.0.0.1:{port}"
        scopes = ("read:incidents", "write:incidents", "admin")
        stub = await stack.enter_async_context(called_by(target, keys, "user:anna", *scopes))
        started = Running(
            ingest=source,
            incidents=incidents,
            stub=stub,
            clock=clock,
            keys=keys,
            dsn=dsn,
            target=target,
        )
        for name in incidents.workers.keys() - without:
            started.start(name)
        stack.push_async_callback(_stop, started)
        yield started


async def _stop(service: Running) -> None:
    await service.incidents.server.stop(0, 1.0)
    for worker in service.tasks.values():
        worker.cancel()
    for result in await asyncio.gather(*service.tasks.values(), return_exceptions=True):
        if isinstance(result, Exception):
            raise result


def refusal(error: grpc.aio.AioRpcError) -> str:
    """The reason in the details of a status."""
    found = re.findall(rb"[A-Z]+(?:_[A-Z]+)+", str(error.trailing_metadata()).encode())
    return b" ".join(found).decode()


async def refused(call: Any, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert reason in refusal(caught.value), caught.value
