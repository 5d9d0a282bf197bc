"""Carrying a stream of frames to an HTTP client that may go away at any time."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from google.protobuf.message import Message
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mesh.drain import Drain
from mesh.errors import SensusError, Unavailable
from services.gateway.http.problems import problem
from services.gateway.metrics import OPEN_STREAMS
from services.gateway.transcoding.answers import to_json
from services.gateway.transcoding.frames import Event, Frames, open_frames
from services.gateway.transcoding.framing import Framing
from services.gateway.transcoding.merging import MergedCall, MergedFrame

if TYPE_CHECKING:
    from services.gateway.clients import Call

_FIRST_FRAME_S: Final = 1.0
_KEEPALIVE_S: Final = 15.0
_SEND_S: Final = 30.0


class StreamResponse(Response):
    """Sends what a call yields.

    An error before the first frame is an ordinary answer with its status; after it, an `error`
    event. The rpc is cancelled as soon as the client is gone, takes nothing for half a minute, or
    the gateway drains.
    """

    def __init__(self, call: "Call | MergedCall", framing: Framing, drain: Drain) -> None:
        """Takes over `call`: it is cancelled at the end whatever happens."""
        super().__init__(media_type=framing.media_type)
        del self.headers["content-length"]
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"
        self._call = call
        self._framing = framing
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request."""
        with OPEN_STREAMS.track_inprogress():
            async with open_frames(self._call, receive, self._drain) as frames:
                first = await frames.next(_FIRST_FRAME_S)
                if first is Event.DRAINING:
                    raise Unavailable("the gateway is about to stop: open the stream again")
                if first is not Event.GONE:
                    await self._answer(first, frames, send)

    async def _answer(
        self, first: Message | MergedFrame | Event, frames: Frames, send: Send
    ) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            await self._send(send, self._framing.opening())
            await self._pump(first, frames, send)
        except TimeoutError:
            return

    async def _pump(self, event: Message | MergedFrame | Event, frames: Frames, send: Send) -> None:
        while event not in (Event.END, Event.DRAINING, Event.GONE):
            await self._send(send, await self._written(event))
            try:
                event = await frames.next(_KEEPALIVE_S)
            except SensusError as error:
                await self._end(send, "error", problem(error))
                return
        if isinstance(event, Event) and event is not Event.GONE:
            await self._end(send, event.value, {})

    async def _written(self, event: Message | MergedFrame | Event) -> bytes:
        if isinstance(event, Event):
            return self._framing.keepalive()
        if isinstance(event, MergedFrame):
            body = await to_json(event.frame) if event.frame else _json(event.error)
            return self._framing.merged(event, body)
        return self._framing.frame(event, await to_json(event))

    async def _end(self, send: Send, event: str, body: dict[str, Any]) -> None:
        await self._send(send, self._framing.ending(event, body), more=False)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        if body or not more:
            async with asyncio.timeout(_SEND_S):
                await send({"type": "http.response.body", "body": body, "more_body": more})


def _json(error: SensusError | None) -> bytes:
    return msgspec.json.encode(problem(error) if error else {})
