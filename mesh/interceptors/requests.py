"""The requests a client streams, ended with their rpc."""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

Source = AsyncIterable[Any] | Iterable[Any]

logger = logging.getLogger(__name__)


class Requests:
    """Passes the requests of an rpc on.

    grpc.aio leaves the task that reads them waiting when the server ends the rpc first; `stop` ends
    it. It also turns an exception of the source into a bare CancelledError at the caller; here it
    is logged at least, so sources should hand over what is ready and never fail.
    """

    def __init__(self, source: Source) -> None:
        """Reads `source` once."""
        self._source = source
        self._reader: asyncio.Task[Any] | None = None

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The requests, in order."""
        self._reader = asyncio.current_task()
        try:
            async for request in _asynchronous(self._source):
                yield request
        except Exception:
            logger.exception("the source of a request stream failed; its rpc is cancelled")
            raise

    def stop(self, call: object) -> None:
        """Ends the reading; a done callback of the rpc."""
        if self._reader is not None:
            self._reader.cancel()


async def _asynchronous(source: Source) -> AsyncIterator[Any]:
    if isinstance(source, AsyncIterable):
        async for request in source:
            yield request
    else:
        for request in source:
            yield request
