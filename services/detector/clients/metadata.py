"""Asks ingest what senders say of their metrics."""

from typing import TYPE_CHECKING, Final

from mesh.errors import SensusError, Unavailable, translated
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.detector.model.metric_types import MetricType, Said

if TYPE_CHECKING:
    from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc

PAGE: Final = 1000
ANSWER_S: Final = 10.0
"""For each page."""
_NUMBERS: Final = frozenset(each.value for each in MetricType)


class MetadataClient:
    """Reads what is said of metrics, all of it or what changed lately."""

    def __init__(self, stub: "pb_grpc.IngestServiceAsyncStub") -> None:
        """Uses `stub` for every call."""
        self._stub = stub

    async def changed(self, since_ms: int | None) -> Said:
        """What was said, or changed, since then; all that is known where that is None.

        Raises:
            Unavailable: Ingest cannot be asked.
        """
        request = pb.ListMetadataRequest(page_size=PAGE)
        if since_ms is not None:
            request.changed_since.FromMilliseconds(since_ms)
        types, newest_ms = dict[str, MetricType](), since_ms
        while True:
            page = await self._page(request)
            for each in page.metadata:
                known = each.type if each.type in _NUMBERS else MetricType.UNKNOWN
                types[each.metric] = MetricType(known)
                if each.HasField("update_time"):
                    newest_ms = max(newest_ms or 0, each.update_time.ToMilliseconds())
            request.page_token = page.next_page_token
            if not request.page_token:
                return Said(types, newest_ms)

    async def _page(self, request: pb.ListMetadataRequest) -> pb.ListMetadataResponse:
        try:
            with translated():
                return await self._stub.ListMetadata(request, timeout=ANSWER_S)
        except SensusError as error:
            raise Unavailable(error.message, reason=error.reason) from error
