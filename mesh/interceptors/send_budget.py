"""Answers of streams that nobody reads: counted in bytes, and bounded over all streams."""

from collections.abc import Callable
from typing import Any

from mesh.auth import current_principal
from mesh.budget import ByteBudget
from mesh.errors import Unauthenticated
from mesh.interceptors.around import (
    FACTORY,
    Context,
    Handler,
    coroutine,
)


class SendBudget:
    """Counts each answer of a stream from before it is written until the peer has room for it.

    A caller who reads nothing uses up its share. Then its other streams end with
    RESOURCE_EXHAUSTED; a stream that has unread answers cannot hear it, its status comes after
    them.
    """

    def __init__(self, budget: ByteBudget) -> None:
        """One `budget` for all streams of a server."""
        self._budget = budget

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the counting between a handler and the wire."""
        return self._counting(handler) if handler.response_streaming else handler

    def _counting(self, handler: Handler) -> Handler:
        behaviour, encode = coroutine(handler), handler.response_serializer

        async def counted(request: Any, context: Context) -> Any:
            counting: Any = _Counting(context, self._budget, encode)
            return await behaviour(request, counting)

        counted_handler: Handler = FACTORY[handler.request_streaming, True](
            counted, request_deserializer=handler.request_deserializer, response_serializer=None
        )
        return counted_handler


class _Counting:
    """A servicer context that encodes what is written, to know its size."""

    def __init__(
        self, context: Context, budget: ByteBudget, encode: Callable[[Any], bytes] | None
    ) -> None:
        self._context = context
        self._budget = budget
        self._encode = encode
        self._caller = _caller(context)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        raw = self._encode(message) if self._encode else message
        async with self._budget.holding(self._caller, len(raw)):
            await self._context.write(raw)


def _caller(context: Context) -> str:
    """The subject of the token; of a method that is open to all, the address."""
    try:
        return current_principal().subject
    except Unauthenticated:
        return str(context.peer()).rpartition(":")[0]
