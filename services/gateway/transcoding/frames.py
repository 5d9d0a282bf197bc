"""Waiting for the next frame of a call, the client's leave and the drain at the same time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import grpc
from starlette.types import Receive

from mesh.clients import closing
from mesh.drain import Drain
from services.gateway.clients import answered
from services.gateway.transcoding.merging import MergedCall

if TYPE_CHECKING:
    from services.gateway.clients import Call


class Event(Enum):
    """What can come instead of a frame."""

    END = "end"
    NOTHING = "nothing"
    GONE = "gone"
    DRAINING = "draining"


class Frames:
    """Frames of one call. `wait_for` of a read would cancel the rpc, so reads are tasks here."""

    def __init__(
        self, call: "Call | MergedCall", gone: "asyncio.Task[Any]", drained: "asyncio.Task[Any]"
    ) -> None:
        """Made by `open_frames`."""
        self._call = call
        self._gone = gone
        self._drained = drained
        self._read: asyncio.Task[Any] | None = None

    async def next(self, timeout_s: float) -> Any:
        """The next frame or what came first; a frame that is late is not lost.

        Raises:
            SensusError: The call failed.
        """
        if self._read is None:
            self._read = asyncio.ensure_future(self._call.read())
        waited: set[asyncio.Task[Any]] = {self._read, self._gone, self._drained}
        await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._gone.done():
            return Event.GONE
        if self._read.done():
            return self._taken(self._read)
        return Event.DRAINING if self._drained.done() else Event.NOTHING

    async def close(self) -> None:
        """Ends a read that still waits."""
        if self._read is not None:
            await _ended(self._read)

    def _taken(self, read: "asyncio.Task[Any]") -> Any:
        self._read = None
        with answered():
            frame = read.result()
        return Event.END if frame is grpc.aio.EOF else frame


@asynccontextmanager
async def open_frames(
    call: "Call | MergedCall", receive: Receive, drain: Drain
) -> AsyncIterator[Frames]:
    """Frames of `call` for the client behind `receive`; the rpc is cancelled at the end."""
    async with closing(call), _task(_until_gone(receive)) as gone, _task(drain.wait()) as drained:
        frames = Frames(call, gone, drained)
        try:
            yield frames
        finally:
            call.cancel()
            await frames.close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@asynccontextmanager
async def _task(work: Awaitable[Any]) -> AsyncIterator["asyncio.Task[Any]"]:
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        await _ended(task)


async def _ended(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
