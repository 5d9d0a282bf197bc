"""Postmortems: drafted from the log, kept as people write them."""

from typing import Final

from mesh.errors import NotFound
from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.convert import common
from services.incidents.lifecycle import people
from services.incidents.lifecycle.postmortem import postmortem
from services.incidents.servicer.parts import Parts
from services.incidents.store.postmortems import StoredPostmortem, save
from services.incidents.store.transaction import IncidentTransaction

_TEXT_MAX: Final = 200_000
_EVENTS_MAX: Final = 1000
_MEMBERS_MAX: Final = 1000


class PostmortemMethods(pb_grpc.IncidentsServiceServicer):
    """Any replica answers for all."""

    _parts: Parts

    async def GetPostmortem(  # noqa: N802
        self, request: pb.GetPostmortemRequest, context: object
    ) -> pb.GetPostmortemResponse:
        """The draft, and what a person made of it."""
        found = await self._postmortem(request.incident_id)
        return pb.GetPostmortemResponse(postmortem=found)

    async def SavePostmortem(  # noqa: N802
        self, request: pb.SavePostmortemRequest, context: object
    ) -> pb.SavePostmortemResponse:
        """Keeps a text."""
        said = common.text("text", request.text, _TEXT_MAX, "INVALID_TEXT", least=1)
        actions, asked, etag = self._parts.actions, common.asked(request), request.etag
        id = common.text("incident_id", request.incident_id, 100, "INVALID_TEXT")

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            before = await actions.one(current, id)
            key = before.incident_id
            await save(current.connection, key, said, etag, asked.actor, now_ms)
            event = people.saved_postmortem(before, asked.actor, now_ms)
            await actions.act(current, [event], asked.actor)
            return key.encode()

        key = (await actions.run(asked, work)).decode()
        return pb.SavePostmortemResponse(postmortem=await self._postmortem(key))

    async def _postmortem(self, incident_id: str) -> pb.Postmortem:
        store = self._parts.incidents
        found = None if "\0" in incident_id else await store.find(incident_id)
        if found is None:
            raise NotFound("incident", incident_id[:200])
        key = found.incident_id
        events = await store.timeline(key, 2**31 - 1, _EVENTS_MAX)
        members = await store.members(key, (0, ""), _MEMBERS_MAX)
        draft, claims = postmortem(found, events[::-1], [each for _, each in members])
        saved: StoredPostmortem = await self._parts.postmortems.get(key)
        return pb.Postmortem(
            incident_id=key,
            draft=draft,
            claims=[
                pb.PostmortemClaim(
                    text=each.text,
                    event_ids=each.event_ids,
                    evidence_ids=each.evidence_ids,
                    member_ids=each.member_ids,
                )
                for each in claims
            ],
            text=saved.text,
            actor=saved.actor,
            save_time=common.maybe_timestamp(saved.save_ms),
            etag=saved.etag,
        )
