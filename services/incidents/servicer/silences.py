"""Silences."""

from typing import Final

import msgspec

from sensus.incidents.v1 import incidents_service_pb2 as pb
from sensus.incidents.v1 import incidents_service_pb2_grpc as pb_grpc
from services.incidents.convert import common, silences
from services.incidents.servicer.parts import Parts
from services.incidents.store import silences as store
from services.incidents.store.transaction import IncidentTransaction

_LAST: Final = 2**62
_LOST_MAX: Final = 1000


class SilenceMethods(pb_grpc.IncidentsServiceServicer):
    """Making, listing and ending silences."""

    _parts: Parts

    async def CreateSilence(  # noqa: N802
        self, request: pb.CreateSilenceRequest, context: object
    ) -> pb.CreateSilenceResponse:
        """Makes a silence."""
        asked = common.asked(request)
        wanted = silences.silence(request.silence, asked.actor, self._parts.clock.now_ms())

        async def work(current: IncidentTransaction, _: int) -> bytes:
            made = await store.put(current.connection, wanted, asked.actor, "silence.create")
            return silences.silence_message(made).SerializeToString()

        answer = pb.Silence.FromString(await self._parts.actions.run(asked, work))
        return pb.CreateSilenceResponse(silence=answer)

    async def ListSilences(  # noqa: N802
        self, request: pb.ListSilencesRequest, context: object
    ) -> pb.ListSilencesResponse:
        """One page, newest first."""
        size = common.page_size(request.page_size)
        (before,) = common.place(request, _LAST)
        found = await self._parts.silences.page(
            before, size + 1, self._parts.clock.now_ms(), expired=request.include_expired
        )
        token = common.token(request, found[size - 1][0]) if len(found) > size else ""
        return pb.ListSilencesResponse(
            silences=[silences.silence_message(each) for _, each in found[:size]],
            next_page_token=token,
        )

    async def ExpireSilence(  # noqa: N802
        self, request: pb.ExpireSilenceRequest, context: object
    ) -> pb.ExpireSilenceResponse:
        """Ends a silence."""
        asked = common.asked(request)
        silence_id = common.text("silence_id", request.silence_id, 100, "INVALID_SILENCE")

        async def work(current: IncidentTransaction, now_ms: int) -> bytes:
            over = await store.expire(current.connection, silence_id, asked.actor, now_ms)
            return silences.silence_message(over).SerializeToString()

        answer = pb.Silence.FromString(await self._parts.actions.run(asked, work))
        return pb.ExpireSilenceResponse(silence=answer)

    async def ImportSilences(  # noqa: N802
        self, request: pb.ImportSilencesRequest, context: object
    ) -> pb.ImportSilencesResponse:
        """Takes those of an Alertmanager."""
        asked = common.asked(request)
        now_ms = self._parts.clock.now_ms()
        found, lost = silences.from_alertmanager(request.alertmanager_json, asked.actor, now_ms)

        async def work(current: IncidentTransaction, _: int) -> bytes:
            for each in found:
                known = await store.imported(current.connection, each.imported_id)
                wanted = msgspec.structs.replace(each, silence_id=known)
                await store.put(current.connection, wanted, asked.actor, "silence.import")
            answer = pb.ImportSilencesResponse(imported=len(found), lost=lost[:_LOST_MAX])
            return answer.SerializeToString()

        return pb.ImportSilencesResponse.FromString(await self._parts.actions.run(asked, work))
