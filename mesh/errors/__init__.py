"""One tree of errors, one table to the wire. Raise in the domain, map in one interceptor."""

from mesh.errors.http import http_status, to_problem
from mesh.errors.tree import (
    AlreadyExists,
    Cancelled,
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    OutOfRange,
    Overloaded,
    PermissionDenied,
    SensusError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from mesh.errors.wire import DOMAIN, from_rpc_error, from_status, known, to_status, translated

__all__ = [
    "DOMAIN",
    "AlreadyExists",
    "Cancelled",
    "Conflict",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidInput",
    "NotFound",
    "OutOfRange",
    "Overloaded",
    "PermissionDenied",
    "SensusError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
    "from_rpc_error",
    "from_status",
    "http_status",
    "known",
    "to_problem",
    "to_status",
    "translated",
]
