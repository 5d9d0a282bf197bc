"""Hands series to ingest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mesh.errors import translated
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.topology.model.series import Sample

if TYPE_CHECKING:
    from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc

PRODUCER: Final = "topology"
_WITHIN_S: Final = 20.0


class IngestClient:
    """Writes one batch per minute."""

    def __init__(self, stub: "pb_grpc.IngestServiceAsyncStub") -> None:
        """Uses `stub` for every call."""
        self._stub = stub

    async def write(self, sequence: int, time_ms: int, samples: Sequence[Sample]) -> int:
        """Stores samples of one time; the same `sequence` again changes nothing.

        Returns:
            How many were refused.

        Raises:
            SensusError: Nothing is acknowledged.
        """
        batch = pb.SampleBatch(sequence=sequence)
        for each in samples:
            series = batch.series.add(
                samples=[pb.Sample(timestamp_ms=time_ms, value=each.value)],
            )
            named = {"__name__": each.name, **each.labels}
            series.labels.extend(
                series_pb2.Label(name=name, value=value) for name, value in sorted(named.items())
            )
        request = pb.WriteBatchRequest(producer_id=PRODUCER, batch=batch)
        with translated():
            answer = await self._stub.WriteBatch(request, timeout=_WITHIN_S)
        return answer.ack.rejected
