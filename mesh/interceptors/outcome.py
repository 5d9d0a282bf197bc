"""With which status a handler ended, seen from outside of it."""

from typing import Final

import grpc

from mesh.interceptors.around import Context

SERVER_FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Codes that make a server's span an error; the others are the caller's doing."""


def code_of(context: Context, error: BaseException | None) -> grpc.StatusCode:
    """The code of a handler that returned (`error` is None) or raised."""
    if error is None:
        return context.code() or grpc.StatusCode.OK
    if isinstance(error, Exception):
        return context.code() or grpc.StatusCode.UNKNOWN
    if context.time_remaining() == 0:
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
