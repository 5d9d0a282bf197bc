"""From a message to JSON."""

import asyncio

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from services.gateway.http.bodies import OFF_LOOP_BYTES


async def to_json(message: Message) -> bytes:
    """The JSON of a message as protobuf defines it, large ones encoded in a thread.

    Fields without presence are shown with their default, so that an answer has one shape.
    """
    if message.ByteSize() > OFF_LOOP_BYTES:
        return await asyncio.to_thread(_encode, message)
    return _encode(message)


def _encode(message: Message) -> bytes:
    shown = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return msgspec.json.encode(shown)
