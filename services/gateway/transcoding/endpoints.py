"""An endpoint for each binding."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from mesh.drain import Drain
from services.gateway.clients import Clients
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.http.problems import JSON
from services.gateway.middleware.answer_time import wait_longer
from services.gateway.transcoding.answers import to_json
from services.gateway.transcoding.framing import chosen
from services.gateway.transcoding.requests import to_message
from services.gateway.transcoding.rules import Binding
from services.gateway.transcoding.streaming import StreamResponse

Audit = Callable[[str, str, str, dict[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcoder:
    """Makes endpoints that call the method behind them.

    Attributes:
        audit: Notes a change of state: actor, action, subject, detail.
    """

    clients: Clients
    drain: Drain
    audit: Audit

    def endpoint(self, binding: Binding, operation: Operation) -> Endpoint:
        """The endpoint of one binding."""

        async def handle(request: Request) -> Response:
            return await self._handle(binding, request)

        return Endpoint(
            method=binding.verb,
            path=binding.template.path,
            shown_path=binding.template.shown,
            policy=binding.policy,
            handle=handle,
            operation=operation,
        )

    async def _handle(self, binding: Binding, request: Request) -> Response:
        principal = principal_of(request)
        message = await to_message(binding, request)
        if _is_audited(binding):
            detail = {"path": request.scope["path"][:500]}
            await self.audit(principal.subject, "call", binding.full_method, detail)
        if binding.is_stream:
            call = self.clients.stream(binding.method, message, principal)
            return StreamResponse(call, chosen(request.headers.get("accept", "")), self.drain)
        if binding.answer_within_s:
            wait_longer(request.scope, binding.answer_within_s)
        answer = await self.clients.unary(
            binding.method, message, principal, timeout_s=binding.answer_within_s
        )
        return Response(await to_json(answer), media_type=JSON)


def _is_audited(binding: Binding) -> bool:
    """All that changes something, but for the telemetry that comes in, which is data."""
    is_intake = binding.policy.any_of <= {"write:samples", "write:alerts"}
    return binding.verb != "GET" and not is_intake
