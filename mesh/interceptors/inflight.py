"""The calls that are running, so that a stop can wait for each of them to the end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from grpc_status import rpc_status

from mesh.drain import Drain
from mesh.errors import Unavailable, to_status
from mesh.interceptors.around import Context, Handler, around, is_infrastructure

_ELSEWHERE_AFTER_S: Final = 0.1


class Inflight:
    """Knows the task of each call and refuses new calls while draining.

    `grpc.aio.Server.stop` returns before the clean-up of its handlers has run; this waits for it.
    """

    def __init__(self, drain: Drain) -> None:
        """Refuses once `drain` has begun."""
        self._drain = drain
        self._tasks: set[asyncio.Task[Any]] = set()

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Puts the list around a handler."""
        if is_infrastructure(method):
            return handler

        @asynccontextmanager
        async def scope(context: Context) -> AsyncIterator[Context]:
            if self._drain.started:
                await _refuse(context)
            task = cast("asyncio.Task[Any]", asyncio.current_task())
            self._tasks.add(task)
            try:
                yield context
            finally:
                self._tasks.discard(task)

        return around(handler, scope)

    async def finished(self, within_s: float) -> bool:
        """Waits for the running calls; False when some still run after `within_s`."""
        running = set(self._tasks)
        if not running:
            return True
        _, pending = await asyncio.wait(running, timeout=within_s)
        return not pending


async def _refuse(context: Context) -> None:
    error = Unavailable(
        "this replica is stopping: call again", reason="DRAINING", retry_after_s=_ELSEWHERE_AFTER_S
    )
    await context.abort_with_status(rpc_status.to_status(to_status(error)))
