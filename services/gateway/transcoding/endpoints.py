"""An endpoint for each binding."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from mesh.drain import Drain
from services.gateway.clients import Clients
from services.gateway.http.endpoint import Endpoint, Operation, principal_of
from services.gateway.middleware.answer_time import wait_longer
from services.gateway.transcoding.answers import json_answer
from services.gateway.transcoding.document import whole
from services.gateway.transcoding.framing import chosen
from services.gateway.transcoding.requests import to_message
from services.gateway.transcoding.rules import Binding
from services.gateway.transcoding.streaming import StreamResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcoder:
    """Makes endpoints that call the method behind them; its service audits what it changes."""

    clients: Clients
    drain: Drain

    def endpoint(self, binding: Binding, operation: Operation) -> Endpoint:
        """The endpoint of one binding."""

        async def handle(request: Request) -> Response:
            return await self._handle(binding, operation, request)

        return Endpoint(
            method=binding.verb,
            path=binding.template.path,
            shown_path=binding.template.shown,
            policy=binding.policy,
            handle=handle,
            operation=operation,
            rate=binding.rate,
            audited=binding.audited,
            webhook=binding.takes_alerts,
        )

    async def _handle(self, binding: Binding, operation: Operation, request: Request) -> Response:
        principal = principal_of(request)
        message = await to_message(binding, request, operation)
        if binding.is_stream:
            call = self.clients.stream(binding.method, message, principal)
            framing = chosen(request.headers.get("accept", ""), is_finite=binding.is_finite)
            if framing is None:
                return await whole(call, binding.new_answer(), request, self.drain)
            return StreamResponse(call, framing, self.drain)
        if binding.answer_within_s:
            wait_longer(request.scope, binding.answer_within_s)
        answer = await self.clients.unary(
            binding.method, message, principal, timeout_s=binding.answer_within_s
        )
        return await json_answer(answer, request)
