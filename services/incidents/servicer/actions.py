"""What people do to incidents."""

from collections.abc import Callable
from typing import Final

from mesh.errors import NotFound
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.convert import common, incidents, requests
from services.incidents.keeper.actions import Request
from services.incidents.lifecycle import people
from services.incidents.model.incident import Event, Incident
from services.incidents.servicer.parts import Parts
from services.incidents.store.transaction import IncidentTransaction

_MOST_SPLIT: Final = 1000
_Decide = Callable[[Incident, str, int], Event | None]


class ActionMethods(pb_grpc.IncidentsServiceServicer):
    """Each is one commit, with an entry of the audit log."""

    _parts: Parts

    async def UpdateIncident(  # noqa: N802
        self, request: pb.UpdateIncidentRequest, context: object
    ) -> pb.UpdateIncidentResponse:
        """Title, owner, severity."""
        to, etag, asked = requests.updated(request), request.etag, common.asked(request)
        actions, id = self._parts.actions, _id(request.incident_id)

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            after = await actions.update(current, id, etag, asked.actor, now_ms, **to)
            return _kept(after)

        return pb.UpdateIncidentResponse(incident=_read(await actions.run(asked, work)))

    async def Acknowledge(  # noqa: N802
        self, request: pb.AcknowledgeRequest, context: object
    ) -> pb.AcknowledgeResponse:
        """The caller is on it."""
        answer = await self._act(common.asked(request), request.incident_id, people.acknowledge)
        return pb.AcknowledgeResponse(incident=answer)

    async def Resolve(  # noqa: N802
        self, request: pb.ResolveRequest, context: object
    ) -> pb.ResolveResponse:
        """It is over."""
        reason = common.text("reason", request.reason, 2000, "INVALID_REASON")
        cause = common.text("cause", request.cause, 500, "INVALID_CAUSE")

        def decide(before: Incident, actor: str, now_ms: int) -> Event:
            return people.resolve(before, actor, now_ms, reason, cause)

        answer = await self._act(common.asked(request), request.incident_id, decide)
        return pb.ResolveResponse(incident=answer)

    async def Reopen(  # noqa: N802
        self, request: pb.ReopenRequest, context: object
    ) -> pb.ReopenResponse:
        """It is not over."""
        answer = await self._act(common.asked(request), request.incident_id, people.reopen)
        return pb.ReopenResponse(incident=answer)

    async def Mute(self, request: pb.MuteRequest, context: object) -> pb.MuteResponse:  # noqa: N802
        """Holds notices back."""
        until_ms = requests.muted_until(request, self._parts.clock.now_ms())
        reason = common.text("reason", request.reason, 2000, "INVALID_REASON")

        def decide(before: Incident, actor: str, now_ms: int) -> Event:
            return people.mute(before, actor, now_ms, until_ms, reason)

        answer = await self._act(common.asked(request), request.incident_id, decide)
        return pb.MuteResponse(incident=answer)

    async def Unmute(  # noqa: N802
        self, request: pb.UnmuteRequest, context: object
    ) -> pb.UnmuteResponse:
        """Ends a mute."""
        answer = await self._act(common.asked(request), request.incident_id, people.unmute)
        return pb.UnmuteResponse(incident=answer)

    async def AddNote(  # noqa: N802
        self, request: pb.AddNoteRequest, context: object
    ) -> pb.AddNoteResponse:
        """A text for the timeline."""
        said = common.text("text", request.text, 10_000, "INVALID_NOTE", least=1)
        actions, asked, id = self._parts.actions, common.asked(request), _id(request.incident_id)

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            event = people.note(await actions.one(current, id), asked.actor, now_ms, said)
            await actions.act(current, [event], asked.actor)
            return incidents.event(event).SerializeToString()

        answer = incident_pb2.IncidentEvent.FromString(await actions.run(asked, work))
        return pb.AddNoteResponse(event=answer)

    async def MergeIncidents(  # noqa: N802
        self, request: pb.MergeIncidentsRequest, context: object
    ) -> pb.MergeIncidentsResponse:
        """Several become part of one."""
        actions, asked, id = self._parts.actions, common.asked(request), _id(request.incident_id)
        ids = [_id(each) for each in request.incident_ids]

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            return _kept(await actions.merge(current, id, ids, asked.actor, now_ms))

        return pb.MergeIncidentsResponse(incident=_read(await actions.run(asked, work)))

    async def SplitIncident(  # noqa: N802
        self, request: pb.SplitIncidentRequest, context: object
    ) -> pb.SplitIncidentResponse:
        """Members leave for a new one."""
        if not 1 <= len(request.member_ids) <= _MOST_SPLIT:
            raise common.invalid("member_ids", f"name 1 to {_MOST_SPLIT}", "INVALID_SPLIT")
        actions, asked, id = self._parts.actions, common.asked(request), _id(request.incident_id)
        ids = [common.text("member_ids", each, 200, "INVALID_SPLIT") for each in request.member_ids]

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            left, made = await actions.split(current, id, ids, asked.actor, now_ms)
            answer = pb.SplitIncidentResponse(
                incident=incidents.incident(left), new_incident=incidents.incident(made)
            )
            return answer.SerializeToString()

        return pb.SplitIncidentResponse.FromString(await actions.run(asked, work))

    async def UndoChange(  # noqa: N802
        self, request: pb.UndoChangeRequest, context: object
    ) -> pb.UndoChangeResponse:
        """Takes a change back."""
        actions, asked, id = self._parts.actions, common.asked(request), _id(request.incident_id)
        event_id = min(request.event_id, 2**62)

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            return _kept(await actions.undo(current, id, event_id, asked.actor, now_ms))

        return pb.UndoChangeResponse(incident=_read(await actions.run(asked, work)))

    async def _act(
        self, asked: Request, incident_id: str, decide: _Decide
    ) -> incident_pb2.Incident:
        actions, id = self._parts.actions, _id(incident_id)

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            before = await actions.one(current, id)
            event = decide(before, asked.actor, now_ms)
            after = await actions.act(current, [event], asked.actor) if event else before
            return _kept(after)

        return _read(await actions.run(asked, work))


def _id(incident_id: str) -> str:
    if "\0" in incident_id:
        raise NotFound("incident", incident_id[:200])
    return incident_id


def _kept(after: Incident) -> bytes:
    return incidents.incident(after).SerializeToString()


def _read(answer: bytes) -> incident_pb2.Incident:
    return incident_pb2.Incident.FromString(answer)
