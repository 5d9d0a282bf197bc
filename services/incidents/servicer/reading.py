"""Incidents, members and the log, read."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from mesh.errors import NotFound
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.convert import common, incidents, requests, services
from services.incidents.model.incident import Incident
from services.incidents.servicer.member_labels import MemberLabels
from services.incidents.servicer.parts import Parts
from services.incidents.store.services import FIRST, ServicePlace

_INLINE: Final = 200
_LAST: Final = 2**62
_RECENT_MS: Final = 86_400_000


class ReadingMethods(pb_grpc.IncidentsServiceServicer):
    """Any replica answers for all."""

    _parts: Parts

    async def WatchIncidents(  # noqa: N802
        self, request: pb.WatchIncidentsRequest, context: object
    ) -> AsyncIterator[pb.WatchIncidentsResponse]:
        """The log behind the caller's cursor."""
        wanted = requests.watch_query(request)
        watch = self._parts.publisher.watch(wanted.after, wanted.wants, wanted.heartbeat_s)
        members = MemberLabels(self._parts.incidents)
        async with aclosing(watch) as frames:
            async for frame in frames:
                sets: list[pb.LabelSet] = []
                now_ms = self._parts.clock.now_ms()
                if frame.entry is not None and wanted.with_labels:
                    sets = await members.of(frame.entry.incident, now_ms)
                yield incidents.frame(frame, sets, now_ms)

    async def ListIncidents(  # noqa: N802
        self, request: pb.ListIncidentsRequest, context: object
    ) -> pb.ListIncidentsResponse:
        """One page, those that changed last first, or the oldest act of an idle owner."""
        size, wanted = common.page_size(request.page_size), requests.incident_filter(request)
        if wanted.idle_since_ms:
            after: tuple[int, str] = common.place(request, 0, "")
            idle = await self._parts.incidents.idle(wanted, after, size + 1)
            token = common.token(request, *idle[size - 1][0]) if len(idle) > size else ""
            listed = [each for _, each in idle[:size]]
        else:
            (before,) = common.place(request, _LAST)
            found = await self._parts.incidents.page(wanted, before, size + 1)
            token = common.token(request, found[size - 1][0]) if len(found) > size else ""
            listed = [each for _, each in found[:size]]
        return pb.ListIncidentsResponse(
            incidents=[incidents.incident(each) for each in listed], next_page_token=token
        )

    async def GetIncident(  # noqa: N802
        self, request: pb.GetIncidentRequest, context: object
    ) -> pb.GetIncidentResponse:
        """One incident with its first members."""
        found = await self._find(request.incident_id)
        members = await self._parts.incidents.members(found.incident_id, (0, ""), _INLINE)
        return pb.GetIncidentResponse(
            incident=incidents.incident(found),
            members=[incidents.member(each) for _, each in members],
        )

    async def ListServices(  # noqa: N802
        self, request: pb.ListServicesRequest, context: object
    ) -> pb.ListServicesResponse:
        """One page of services, the worst first."""
        size, wanted = common.page_size(request.page_size), services.service_query(request)
        after: ServicePlace = common.place(request, *FIRST)
        since_ms, calls = self._parts.clock.now_ms() - _RECENT_MS, self._parts.graph.calls
        found = await self._parts.services.page(wanted, calls.keys(), since_ms, after, size + 1)
        token = common.token(request, *found[size - 1].place) if len(found) > size else ""
        return pb.ListServicesResponse(
            services=[services.service(each, calls) for each in found[:size]],
            next_page_token=token,
        )

    async def ListMembers(  # noqa: N802
        self, request: pb.ListMembersRequest, context: object
    ) -> pb.ListMembersResponse:
        """One page of members."""
        size = common.page_size(request.page_size)
        after: tuple[int, str] = common.place(request, 0, "")
        found = await self._find(request.incident_id)
        members = await self._parts.incidents.members(found.incident_id, after, size + 1)
        token = ""
        if len(members) > size:
            joined_no, last = members[size - 1]
            token = common.token(request, joined_no, last.member_id)
        return pb.ListMembersResponse(
            members=[incidents.member(each) for _, each in members[:size]], next_page_token=token
        )

    async def ListTimeline(  # noqa: N802
        self, request: pb.ListTimelineRequest, context: object
    ) -> pb.ListTimelineResponse:
        """One page of the log, newest first."""
        size = common.page_size(request.page_size)
        (before,) = common.place(request, 2**31 - 1)
        found = await self._find(request.incident_id)
        events = await self._parts.incidents.timeline(found.incident_id, before, size + 1)
        token = common.token(request, events[size - 1].event_no) if len(events) > size else ""
        return pb.ListTimelineResponse(
            events=incidents.timeline(events[:size]), next_page_token=token
        )

    async def _find(self, incident_id: str) -> Incident:
        found = None if "\0" in incident_id else await self._parts.incidents.find(incident_id)
        if found is None:
            raise NotFound("incident", incident_id[:200])
        return found
