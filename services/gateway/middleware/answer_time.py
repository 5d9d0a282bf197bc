"""An answer within seconds, or 503: a store that hangs must not make every sender hang."""

import asyncio
from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.errors import Unavailable

_RETRY_AFTER_S: Final = 2.0
_DEADLINE: Final = "sensus.answer_deadline"


def wait_longer(scope: Scope, seconds: float) -> None:
    """Lets the answer to this request take so many seconds from now on."""
    bound: list[float] | None = scope.get(_DEADLINE)
    if bound is not None:
        bound[0] = asyncio.get_running_loop().time() + seconds


class AnswerTime:
    """Bounds the time from the whole request to the first byte of the answer.

    Work that is late is cancelled but not waited for: a query to a frozen database only notices
    once that database answers. Streams are bounded to their first byte alone. An endpoint that
    takes longer says so by `wait_longer`.
    """

    def __init__(self, app: ASGIApp, within_s: float) -> None:
        """Wraps `app`."""
        self._app = app
        self._within_s = within_s
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request.

        Raises:
            Unavailable: ANSWER_TOO_LATE.
        """
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request, deadline = _Request(receive, send), [0.0]
        scope[_DEADLINE] = deadline  # not in a copy: what is noted inside is read outside
        work = asyncio.create_task(_run(self._app, scope, request))
        now = asyncio.get_running_loop().time
        try:
            while not await request.settled(work, max(self._within_s, deadline[0] - now())):
                if request.is_whole and now() >= deadline[0]:
                    request.abandoned = True
                    self._abandon(work)
                    raise Unavailable(
                        "no answer in time: try again",
                        reason="ANSWER_TOO_LATE",
                        retry_after_s=_RETRY_AFTER_S,
                    )
            return await work
        finally:
            if not request.abandoned and not work.done():
                work.cancel()
                await asyncio.wait([work])

    def _abandon(self, work: "asyncio.Task[None]") -> None:
        work.cancel()
        self._late.add(work)
        work.add_done_callback(self._late.discard)
        work.add_done_callback(_seen)


class _Request:
    """What has come of the request and gone of the answer."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._began = asyncio.Event()
        self._is_read = False
        self.is_whole = True
        self.abandoned = False

    async def settled(self, work: "asyncio.Task[None]", within_s: float) -> bool:
        """Whether the answer has begun, or the work has ended, within that time."""
        began = asyncio.create_task(self._began.wait())
        try:
            await asyncio.wait([work, began], timeout=within_s, return_when="FIRST_COMPLETED")
        finally:
            began.cancel()
        return work.done() or self._began.is_set()

    async def receive(self) -> MutableMapping[str, Any]:
        """Notes whether the sender is still busy: its time is not ours."""
        self.is_whole = self._is_read
        message = await self._receive()
        self.is_whole = self._is_read = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Notes the first byte; what an abandoned work still says goes nowhere."""
        if not self.abandoned:
            self._began.set()
            await self._send(message)


async def _run(app: ASGIApp, scope: Scope, request: _Request) -> None:
    await app(scope, request.receive, request.send)


def _seen(work: "asyncio.Task[None]") -> None:
    """Takes the error of late work, which nobody waits for any more."""
    if not work.cancelled():
        work.exception()
