"""Errors to `google.rpc.Status` and back. ErrorInfo goes along always."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from mesh.errors import tree

M = TypeVar("M", bound=Message)

DOMAIN: Final = "sensus"
VIOLATIONS_SHOWN: Final = 20

# A status travels in HTTP/2 trailers, percent-encoded and base64: above 8 KiB it would be lost.
_MESSAGE_BYTES: Final = 400
_VALUE_BYTES: Final = 100
_VALUES_SHOWN: Final = 8

_DETAILS_KEY: Final = "grpc-status-details-bin"
_PASSED_ON: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_CLASS_BY_CODE: Final[dict[grpc.StatusCode, type[tree.SensusError]]] = {
    cls.code: cls
    for cls in (
        tree.InvalidInput,
        tree.OutOfRange,
        tree.NotFound,
        tree.AlreadyExists,
        tree.Conflict,
        tree.FailedPrecondition,
        tree.Unauthenticated,
        tree.PermissionDenied,
        tree.Overloaded,
        tree.Unavailable,
        tree.DeadlineExceeded,
        tree.Cancelled,
        tree.Unimplemented,
        tree.Internal,
    )
}
_CODE_BY_NUMBER: Final[dict[int, grpc.StatusCode]] = {c.value[0]: c for c in grpc.StatusCode}


def public_error(error: BaseException) -> tree.SensusError:
    """The error a caller may see; anything we did not foresee becomes `Internal` with a fresh id.

    Of a call we made ourselves only "try later" is passed on: that our own request was refused is
    no fault of our caller.
    """
    if isinstance(error, tree.SensusError):
        return error
    if isinstance(error, grpc.aio.AioRpcError) and error.code() in _PASSED_ON:
        return from_rpc_error(error)
    return tree.Internal(uuid.uuid4().hex)


def to_status(error: BaseException) -> status_pb2.Status:
    """Encodes an error; text of unforeseen exceptions never gets out."""
    shown = public_error(error)
    status = status_pb2.Status(
        code=shown.code.value[0], message=_cut(shown.message, _MESSAGE_BYTES)
    )
    for detail in _details(shown):
        status.details.add().Pack(detail)
    return status


def from_status(status: status_pb2.Status) -> tree.SensusError:
    """Decodes a status; tolerates missing and foreign details."""
    code = _CODE_BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    info = _detail(status, error_details_pb2.ErrorInfo()) or error_details_pb2.ErrorInfo()
    return _rebuilt(code, status, info)


def from_rpc_error(error: grpc.aio.AioRpcError) -> tree.SensusError:
    """The error the server raised, seen from the client."""
    plain = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    packed = (error.trailing_metadata() or grpc.aio.Metadata()).get(_DETAILS_KEY)
    if not isinstance(packed, bytes):
        return from_status(plain)
    try:
        rich = status_pb2.Status.FromString(packed)
    except DecodeError:
        return from_status(plain)
    return from_status(rich if rich.code == plain.code else plain)


@contextmanager
def translated() -> Iterator[None]:
    """Inside, a failed rpc is raised as the `SensusError` the server meant."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error) from error
    except asyncio.InvalidStateError as error:
        raise tree.Unavailable("the stream has ended: open it again") from error


def _details(error: tree.SensusError) -> Iterator[Message]:
    yield error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=DOMAIN,
        metadata={key: _cut(value) for key, value in list(error.metadata.items())[:_VALUES_SHOWN]},
    )
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        yield retry
    if isinstance(error, tree.InvalidInput) and error.violations:
        yield _bad_request(error.violations)
    if isinstance(error, tree.NotFound):
        yield error_details_pb2.ResourceInfo(
            resource_type=_cut(error.kind), resource_name=_cut(error.id)
        )


def _bad_request(violations: tuple[tree.Violation, ...]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for violation in violations[:VIOLATIONS_SHOWN]:
        field, description = _cut(violation.field, 60), _cut(violation.description)
        bad.field_violations.add(field=field, description=description)
    return bad


def _cut(text: object, size_bytes: int = _VALUE_BYTES) -> str:
    """The beginning of a text as valid UTF-8."""
    return str(text).encode(errors="replace")[:size_bytes].decode(errors="ignore")


def _rebuilt(
    code: grpc.StatusCode, status: status_pb2.Status, info: error_details_pb2.ErrorInfo
) -> tree.SensusError:
    """Without the constructors: what they make of their arguments is in the status already."""
    cls = _CLASS_BY_CODE.get(code, tree.SensusError)
    error = cls.__new__(cls)
    reason, metadata = info.reason or None, dict(info.metadata)
    tree.SensusError.__init__(error, status.message, reason=reason, metadata=metadata)
    if retry := _detail(status, error_details_pb2.RetryInfo()):
        error.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
    if isinstance(error, tree.InvalidInput):
        error.violations = _violations(status)
    if isinstance(error, tree.NotFound):
        found = _detail(status, error_details_pb2.ResourceInfo())
        error.kind, error.id = (found.resource_type, found.resource_name) if found else ("", "")
    if isinstance(error, tree.Internal):
        error.error_id = metadata.get("error_id", "")
    return error


def _violations(status: status_pb2.Status) -> tuple[tree.Violation, ...]:
    bad = _detail(status, error_details_pb2.BadRequest()) or error_details_pb2.BadRequest()
    return tuple(tree.Violation(v.field, v.description) for v in bad.field_violations)


def _detail(status: status_pb2.Status, empty: M) -> M | None:
    packed: any_pb2.Any
    for packed in status.details:
        if packed.Unpack(empty):
            return empty
    return None
