"""What can go wrong, and whether trying again helps."""

from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS: Final = "grpc-status-details-bin"
_PASSING: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)
_NEW_TOKEN_HELPS: Final = frozenset({"TOKEN_EXPIRED", "STANDING_CHANGED"})


class ClientError(Exception):
    """The client cannot go on; the message says why."""


class RefusedError(ClientError):
    """The server refuses for a reason that trying again does not cure, such as a missing scope."""


class UnavailableError(ClientError):
    """The server did not take anything for as long as the sender had patience."""


class SpoolError(ClientError):
    """The directory of a spool cannot be used; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a stream ended.

    Attributes:
        message: For people.
        passes: Opening again may help.
        wait_s: The server asked for so much patience.
    """

    message: str
    passes: bool = True
    wait_s: float = 0.0


def failure_of(error: grpc.aio.AioRpcError) -> Failure:
    """Reads a status with its details; foreign and broken details are ignored."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in _status(error).details:
        detail.Unpack(info)
        detail.Unpack(retry)
    code = error.code()
    return Failure(
        message=f"{error.details() or code.name} ({info.reason or code.name})",
        passes=code in _PASSING or info.reason in _NEW_TOKEN_HELPS,
        wait_s=max(0.0, retry.retry_delay.ToMilliseconds() / 1000),
    )


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    packed = (error.trailing_metadata() or grpc.aio.Metadata()).get(_DETAILS)
    try:
        return status_pb2.Status.FromString(packed) if isinstance(packed, bytes) else _NOTHING
    except DecodeError:
        return _NOTHING


_NOTHING: Final = status_pb2.Status()
