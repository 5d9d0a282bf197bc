"""Tells the explainer of deploys."""

from datetime import datetime
from typing import TYPE_CHECKING, Final

from mesh.errors import translated
from sensus.explainer.v1 import explainer_service_pb2 as pb

if TYPE_CHECKING:
    from sensus.explainer.v1 import explainer_service_pb2_grpc as pb_grpc

_WITHIN_S: Final = 10.0
_ID: Final = 200


class ExplainerClient:
    """Reports changes."""

    def __init__(self, stub: "pb_grpc.ExplainerServiceAsyncStub") -> None:
        """Uses `stub` for every call."""
        self._stub = stub

    async def deployed(
        self, service: str, version: str, environment: str, first_seen: datetime
    ) -> None:
        """A version of a service was seen for the first time; to tell it twice changes nothing.

        Raises:
            SensusError: Nothing is acknowledged.
        """
        where = f" in {environment}" if environment else ""
        change = pb.Change(
            change_id=f"otel:{service}@{version}{where}"[:_ID],
            kind=pb.CHANGE_KIND_DEPLOY,
            service=service[:_ID],
            text=f"version {version}{where} sent its first span or log record",
        )
        change.time.FromDatetime(first_seen)
        with translated():
            await self._stub.WriteChange(pb.WriteChangeRequest(change=change), timeout=_WITHIN_S)
