"""The inner half of what every request passes: whatever is raised, late or too large is answered.

One wrapper for all of it, as `observed` is.
"""

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.http.problems import problem_response
from services.gateway.middleware import body_limit
from services.gateway.middleware.answer_time import Deadline
from services.gateway.middleware.errors import shown


class ErrorMiddleware:
    """Maps exceptions, bounds the body, and answers 503 where the answer is late.

    Once the answer has begun there is nothing to map: it is cut off. Costs a request one timer and
    no task.
    """

    def __init__(self, app: ASGIApp, *, within_s: float, max_bytes: int) -> None:
        """Wraps `app`, which has `within_s` to begin its answer and reads up to `max_bytes`."""
        self._app = app
        self._within_s = within_s
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        deadline = Deadline(self._within_s, scope, receive, send)
        passage = _Exchange(receive, send, deadline, self._max_bytes)
        try:
            body_limit.check_claim(scope, self._max_bytes)
            return await self._app(scope, passage.receive, passage.send)
        except ClientDisconnect:
            return None
        except (asyncio.CancelledError, Exception) as error:
            if deadline.refusing is not None:
                deadline.forgive()
                return await deadline.refusing
            if passage.has_begun or isinstance(error, asyncio.CancelledError):
                raise
            answer = problem_response(shown(error, scope))
        finally:
            deadline.end()
        return await answer(scope, receive, send)


class _Exchange:
    """Both directions of one request, between the endpoint and the wire."""

    __slots__ = ("_body_bytes", "_deadline", "_max_bytes", "_receive", "_send", "has_begun")

    def __init__(self, receive: Receive, send: Send, deadline: Deadline, max_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._body_bytes = 0
        self.has_begun = False

    async def receive(self) -> Message:
        self._deadline.reading()
        message = await self._receive()
        self._deadline.has_read(is_whole=not message.get("more_body", False))
        self._body_bytes += len(message.get("body", b""))
        body_limit.check(self._body_bytes, self._max_bytes)
        return message

    async def send(self, message: Message) -> None:
        """What late work still says goes nowhere."""
        if self._deadline.refusing is None:
            self.has_begun = True
            self._deadline.end()
            await self._send(message)
