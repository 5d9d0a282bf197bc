"""Incidents of the running product: asked, changed, followed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc

from mesh.clients import Backoff, closing, keep_open
from mesh.errors import translated
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1.incidents_service_pb2_grpc import IncidentsServiceStub

Incident = incident_pb2.Incident


async def ask(channel: grpc.aio.Channel, method: str, request: Any) -> Any:
    """The answer of one method.

    Raises:
        SensusError: What the service says.
    """
    with translated():
        return await getattr(IncidentsServiceStub(channel), method)(request)


async def listed(
    channel: grpc.aio.Channel,
    states: Iterable[int],
    selector: str,
    query: str,
    limit: int,
    idle_since: datetime | None = None,
) -> list[Incident]:
    """Incidents that changed last first; with `idle_since` those whose owner acted last before it,
    oldest act first.
    """
    request = pb.ListIncidentsRequest(
        states=states,  # type: ignore[arg-type]
        selector=selector,
        query=query,
        page_size=limit,
    )
    if idle_since is not None:
        request.owner_idle_since.FromDatetime(idle_since)
    return list((await ask(channel, "ListIncidents", request)).incidents)


@dataclass(slots=True, kw_only=True)
class IncidentWatch:
    """Follows the log of incidents from now on, across reconnects."""

    channel: grpc.aio.Channel
    tell: Callable[[pb.IncidentChange], None]
    after_cursor: int | None = None

    async def run(self) -> None:
        """Tells each event once, for ever. SensusError when the server refuses."""
        await keep_open(self._session, name="incidents")

    async def _session(self, waits: Backoff) -> None:
        request = pb.WatchIncidentsRequest()
        if self.after_cursor is not None:
            request.after_cursor = self.after_cursor
        async with closing(IncidentsServiceStub(self.channel).WatchIncidents(request)) as call:
            async for response in call:
                waits.reset()
                self.after_cursor = response.cursor
                if response.HasField("change"):
                    self.tell(response.change)
