"""The peers of a notifier: a scripted log of incidents, and servers that take notices."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from mesh.errors import OutOfRange, to_status
from sensus.core.v1 import series_pb2
from sensus.incidents.v1 import incident_pb2, incidents_service_pb2
from sensus.incidents.v1 import incidents_service_pb2_grpc as incidents_grpc

SERVICE = "sensus.incidents.v1.IncidentsService"
CRITICAL = series_pb2.SEVERITY_CRITICAL
WARNING = series_pb2.SEVERITY_WARNING
OPEN = incident_pb2.INCIDENT_STATE_OPEN
ACKNOWLEDGED = incident_pb2.INCIDENT_STATE_ACKNOWLEDGED
SETTLING = incident_pb2.INCIDENT_STATE_SETTLING
RESOLVED = incident_pb2.INCIDENT_STATE_RESOLVED
MERGED = incident_pb2.INCIDENT_STATE_MERGED


class Log(incidents_grpc.IncidentsServiceServicer):
    """A log of incidents that a test writes; it is followed as the real one is."""

    def __init__(self) -> None:
        self.frames: list[incidents_service_pb2.WatchIncidentsResponse] = []
        self.incidents: dict[str, incident_pb2.Incident] = {}
        self._grown = asyncio.Condition()

    async def tell(
        self,
        incident_id: str,
        kind: str,
        *,
        state: incident_pb2.IncidentState.ValueType = OPEN,
        labels: dict[str, str] | None = None,
        members: list[dict[str, str]] | None = None,
        transition: bool = True,
        age_s: float = 0.0,
        **fields: Any,
    ) -> incident_pb2.Incident:
        """Appends an event; the incident keeps the fields that are not given."""
        incident = self.incidents.setdefault(
            incident_id,
            incident_pb2.Incident(
                incident_id=incident_id, severity=CRITICAL, title=f"checkout fails ({incident_id})"
            ),
        )
        for name, value in fields.items():
            if value is None:
                incident.ClearField(name)  # type: ignore[arg-type]
            elif isinstance(value, list):
                incident.ClearField(name)  # type: ignore[arg-type]
                getattr(incident, name).extend(value)
            elif hasattr(value, "SerializeToString"):
                getattr(incident, name).CopyFrom(value)
            else:
                setattr(incident, name, value)
        if labels is not None:
            del incident.labels[:]
            incident.labels.extend(series_pb2.Label(name=n, value=v) for n, v in labels.items())
        incident.state = state
        incident.event_no += 1
        incident.transition += transition
        cursor = len(self.frames) + 1
        event = incident_pb2.IncidentEvent(
            event_id=cursor,
            incident_id=incident_id,
            event_no=incident.event_no,
            kind=incident_pb2.EventKind.Value(f"EVENT_KIND_{kind}"),
            transition=incident.transition if transition else 0,
            state=state,
            severity=incident.severity,
        )
        event.time.GetCurrentTime()
        event.time.FromMilliseconds(event.time.ToMilliseconds() - round(1000 * age_s))
        if not incident.HasField("start_time"):
            incident.start_time.CopyFrom(event.time)
            incident.open_time.CopyFrom(event.time)
        change = incidents_service_pb2.IncidentChange(event=event, incident=incident)
        for each in members or []:
            row = change.member_labels.add()
            row.labels.extend(series_pb2.Label(name=n, value=v) for n, v in each.items())
        async with self._grown:
            self.frames.append(
                incidents_service_pb2.WatchIncidentsResponse(cursor=cursor, change=change)
            )
            self._grown.notify_all()
        return incident

    async def WatchIncidents(
        self, request: incidents_service_pb2.WatchIncidentsRequest, context: Any
    ) -> AsyncIterator[incidents_service_pb2.WatchIncidentsResponse]:
        """Everything after the cursor, and then what comes; a heartbeat each second."""
        place = request.after_cursor
        if place > len(self.frames):
            last = {"last": str(len(self.frames))}
            error = OutOfRange("restored", reason="CURSOR_AHEAD", metadata=last)
            await context.abort_with_status(rpc_status.to_status(to_status(error)))
        while True:
            while place < len(self.frames):
                frame = self.frames[place]
                place += 1
                yield frame
            try:
                async with asyncio.timeout(1), self._grown:
                    if place == len(self.frames):
                        await self._grown.wait()
            except TimeoutError:
                beat = incidents_service_pb2.IncidentsHeartbeat()
                yield incidents_service_pb2.WatchIncidentsResponse(cursor=place, heartbeat=beat)


@asynccontextmanager
async def served_log(log: Log) -> AsyncIterator[str]:
    """The log behind gRPC; its address."""
    server = grpc.aio.server()
    incidents_grpc.add_IncidentsServiceServicer_to_server(log, server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@dataclass
class Taken:
    """One request that a server took."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Answer = Callable[[Taken], Response]


@dataclass
class Hook:
    """An HTTP server that keeps what it gets and answers as it is told."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    answer: Answer = field(default=lambda taken: PlainTextResponse("ok"))
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    hanging: bool = False

    async def handle(self, request: Request) -> Response:
        """Keeps a request."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        taken = Taken(request.method, path, dict(request.headers), await request.body())
        self.taken.append(taken)
        self.grown.set()
        while self.hanging:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return self.answer(taken)

    async def until(self, count: int, within_s: float = 60) -> list[Taken]:
        """What was taken, once there is so much of it."""
        async with asyncio.timeout(within_s):
            while len(self.taken) < count:
                self.grown.clear()
                await self.grown.wait()
        return self.taken


@asynccontextmanager
async def served(handle: Callable[[Request], Any]) -> AsyncIterator[str]:
    """An HTTP server on a free port; its address."""
    methods = ["GET", "POST", "PATCH", "PUT"]
    app = Starlette(routes=[Route("/{rest:path}", handle, methods=methods)])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    async with asyncio.timeout(30):
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await running


@asynccontextmanager
async def served_hook() -> AsyncIterator[Hook]:
    """A hook that runs."""
    hook = Hook()
    async with served(hook.handle) as url:
        hook.url = url
        yield hook


def failing(status: int, **headers: str) -> Answer:
    """Answers with a status."""
    return lambda taken: JSONResponse({"error": "no"}, status_code=status, headers=headers)


def webhook_routing(hook: Hook, more: str = "", route: str = "") -> str:
    """A routing with one webhook."""
    return f"""
route:
  receiver: hook
{route}
receivers:
- name: hook
  webhook_configs: [{{url: '{hook.url}/a'}}]
{more}
"""


def kinds(hook: Hook) -> list[str]:
    """What the hook was told, in order."""
    return [each.json["kind"] for each in hook.taken]


def one_receiver(configs: str) -> str:
    """A routing to one receiver with these integrations."""
    return f"route: {{receiver: r}}\nreceivers:\n- name: r\n{configs}"
