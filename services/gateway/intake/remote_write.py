"""Prometheus remote write: which of its messages a body holds, and how ingest is asked."""

from typing import Final

from starlette.requests import Request

from mesh.auth import Principal
from mesh.errors import InvalidInput, Overloaded
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.gateway.clients import Clients
from services.gateway.http.bodies import off_loop
from services.gateway.http.problems import BodyTooLarge, UnsupportedMediaType
from services.gateway.intake.compressed import unsnapped
from services.gateway.intake.outcome import Refusal
from services.gateway.intake.samples import reason_name

V1: Final = pb.REMOTE_WRITE_PROTOCOL_V1
V2: Final = pb.REMOTE_WRITE_PROTOCOL_V2

_REMOTE_WRITE: Final = pb.DESCRIPTOR.services_by_name["IngestService"].methods_by_name[
    "RemoteWrite"
]
_WRITTEN: Final = "X-Prometheus-Remote-Write-{}-Written"
_TYPE: Final = "application/x-protobuf"
_PROTOCOLS: Final = {
    "": V1,
    "prometheus.writerequest": V1,
    "io.prometheus.write.v2.request": V2,
}


def protocol_of(request: Request) -> "pb.RemoteWriteProtocol.ValueType":
    """The message that the headers announce; 1.0 where they name none.

    Raises:
        UnsupportedMediaType: It is none of ours, or is not in the block format of snappy.
    """
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    if encoding != "snappy":
        raise UnsupportedMediaType(f"Content-Encoding {encoding[:20]!r}: send snappy")
    kind, *parameters = request.headers.get("content-type", _TYPE).lower().split(";")
    named = [each.strip().removeprefix("proto=") for each in parameters if "proto=" in each]
    protocol = _PROTOCOLS.get(named[0].strip('"') if named else "")
    if kind.strip() != _TYPE or protocol is None:
        rule = f"send {_TYPE}, with proto=prometheus.WriteRequest or io.prometheus.write.v2.Request"
        raise UnsupportedMediaType(rule)
    return protocol


async def remote_write(
    clients: Clients,
    principal: Principal,
    protocol: "pb.RemoteWriteProtocol.ValueType",
    packed: bytes,
) -> pb.RemoteWriteResponse:
    """Hands a body to ingest.

    Raises:
        BodyTooLarge: It unpacks to too many bytes, or holds too many samples.
        InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        Unavailable: Nothing was committed: send it again.
    """
    body = await off_loop(packed, unsnapped, packed)
    try:
        answer = await clients.unary(
            _REMOTE_WRITE, pb.RemoteWriteRequest(protocol=protocol, body=body), principal
        )
    except Overloaded as error:
        if error.retry_after_s is None:
            raise BodyTooLarge(error.message, reason=error.reason) from error
        raise
    assert isinstance(answer, pb.RemoteWriteResponse)  # noqa: S101
    return answer


def refusals(answer: pb.RemoteWriteResponse) -> list[Refusal]:
    """The first refused records, by their time series."""
    return [
        Refusal(index=error.index, reason=reason_name(error.reason), message=error.message)
        for error in answer.errors
    ]


def partly_refused(answer: pb.RemoteWriteResponse) -> InvalidInput:
    """What the sender is told when some, or all, of its records were refused."""
    first = answer.errors[0] if answer.errors else pb.SampleError()
    counts = f"{answer.rejected} refused, {answer.samples + answer.histograms} stored"
    message = f"{counts}: timeseries[{first.index}]: {first.message}"
    return InvalidInput(message, reason=reason_name(first.reason))


def written_headers(answer: pb.RemoteWriteResponse) -> dict[str, str]:
    """How many of each kind are stored, as 2.0 wants it."""
    counts = {
        "Samples": answer.samples,
        "Histograms": answer.histograms,
        "Exemplars": answer.exemplars,
    }
    return {_WRITTEN.format(kind): str(count) for kind, count in counts.items()}
