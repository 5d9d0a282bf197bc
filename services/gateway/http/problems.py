"""Errors as HTTP answers: one body for all of them, as AIP-193 has it."""

import math
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Final

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.responses import Response

from mesh.errors import (
    InvalidInput,
    NotFound,
    Overloaded,
    SensusError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    http_status,
    to_problem,
    to_status,
)

JSON: Final = "application/json"


class BodyTooLarge(InvalidInput):
    """More bytes than the gateway takes: 413."""

    default_reason = "BODY_TOO_LARGE"
    http_status: ClassVar[int] = 413


class BodyTooSlow(InvalidInput):
    """A body that stopped coming: 408."""

    default_reason = "BODY_TOO_SLOW"
    http_status: ClassVar[int] = 408


class HeadTooSlow(InvalidInput):
    """A request line and headers that did not come in time: 408."""

    default_reason = "HEAD_TOO_SLOW"
    http_status: ClassVar[int] = 408


class HeadTooLarge(InvalidInput):
    """More or longer headers than the gateway reads: 431."""

    default_reason = "HEAD_TOO_LARGE"
    http_status: ClassVar[int] = 431


class TargetTooLong(InvalidInput):
    """A path and query longer than the gateway reads: 414."""

    default_reason = "TARGET_TOO_LONG"
    http_status: ClassVar[int] = 414


class UnsupportedMediaType(InvalidInput):
    """A body in a form that nobody here reads: 415."""

    default_reason = "UNSUPPORTED_MEDIA_TYPE"
    http_status: ClassVar[int] = 415


class IdempotencyKeyReused(InvalidInput):
    """An Idempotency-Key that came with another body before: 422."""

    default_reason = "IDEMPOTENCY_KEY_REUSED"
    http_status: ClassVar[int] = 422


class MethodNotAllowed(Unimplemented):
    """A path that has other methods: 405."""

    default_reason = "METHOD_NOT_ALLOWED"
    http_status: ClassVar[int] = 405

    def __init__(self, allowed: Collection[str]) -> None:
        """Names the methods that the path has."""
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"this path takes {self.allowed}")


class PathNotFound(NotFound):
    """A path that nobody serves."""

    def __init__(self, path: str, near: Sequence[str] = ()) -> None:
        """Names the path, and those that it may be meant for."""
        super().__init__("path", path[:200])
        nearest = f"did you mean {' or '.join(near)}?" if near else "/openapi.json lists all paths"
        self.message = f"nothing is served at {path[:200]!r}: {nearest}"


class EmptyCollection(NotFound):
    """The newest of a kind was asked for, and there is none."""

    def __init__(self, kind: str) -> None:
        """Names the kind."""
        super().__init__(kind, "latest")
        self.message = f"there is no {kind} yet: ask again later"


def status_of(error: SensusError) -> int:
    """The HTTP status of an error."""
    return int(getattr(error, "http_status", http_status(error.code)))


def problem(error: SensusError) -> dict[str, Any]:
    """The JSON body of an error."""
    body = to_problem(to_status(error))
    body["error"]["code"] = status_of(error)
    return body


def problem_response(error: SensusError) -> Response:
    """An answer with the error's status, body and headers."""
    response = Response(
        msgspec.json.encode(problem(error)), status_code=status_of(error), media_type=JSON
    )
    add_headers(error, response.headers)
    return response


def without_429(error: SensusError) -> SensusError:
    """The error as a webhook should see it.

    Alertmanager repeats a notice at once after a 5xx, but after a 429 only at its next
    group_interval, minutes later. So overload towards it is 503 with Retry-After. The price: a
    sender that ignores Retry-After knocks again sooner than with a 429.
    """
    if not isinstance(error, Overloaded):
        return error
    return Unavailable(error.message, reason=error.reason, retry_after_s=error.retry_after_s or 1.0)


def add_headers(error: SensusError, headers: MutableHeaders) -> None:
    """What an error says in headers: when to try again, what is allowed, how to prove oneself."""
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = error.allowed
    if isinstance(error, Unauthenticated):
        wants_basic = error.reason.startswith("CREDENTIALS")
        headers["WWW-Authenticate"] = f'{"Basic" if wants_basic else "Bearer"} realm="sensus"'
