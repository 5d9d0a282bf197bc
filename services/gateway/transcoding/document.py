"""A stream that ends, as one JSON document."""

from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from mesh.drain import Drain
from mesh.errors import InvalidInput, Unavailable
from services.gateway.transcoding.answers import json_answer
from services.gateway.transcoding.frames import Event, open_frames

if TYPE_CHECKING:
    from services.gateway.clients import Call

_FRAME_S: Final = 60.0
_MOST_BYTES: Final = 8 * 1024 * 1024


async def whole(call: "Call", into: Message, request: Request, drain: Drain) -> Response:
    """All frames of `call`, merged: repeated fields of `into` hold those of all frames.

    Raises:
        InvalidInput: ANSWER_TOO_LARGE for one document.
        SensusError: The call failed; nothing was answered yet.
    """
    async with open_frames(call, request.receive, drain) as frames:
        while not isinstance(frame := await frames.next(_FRAME_S), Event):
            into.MergeFrom(frame)
            _check_size(into)
        if frame is Event.GONE:
            return Response(status_code=499)
        if frame is not Event.END:
            raise Unavailable("the answer did not come to its end: ask again")
    return await json_answer(into, request, vary="Accept")


def _check_size(message: Message) -> None:
    if message.ByteSize() > _MOST_BYTES:
        raise InvalidInput(
            "this is too much for one document: ask for less, or send Accept: application/x-ndjson",
            reason="ANSWER_TOO_LARGE",
        )
