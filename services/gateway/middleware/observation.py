"""The outer half of what every request passes: it sees every answer, refusals included.

One wrapper for all of it. As wrappers of their own they cost a request twice what its endpoint did.
"""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.http.routing import Match, Routes, look_up
from services.gateway.metrics import ACTIVE_REQUESTS
from services.gateway.middleware import access_log, correlation, rate_limit, security_headers
from services.gateway.middleware.tracing import note_answer, server_span


class ObservationMiddleware:
    """Finds the endpoint, gives the request an id and a span, and notes what became of it.

    Streams are timed to their end; X-Process-Time is the time to the headers.
    """

    def __init__(
        self, app: ASGIApp, routes: Routes, clock_s: Callable[[], float] = time.perf_counter
    ) -> None:
        """Wraps `app`."""
        self._app = app
        self._routes = routes
        self._clock_s = clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        match = look_up(self._routes, scope)
        correlation.identify(scope)
        answer = _Answer(scope, match, send, self._clock_s)
        ACTIVE_REQUESTS.inc()
        # the line is written inside the span, so that it has its ids
        with server_span(scope, match):
            try:
                await self._app(scope, receive, answer.send)
            finally:
                ACTIVE_REQUESTS.dec()
                access_log.note(scope, match, answer.status, answer.size_bytes, answer.spent_s())


class _Answer:
    """An answer on its way out."""

    __slots__ = ("_clock_s", "_match", "_scope", "_send", "_started_s", "size_bytes", "status")

    def __init__(
        self, scope: Scope, match: Match, send: Send, clock_s: Callable[[], float]
    ) -> None:
        self._scope = scope
        self._match = match
        self._send = send
        self._clock_s = clock_s
        self._started_s = clock_s()
        self.status = access_log.CLOSED_BY_CLIENT
        self.size_bytes = 0

    def spent_s(self) -> float:
        return self._clock_s() - self._started_s

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message["headers"]
            security_headers.add(headers, self._match)
            rate_limit.add_headers(headers, self._scope)
            correlation.add_header(headers, self._scope)
            headers.append((b"x-process-time", b"%.6f" % self.spent_s()))
            note_answer(self.status, headers)
        else:
            self.size_bytes += len(message.get("body", b""))
        await self._send(message)
