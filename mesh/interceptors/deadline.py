"""No call without an end: the caller's deadline is passed on, and unary calls have one always."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from mesh.deadline import set_time_remaining
from mesh.errors import DeadlineExceeded
from mesh.interceptors.around import Context, Handler, around, is_infrastructure

UNARY_LIMIT_S: Final = 60.0


class Deadlines:
    """Makes the caller's deadline that of every call made on its behalf."""

    def __init__(self, unary_limit_s: float = UNARY_LIMIT_S) -> None:
        """`unary_limit_s` bounds unary calls whose caller would wait for ever."""
        self._unary_limit_s = unary_limit_s

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Sets the deadline before a handler runs."""
        if is_infrastructure(method):
            return handler
        is_stream = handler.request_streaming or handler.response_streaming

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            left_s: float | None = context.time_remaining()
            if left_s is not None:
                set_time_remaining(left_s)
                yield context
            elif is_stream:
                yield context
            else:
                set_time_remaining(self._unary_limit_s)
                async with _within(self._unary_limit_s):
                    yield context

        return around(handler, scope)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise DeadlineExceeded("it took too long: set a deadline that fits") from None
        raise
