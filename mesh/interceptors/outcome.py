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

_CLOSE_S: Final = 0.2
"""A caller's deadline comes that much before ours: it began earlier, and gRPC rounds up the time
that it sends, by a tenth of a second from ten seconds on."""


def code_of(context: Context, error: BaseException | None) -> grpc.StatusCode:
    """The code of a handler that returned (`error` is None) or raised."""
    if error is None:
        return context.code() or grpc.StatusCode.OK
    if isinstance(error, Exception):
        return context.code() or grpc.StatusCode.UNKNOWN
    left_s = context.time_remaining()
    if left_s is not None and left_s <= _CLOSE_S:
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return grpc.StatusCode.CANCELLED
