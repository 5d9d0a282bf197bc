"""An answer within seconds, or 503: a store that hangs must not make every sender hang."""

import asyncio
from typing import Final

from starlette.types import Receive, Scope, Send

from mesh.errors import Unavailable
from services.gateway.http.problems import problem_response

_RETRY_AFTER_S: Final = 2.0
_DEADLINE: Final = "sensus.answer_deadline"


def wait_longer(scope: Scope, seconds: float) -> None:
    """Lets the answer to this request take so many seconds from now on."""
    deadline: Deadline | None = scope.get(_DEADLINE)
    if deadline is not None:
        deadline.extend(seconds)


class Deadline:
    """Bounds the time from the whole request to the first byte of its answer.

    When it is over the request is answered, and its work cancelled but not waited for: a query to a
    frozen database only notices once that database answers. Streams are bounded to their first byte
    alone. An endpoint that takes longer says so by `wait_longer`.

    Attributes:
        refusing: The answer, once the time is over: 503 ANSWER_TOO_LATE.
    """

    __slots__ = (
        "_due_s",
        "_is_read",
        "_is_whole",
        "_loop",
        "_receive",
        "_scope",
        "_send",
        "_timer",
        "_within_s",
        "_work",
        "refusing",
    )

    def __init__(self, within_s: float, scope: Scope, receive: Receive, send: Send) -> None:
        """Watches the current task from now on."""
        scope[_DEADLINE] = self
        self.refusing: asyncio.Task[None] | None = None
        self._within_s = within_s
        self._scope = scope
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.current_task()
        self._is_whole = True
        self._is_read = False
        self._due_s = self._loop.time() + within_s
        self._timer = self._loop.call_at(self._due_s, self._check)

    def extend(self, seconds: float) -> None:
        """Moves the end away."""
        self._due_s = max(self._due_s, self._loop.time() + seconds)

    def reading(self) -> None:
        """The endpoint waits for the sender: its time is not ours."""
        self._is_whole = self._is_read

    def has_read(self, *, is_whole: bool) -> None:
        """A part of the body has come, or all of it."""
        self._is_whole = self._is_read = is_whole

    def forgive(self) -> None:
        """Takes the cancellation back that ended the late work."""
        if self._work is not None:
            self._work.uncancel()

    def end(self) -> None:
        """Watches no more."""
        self._timer.cancel()

    def _check(self) -> None:
        now_s = self._loop.time()
        if not self._is_whole:
            self._due_s = max(self._due_s, now_s + self._within_s)
        if now_s < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._check)
            return
        late = Unavailable(
            "no answer in time: try again", reason="ANSWER_TOO_LATE", retry_after_s=_RETRY_AFTER_S
        )
        answering = problem_response(late)(self._scope, self._receive, self._send)
        self.refusing = self._loop.create_task(answering)
        if self._work is not None:
            self._work.cancel()
