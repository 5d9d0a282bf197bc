"""Several watches as one stream of calls: what fails alone is opened again alone."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import grpc
import msgspec
from google.protobuf.message import Message

from mesh.clients import Backoff, closing
from mesh.errors import (
    InvalidInput,
    OutOfRange,
    PermissionDenied,
    SensusError,
    Unauthenticated,
    Violation,
)
from services.gateway.clients import answered

if TYPE_CHECKING:
    from services.gateway.clients import Call

Cursors = dict[str, Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]]
"""How far each watch was followed."""

_QUEUED_MOST: Final = 16
_SILENT: Final = frozenset({"heartbeat", "draining"})
_SLOWEST_RETRY_S: Final = 5.0
_REFUSALS: Final = (InvalidInput, OutOfRange, PermissionDenied, Unauthenticated)
"""What opening a watch again would not help; all else is of one service, and may pass."""


@dataclass(frozen=True, slots=True)
class _WatchResult:
    """What a watch yielded, or why it yields nothing; silent when only its cursor is of use."""

    topic: str
    frame: Any = None
    error: SensusError | None = None
    is_silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedFrame:
    """One frame of one watch, or what keeps the watch from having any.

    Attributes:
        cursors: To resume after this frame.
    """

    topic: str
    cursors: Cursors
    frame: Message | None = None
    error: SensusError | None = None

    @property
    def place(self) -> str:
        """The id of the event."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self.cursors)).decode().rstrip("=")

    @property
    def kind(self) -> str:
        """The name of the event: that of the frame's kind, `watching` where a watch begins."""
        if self.error is not None:
            return "unavailable"
        kind = self.frame.WhichOneof("frame") if self.frame else None
        return "watching" if kind in _SILENT else str(kind)

    def body(self, json: bytes) -> bytes:
        """The JSON of the event around that of its frame."""
        event = {
            "topic": self.topic,
            "event": self.kind,
            "id": self.place,
            "frame": msgspec.Raw(json),
        }
        return msgspec.json.encode(event)


def cursors_of(place: str) -> Cursors:
    """What `MergedFrame.place` wrote.

    Raises:
        InvalidInput: It did not write this.
    """
    if not place:
        return {}
    try:
        padded = place + "=" * (-len(place) % 4)
        return msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=Cursors)
    except (ValueError, msgspec.DecodeError):
        rule = "must be the id of an event of this stream"
        violations = [Violation("Last-Event-ID", rule)]
        raise InvalidInput(
            f"Last-Event-ID {rule}", reason="INVALID_FIELD", violations=violations
        ) from None


class MergedCall:
    """Reads as one call does. Nothing is read ahead of a slow client but what the queue holds."""

    def __init__(self, watches: "Mapping[str, Callable[[int | None], Call]]", at: Cursors) -> None:
        """`watches` open a watch after a cursor; None begins with what comes now."""
        self._delivered = dict(at)
        self._queue: asyncio.Queue[_WatchResult] = asyncio.Queue(_QUEUED_MOST)
        self._tasks = [
            asyncio.ensure_future(self._follow(topic, watch, at.get(topic)))
            for topic, watch in watches.items()
        ]

    async def read(self) -> MergedFrame:
        """The next frame of any watch; the first of each says that it is watched.

        Its cursors are of what was read before it, never of what still waits in the queue: who
        resumes there misses nothing.

        Raises:
            SensusError: A watch is refused, so that opening it again would not help.
        """
        while True:
            found = await self._queue.get()
            if isinstance(found.error, _REFUSALS):
                raise found.error
            if found.frame is not None:
                self._delivered[found.topic] = found.frame.cursor
            if not found.is_silent:
                return MergedFrame(
                    topic=found.topic,
                    cursors=dict(self._delivered),
                    frame=found.frame,
                    error=found.error,
                )

    def cancel(self) -> bool:
        """Ends all watches."""
        for task in self._tasks:
            task.cancel()
        return True

    async def _follow(
        self, topic: str, watch: "Callable[[int | None], Call]", cursor: int | None
    ) -> None:
        waits, is_watching, is_away = Backoff(cap_s=_SLOWEST_RETRY_S), False, False
        while True:
            try:
                async with closing(watch(cursor)) as call:
                    async for frame in _frames(call):
                        waits.reset()
                        cursor = frame.cursor
                        is_silent = frame.WhichOneof("frame") in _SILENT
                        is_silent = is_silent and is_watching and not is_away
                        await self._queue.put(_WatchResult(topic, frame=frame, is_silent=is_silent))
                        is_watching, is_away = True, False
            except SensusError as error:
                is_refused = isinstance(error, _REFUSALS)
                if is_refused or not is_away:
                    await self._queue.put(_WatchResult(topic, error=error))
                if is_refused:
                    return
                is_away = True
            await waits.wait()


async def _frames(call: "Call") -> AsyncIterator[Any]:
    while True:
        with answered():
            frame = await call.read()
        if frame is grpc.aio.EOF:
            return
        yield frame
