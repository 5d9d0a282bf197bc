"""A message that is no protobuf, or holds bad UTF-8, is the caller's mistake, not ours."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from mesh.errors import InvalidInput
from mesh.interceptors.around import (
    FACTORY,
    Context,
    Handler,
    coroutine,
)


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Stands for a message until the handler's turn comes."""

    cause: str


class Decoding:
    """Turns undecodable messages into INVALID_ARGUMENT; gRPC itself answers UNKNOWN."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Makes the decoder of a handler one that never raises."""
        return _tolerant(handler)


def _tolerant(handler: Handler) -> Handler:
    behaviour = coroutine(handler)

    async def checked(request: Any, context: Context) -> Any:
        readable = _Requests(context) if handler.request_streaming else _readable(request)
        return await behaviour(readable, context)

    tolerant: Handler = FACTORY[handler.request_streaming, handler.response_streaming](
        checked,
        request_deserializer=_never_raising(handler.request_deserializer),
        response_serializer=handler.response_serializer,
    )
    return tolerant


def _never_raising(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if decode is None:
        return None

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError as error:
            return _Undecodable(str(error))

    return decoded


def _readable(request: Any) -> Any:
    if isinstance(request, _Undecodable):
        message = f"the message cannot be read: {request.cause}"
        raise InvalidInput(message, reason="MESSAGE_UNREADABLE")
    return request


class _Requests(AsyncIterator[Any]):
    """The messages of a stream, none of which is kept.

    A generator holds its last message until it is asked for the next one, and so does grpcio's own
    iterator: two thousand idle senders of large batches would hold two thousand batches.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __anext__(self) -> Any:
        request = await self._context.read()
        if request is grpc.aio.EOF:
            raise StopAsyncIteration
        return _readable(request)
