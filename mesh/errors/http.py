"""The same errors over HTTP: the table of google.rpc.Code and the body of AIP-193."""

from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.rpc import status_pb2

_HTTP_BY_CODE: Final[dict[grpc.StatusCode, int]] = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
_CODE_BY_NUMBER: Final[dict[int, grpc.StatusCode]] = {c.value[0]: c for c in grpc.StatusCode}


def http_status(code: grpc.StatusCode) -> int:
    """The HTTP status that stands for a gRPC code."""
    return _HTTP_BY_CODE[code]


def to_problem(status: status_pb2.Status) -> dict[str, Any]:
    """The JSON body of an error: `{"error": {code, status, message, details}}`."""
    code = _CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    details = [json_format.MessageToDict(detail) for detail in status.details]
    return {
        "error": {
            "code": http_status(code),
            "status": code.name,
            "message": status.message,
            "details": details,
        }
    }
