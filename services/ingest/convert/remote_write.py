"""Remote write on the wire."""

from typing import Final

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.common import invalid
from services.ingest.convert.samples import error
from services.ingest.write.remote_write import RemoteWritten

_VERSIONS: Final[dict[int, int]] = {
    pb.REMOTE_WRITE_PROTOCOL_V1: 1,
    pb.REMOTE_WRITE_PROTOCOL_V2: 2,
}


def version(request: pb.RemoteWriteRequest) -> int:
    """1 or 2.

    Raises:
        InvalidInput: INVALID_PROTOCOL.
    """
    if request.protocol not in _VERSIONS:
        raise invalid("protocol", "must be v1 or v2", "INVALID_PROTOCOL")
    return _VERSIONS[request.protocol]


def answer(written: RemoteWritten) -> pb.RemoteWriteResponse:
    """What became of a body, for the wire."""
    return pb.RemoteWriteResponse(
        samples=written.samples,
        histograms=written.histograms,
        exemplars=written.exemplars,
        duplicate=written.ack.duplicate,
        rejected=len(written.ack.refused),
        errors=map(error, written.ack.refusals),
    )
