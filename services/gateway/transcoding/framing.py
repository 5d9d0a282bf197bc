"""How the frames of a stream are written: as server-sent events, or as lines of JSON."""

from typing import Any, Final, Protocol

import msgspec
from google.protobuf.message import Message

from services.gateway.transcoding.merging import MergedFrame
from services.gateway.transcoding.rules import RESUME_FIELDS

NDJSON: Final = "application/x-ndjson"


class Framing(Protocol):
    """Writes the bytes of one answer."""

    media_type: str

    def frame(self, message: Message, json: bytes) -> bytes:
        """One frame of the method."""
        ...

    def merged(self, merged: MergedFrame, json: bytes) -> bytes:
        """One frame of one of several watches."""
        ...

    def opening(self) -> bytes:
        """Sent first, so that headers go out before there is a frame."""
        ...

    def keepalive(self) -> bytes:
        """Sent while nothing comes."""
        ...

    def ending(self, event: str, body: dict[str, Any]) -> bytes:
        """The last bytes: `end` when all was sent, `draining`, or `error`."""
        ...


class ServerSentEvents:
    """`text/event-stream`: the event is the frame's kind, the id its cursor or sequence."""

    media_type = "text/event-stream"

    def frame(self, message: Message, json: bytes) -> bytes:
        """Frames without a place of their own (keepalives) have no id."""
        place = _place(message)
        head = f"id: {place}\n" if place else ""
        return f"{head}event: {_kind(message)}\ndata: ".encode() + json + b"\n\n"

    def merged(self, merged: MergedFrame, json: bytes) -> bytes:
        """The id holds the cursors of all watches."""
        head = f"id: {merged.place}\nevent: {merged.kind}\ndata: "
        return head.encode() + merged.body(json) + b"\n\n"

    def opening(self) -> bytes:
        """Tells when to come back after a cut."""
        return b"retry: 1000\n\n"

    def keepalive(self) -> bytes:
        """A comment."""
        return b": keepalive\n\n"

    def ending(self, event: str, body: dict[str, Any]) -> bytes:
        """An event, since a browser would open an ended stream again."""
        return f"event: {event}\ndata: ".encode() + msgspec.json.encode(body) + b"\n\n"


class JsonLines:
    """`application/x-ndjson`: one frame per line; an error is the last line."""

    media_type = NDJSON

    def frame(self, message: Message, json: bytes) -> bytes:
        """One line."""
        return json + b"\n"

    def merged(self, merged: MergedFrame, json: bytes) -> bytes:
        """One line."""
        return merged.body(json) + b"\n"

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def keepalive(self) -> bytes:
        """Nothing: an empty line is no JSON."""
        return b""

    def ending(self, event: str, body: dict[str, Any]) -> bytes:
        """A line for an error, nothing for the end."""
        return msgspec.json.encode(body) + b"\n" if event == "error" else b""


def chosen(accept: str, *, is_finite: bool) -> Framing | None:
    """How the client wants the frames; None for one JSON document, where the stream can be one.

    A client that names none gets the document if it can be had, else events.
    """
    accept = accept.lower()
    if NDJSON in accept:
        return JsonLines()
    wants_events = ServerSentEvents.media_type in accept
    return None if is_finite and not wants_events else ServerSentEvents()


def _place(message: Message) -> int:
    for name in RESUME_FIELDS.values():
        if name in message.DESCRIPTOR.fields_by_name:
            return int(getattr(message, name))
    return 0


def _kind(message: Message) -> str:
    oneof = message.DESCRIPTOR.oneofs_by_name.get("frame")
    kind = message.WhichOneof("frame") if oneof else None
    return str(kind or "message")
