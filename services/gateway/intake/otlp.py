"""OTLP over HTTP: types and encodings in, ingest asked, answers in the form of the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from starlette.requests import Request
from starlette.responses import Response

from mesh import otlp
from mesh.auth import Principal
from mesh.errors import Overloaded, SensusError, to_status
from services.gateway.clients import Clients
from services.gateway.http.bodies import off_loop_by_size
from services.gateway.http.problems import (
    JSON,
    BodyTooLarge,
    UnsupportedMediaType,
    add_headers,
    status_of,
)
from services.gateway.intake.compressed import unpacked
from services.gateway.intake.otlp_json import metrics_message
from services.gateway.intake.otlp_json_events import logs_message, traces_message

PROTOBUF: Final = "application/x-protobuf"
_MOST_RATIO: Final = 1000
"""By how much gzip unpacks, and zstd by more: the size of what is packed tells nothing."""
_JSON_COST: Final = 8
"""64 KiB of empty objects take 100 ms, which is many times what a message of that size does."""


def _method(module: Any, service: str) -> MethodDescriptor:
    found: MethodDescriptor = module.DESCRIPTOR.services_by_name[service].methods_by_name["Export"]
    return found


@dataclass(frozen=True, slots=True)
class _Export:
    """How one signal is handed on: the method, and how its JSON is read."""

    method: MethodDescriptor
    from_json: Callable[[bytes], bytes]


_EXPORTS: Final = {
    otlp.METRICS: _Export(_method(metrics_service_pb2, "MetricsService"), metrics_message),
    otlp.TRACES: _Export(_method(trace_service_pb2, "TraceService"), traces_message),
    otlp.LOGS: _Export(_method(logs_service_pb2, "LogsService"), logs_message),
}


async def export(
    signal: otlp.Signal, clients: Clients, principal: Principal, request: Request
) -> Response:
    """Hands a request of a signal to ingest.

    Raises:
        UnsupportedMediaType: It is no protobuf and no JSON, or has another encoding.
        BodyTooLarge: It unpacks to too many bytes, or holds too many points.
        InvalidInput: Its bytes are no request of this signal.
        Overloaded: Too much of the caller's waits.
        Unavailable: Nothing was committed: send it again.
    """
    handed, is_json = _EXPORTS[signal], is_in_json(request)
    body = await _message(request, handed.from_json if is_json else None)
    try:
        answer = await clients.forward(handed.method, body, principal)
    except Overloaded as error:
        if error.retry_after_s is None:
            raise BodyTooLarge(error.message, reason=error.reason) from error
        raise
    if is_json:
        return Response(json_format.MessageToJson(answer, indent=None), media_type=JSON)
    return Response(answer.SerializeToString(), media_type=PROTOBUF)


def is_in_json(request: Request) -> bool:
    """Whether a request, and so its answer, is in JSON; otherwise in protobuf."""
    return _media_type(request) == JSON


def refused(error: SensusError, request: Request) -> Response:
    """An error as a google.rpc.Status, in the type of the request."""
    status = to_status(error)
    if is_in_json(request):
        content = msgspec.json.encode({"code": status.code, "message": status.message})
    else:
        content = status.SerializeToString()
    kind = JSON if is_in_json(request) else PROTOBUF
    response = Response(content, status_code=status_of(error), media_type=kind)
    add_headers(error, response.headers)
    return response


async def _message(request: Request, from_json: Callable[[bytes], bytes] | None) -> bytes:
    if from_json is None and _media_type(request) != PROTOBUF:
        rule = f"send Content-Type: {PROTOBUF} or {JSON}, not {_media_type(request)[:100]!r}"
        raise UnsupportedMediaType(rule)
    encoding = request.headers.get("content-encoding", "").strip().lower()
    packed = await request.body()
    ratio = 0 if encoding in ("", "identity") else _MOST_RATIO
    body = await off_loop_by_size(ratio * len(packed), unpacked, packed, encoding)
    if from_json is None:
        return body
    return await off_loop_by_size(_JSON_COST * len(body), from_json, body)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
