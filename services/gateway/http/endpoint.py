"""One thing the gateway offers: from this list come the routes, their guards and the OpenAPI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from starlette.requests import Request
from starlette.responses import Response

from mesh.auth import PUBLIC, Policy, Principal
from services.gateway.model import Caller

Handle = Callable[[Request], Awaitable[Response]]

AUTHENTICATED: Final = Policy(
    any_of=frozenset(
        {
            "read:samples",
            "read:alerts",
            "read:analysis",
            "read:incidents",
            "read:notices",
            "read:topology",
            "read:stream",
            "write:samples",
            "write:traces",
            "write:logs",
            "write:alerts",
            "write:analysis",
            "write:incidents",
        }
    )
)
"""Whoever has any scope at all."""


class Rate(StrEnum):
    """Which limit of a caller a request counts against."""

    METRICS = "metrics"
    ALERTS = "alerts"
    ANALYSIS = "analysis"
    TELEMETRY = "telemetry"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the OpenAPI document says of an endpoint.

    Attributes:
        body: Type of the request body; None for none.
        answer: Type of the answer; None for an empty one.
        is_body_required: Whether a request without a body is refused.
        required: Fields of the request that must be given, by their names in the contract.
        in_path: Those that the path gives.
        parameters: OpenAPI parameters.
        is_stream: Whether the answer is a stream of `answer`.
        is_finite: Whether that stream ends, so that one document can hold it.
        media_type: Of the answer.
        body_media_type: Of the request.
    """

    tag: str
    name: str
    summary: str
    description: str = ""
    body: "Descriptor | Any | None" = None
    answer: "Descriptor | Any | None" = None
    parameters: tuple[dict[str, Any], ...] = ()
    is_body_required: bool = True
    required: frozenset[str] = frozenset()
    in_path: frozenset[str] = frozenset()
    is_stream: bool = False
    is_finite: bool = False
    media_type: str = "application/json"
    body_media_type: str = "application/json"
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A method on a path.

    Attributes:
        path: As Starlette writes it.
        policy: Who may call; there is no default.
        handle: Called only after the policy let the caller pass.
        operation: What the OpenAPI document says of it.
        shown_path: As OpenAPI writes it; `path` when empty.
        rate: The limit it counts against; None for no limit.
        audited: Whether what it changes is noted in an audit log, by whoever changes it.
        webhook: Whether its senders repeat after 503 but not after 429: overload is 503 to them.
        probe: Whether orchestrators and scrapers call it all the time: neither traced nor logged.
    """

    method: str
    path: str
    policy: Policy
    handle: Handle
    operation: Operation
    shown_path: str = ""
    rate: Rate | None = Rate.OTHER
    audited: bool = False
    webhook: bool = False
    probe: bool = False

    @property
    def methods(self) -> frozenset[str]:
        """Its method, and HEAD beside GET where the answer is no stream."""
        has_head = self.method == "GET" and not self.operation.is_stream
        return frozenset({self.method, "HEAD"}) if has_head else frozenset({self.method})

    async def answer(self, request: Request) -> Response:
        """What `handle` answers, for a caller whom the policy lets pass."""
        if self.policy != PUBLIC:
            caller_of(request).admitted(self.policy)
        return await self.handle(request)


def caller_of(request: Request) -> Caller:
    """Who sent the request."""
    caller: Caller = request.scope["sensus.caller"]
    return caller


def principal_of(request: Request) -> Principal:
    """The principal of a request that passed a guard."""
    principal = caller_of(request).principal
    assert principal is not None  # noqa: S101
    return principal
