"""grpcio's accept loop, so that no bytes of a caller can end it.

For a call whose method is not registered, grpcio decodes the path inside its accept loop: a path
that is not UTF-8 raises there, and the server shuts down while its process lives on. Calls of
registered methods are matched in the core and bring no text of the caller into the loop. So all
methods are registered here, and every other call is refused before the loop sees it.

This leans on private names of grpcio (`cygrpc.AioServer` and two helpers beside it). grpcio is
pinned to one release, and `tests/abuse` fails when a new one moves them. See ADR 7.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

import grpc
from grpc._cython import cygrpc
from grpc.aio import _server
from grpc_status import rpc_status

from mesh.errors import Unimplemented, to_status
from mesh.metrics import OTHER, RPC_SERVER_DURATION
from mesh.serving.errors import ServerDied
from mesh.wire import Options

_AFTER_FAILURE_S: Final = 0.01

logger = logging.getLogger("sensus.rpc")


class GrpcServer(_server.Server):
    """A `grpc.aio.Server` of registered methods only; generic handlers are never asked."""

    def __init__(
        self, interceptors: Sequence[grpc.aio.ServerInterceptor], options: Options
    ) -> None:
        """Must be called on the running loop."""
        self._loop = cygrpc.get_working_loop()
        self._server = _Acceptor(self._loop, None, (), tuple(interceptors), tuple(options), None)

    async def died(self) -> None:
        """Returns never while the server serves or stops as it was asked to.

        Raises:
            ServerDied: The accept loop ended by itself; nothing is accepted any more.
        """
        await asyncio.shield(self._server.ended)


class _Acceptor(cygrpc.AioServer):  # type: ignore[misc]  # no stubs of the private module
    def __init__(self, loop: asyncio.AbstractEventLoop, *arguments: Any) -> None:
        super().__init__(loop, *arguments)
        self.ended: asyncio.Future[None] = loop.create_future()
        self._refusing: set[asyncio.Task[None]] = set()

    async def _server_main_loop(self, server_started: "asyncio.Future[bool]") -> None:
        """The accept loop. When it is cancelled grpcio reports nothing, so its end is noted here.

        It returns then, so that a stop can still end the calls that run.
        """
        try:
            await super()._server_main_loop(server_started)
            cause = "it returned"
        except (Exception, asyncio.CancelledError) as error:
            if not server_started.done():
                raise
            cause = repr(error)
        if self.is_running() and not self.ended.done():
            self.ended.set_exception(ServerDied(f"grpcio's accept loop ended: {cause}"))
            self.ended.exception()  # marks it as seen: a server may run without anybody waiting

    async def _request_call(self) -> Any:
        """The next call of a method that is not registered: refused here, never handed on."""
        while True:
            self._refuse(await self._next(super()._request_call))

    async def _request_registered_call(self, method: bytes) -> Any:
        """The next call of `method`."""
        return await self._next(super()._request_registered_call, method)

    async def _next(self, request: Any, *arguments: bytes) -> Any:
        """One failed request for a call must not end the loop; at a stop all of them fail."""
        while True:
            try:
                return await request(*arguments)
            except cygrpc._RequestCallError:
                if not self.is_running():
                    raise
                await asyncio.sleep(_AFTER_FAILURE_S)

    def _refuse(self, call: Any) -> None:
        loop = asyncio.get_running_loop()
        context = cygrpc._ServicerContext(call, None, None, loop)
        refused = cygrpc._schedule_rpc_coro(_refused(context), call, loop, OTHER)
        task = loop.create_task(refused)
        self._refusing.add(task)
        task.add_done_callback(self._refusing.discard)


async def _refused(context: Any) -> None:
    code = grpc.StatusCode.UNIMPLEMENTED.name
    RPC_SERVER_DURATION.labels(OTHER, code).observe(0)
    logger.info("call refused", extra={"rpc_method": OTHER, "code": code, "peer": context.peer()})
    error = Unimplemented("there is no such method here: reflection lists those there are")
    await context.abort_with_status(rpc_status.to_status(to_status(error)))
