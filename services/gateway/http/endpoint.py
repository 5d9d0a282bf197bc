"""One thing the gateway offers: from this list come the routes, their guards and the OpenAPI."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mesh.auth import PUBLIC, Policy, Principal
from services.gateway.http.paths import API
from services.gateway.model import Caller

Handle = Callable[[Request], Awaitable[Response]]

AUTHENTICATED: Final = Policy(
    any_of=frozenset(
        {
            "read:samples",
            "read:alerts",
            "read:analysis",
            "read:stream",
            "write:samples",
            "write:alerts",
            "write:analysis",
        }
    )
)
"""Whoever has any scope at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the OpenAPI document says of an endpoint.

    Attributes:
        body: Type of the request body; None for none.
        answer: Type of the answer; None for an empty one.
        parameters: OpenAPI parameters.
        is_stream: Whether the answer is a stream of `answer`.
        media_type: Of the answer.
    """

    tag: str
    name: str
    summary: str
    description: str = ""
    body: "Descriptor | Any | None" = None
    answer: "Descriptor | Any | None" = None
    parameters: tuple[dict[str, Any], ...] = ()
    is_stream: bool = False
    media_type: str = "application/json"
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
    """

    method: str
    path: str
    policy: Policy
    handle: Handle
    operation: Operation
    shown_path: str = ""

    def route(self) -> Route:
        """The route with its guard."""

        async def guarded(request: Request) -> Response:
            if self.policy != PUBLIC:
                caller_of(request).admitted(self.policy)
            return await self.handle(request)

        route = Route(self.path, guarded, methods=[self.method])
        if self.path.startswith(API):
            route.methods = {self.method}  # no HEAD: it would open a stream for nothing
        return route


def caller_of(request: Request) -> Caller:
    """Who sent the request."""
    caller: Caller = request.scope["sensus.caller"]
    return caller


def principal_of(request: Request) -> Principal:
    """The principal of a request that passed a guard."""
    principal = caller_of(request).principal
    assert principal is not None  # noqa: S101
    return principal
