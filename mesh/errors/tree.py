# ruff: noqa: N818 - the names are those of the gRPC codes
"""The error tree: what can go wrong, and what the caller sees.

SensusError
  InvalidInput        INVALID_ARGUMENT     the request can never succeed as it is
  OutOfRange          OUT_OF_RANGE         valid, but past what exists
  NotFound            NOT_FOUND
  AlreadyExists       ALREADY_EXISTS
  Conflict            ABORTED              someone else changed it; read again, then retry
  FailedPrecondition  FAILED_PRECONDITION  not now; something else must be done first
  Unauthenticated     UNAUTHENTICATED
  PermissionDenied    PERMISSION_DENIED
  Overloaded          RESOURCE_EXHAUSTED   slow down, with the time to wait
  Unavailable         UNAVAILABLE          try again, with the time to wait
  DeadlineExceeded    DEADLINE_EXCEEDED
  Cancelled           CANCELLED
  Unimplemented       UNIMPLEMENTED
  Internal            INTERNAL             our fault; only an id leaves the process
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the path of the field and how it should be."""

    field: str
    description: str


class SensusError(Exception):
    """An error with a place on the wire. Raise it anywhere; one interceptor translates it.

    Attributes:
        message: For the caller; says what to change.
        reason: UPPER_SNAKE, stable, for programs.
        metadata: Values the reason is about.
        retry_after_s: When to try again; None means the same call will not help.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(
        self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Keeps `message` as it is: it goes to the caller."""
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        self.retry_after_s: float | None = None


class InvalidInput(SensusError):
    """The request can never succeed as it is."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_INPUT"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Takes all violations; the wire shows the first twenty."""
        super().__init__(message, reason=reason, metadata=metadata)
        self.violations = tuple(violations)


class OutOfRange(SensusError):
    """A valid request for something past what exists, such as a trimmed cursor."""

    code = grpc.StatusCode.OUT_OF_RANGE
    default_reason = "OUT_OF_RANGE"


class NotFound(SensusError):
    """There is no such thing, or the caller may not know of it."""

    code = grpc.StatusCode.NOT_FOUND
    default_reason = "NOT_FOUND"

    def __init__(self, kind: str, id: str, *, reason: str | None = None) -> None:
        """Names what was looked for: `NotFound("alert", alert_id)` has reason ALERT_NOT_FOUND."""
        named = f"{kind.replace(' ', '_')}_not_found".upper()
        super().__init__(f"no {kind} {id!r}: check the id", reason=reason or named)
        self.kind = kind
        self.id = id
        self.metadata = {"kind": kind, "id": id}


class AlreadyExists(SensusError):
    """The name is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = "ALREADY_EXISTS"


class Conflict(SensusError):
    """Someone else changed it first: read again, then retry."""

    code = grpc.StatusCode.ABORTED
    default_reason = "CONFLICT"


class FailedPrecondition(SensusError):
    """Not in the present state; the message says what must be done first."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "FAILED_PRECONDITION"


class Unauthenticated(SensusError):
    """The caller did not prove who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = "TOKEN_INVALID"


class PermissionDenied(SensusError):
    """The caller is known and may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "SCOPE_MISSING"


class _Retryable(SensusError):
    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = 1.0,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Tells the caller to wait `retry_after_s` before the next attempt."""
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after_s = retry_after_s


class Overloaded(_Retryable):
    """A quota or queue is full."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "OVERLOADED"


class Unavailable(_Retryable):
    """Something this call needs does not answer; nothing was acknowledged."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "UNAVAILABLE"


class DeadlineExceeded(SensusError):
    """The time given by the caller is over; the work may or may not have been done."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class Cancelled(SensusError):
    """The caller gave up."""

    code = grpc.StatusCode.CANCELLED
    default_reason = "CANCELLED"


class Unimplemented(SensusError):
    """This server does not offer the method."""

    code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = "UNIMPLEMENTED"


class Internal(SensusError):
    """A defect of ours. The caller gets an id, the log has the rest under the same id."""

    code = grpc.StatusCode.INTERNAL
    default_reason = "INTERNAL"

    def __init__(self, error_id: str) -> None:
        """Says nothing but the id."""
        super().__init__(
            f"internal error {error_id}: report this id", metadata={"error_id": error_id}
        )
        self.error_id = error_id
