"""IdentityService: what the other services ask the gateway. Check, ask, encode."""

from collections.abc import AsyncIterator

import grpc

from mesh.auth import current_principal
from mesh.clock import Clock
from sensus.identity.v1 import identity_service_pb2 as pb
from sensus.identity.v1 import identity_service_pb2_grpc as pb_grpc
from services.gateway import convert
from services.gateway.auth.standing import StandingKeeper
from services.gateway.store import AuditStore

FULL_NAME = pb.DESCRIPTOR.services_by_name["IdentityService"].full_name

RecordContext = grpc.aio.ServicerContext[pb.RecordAuditRequest, pb.RecordAuditResponse]
WatchContext = grpc.aio.ServicerContext[pb.WatchStandingRequest, pb.WatchStandingResponse]


class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """Any gateway answers for all: the truth is in the database."""

    def __init__(self, keeper: StandingKeeper, audit: AuditStore, clock: Clock) -> None:
        """Tells what `keeper` knows, and keeps in `audit` what it is told."""
        self._keeper = keeper
        self._audit = audit
        self._clock = clock

    async def WatchStanding(  # noqa: N802
        self, request: pb.WatchStandingRequest, context: "WatchContext"
    ) -> AsyncIterator[pb.WatchStandingResponse]:
        """Streams what has changed after the caller's revision."""
        async for frame in self._keeper.follow(request.after_revision):
            yield convert.standing_frame(frame, self._clock.now_ms())

    async def RecordAudit(  # noqa: N802
        self, request: pb.RecordAuditRequest, context: "RecordContext"
    ) -> pb.RecordAuditResponse:
        """Takes over entries of the caller's own log."""
        service = current_principal().issuer
        recorded, head = await self._audit.record(
            service,
            [convert.audit_entry(entry) for entry in request.entries],
            request.last_entry_id,
            convert.audit_head(request.witnessed) if request.HasField("witnessed") else None,
        )
        return convert.recorded(recorded, head)
