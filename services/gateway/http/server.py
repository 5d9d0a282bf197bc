"""uvicorn inside our own life cycle: signals are ours, and stopping has our order."""

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from mesh.drain import Drain
from mesh.serving import BindError, ServerDied
from mesh.serving.own_call import HttpLiveness, OwnCall
from services.gateway.http.admission import Admission
from services.gateway.http.connection import Connection
from services.gateway.http.timeouts import Timeouts

_BACKLOG: Final = 1024
_ACCEPTED_AT_ONCE: Final = 64
"""A flood of connections must not hold the loop."""
_CHECK_S: Final = 1.0
_TIMEOUTS: Final = Timeouts()

logger = logging.getLogger(__name__)


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process."""
        yield


class HttpServer:
    """Serves an ASGI application; `mesh.serving.run` starts and stops it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        second_port: int = 0,
        admission: Admission,
        drain: Drain,
        leave: Callable[[], None],
        timeouts: Timeouts = _TIMEOUTS,
    ) -> None:
        """`leave` makes /readyz say no. Port 0 takes a free one.

        `second_port` leads to the same; 0 for none.
        """
        self._host = host
        self._second_port = second_port
        self._port = port
        self._drain = drain
        self._leave = leave
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                http=_protocol(admission, timeouts),
                backlog=_ACCEPTED_AT_ONCE,
                timeout_keep_alive=timeouts.keep_alive_s,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Serves, and tells the port.

        Raises:
            BindError: The port is taken or not ours to take.
        """
        listeners = [self._bind(self._port)]
        self._port = int(listeners[0].getsockname()[1])
        if self._second_port:
            listeners.append(self._bind(self._second_port))
        self._serving = asyncio.create_task(self._uvicorn.serve(listeners), name="http")
        await self._uvicorn.listening.wait()
        for listener in listeners:
            listener.listen(_BACKLOG)
        self._check()
        logger.info("serving", extra={"address": self._host, "port": self._port})
        return self._port

    async def died(self) -> None:
        """Waits for ever; raises `ServerDied` when uvicorn ends without `stop`."""
        if self._serving is not None:
            await asyncio.wait([self._serving])
            raise ServerDied("uvicorn ended by itself") from self._cause()

    def own_call(self) -> OwnCall:
        """How the process calls its own port."""
        return OwnCall(self._host, self._port, HttpLiveness)

    async def stop(self, notice_s: float, grace_s: float) -> None:
        """Not ready, `notice_s` for others to see it, streams end, `grace_s` for the rest."""
        if self._serving is None:
            return
        serving, self._serving = self._serving, None
        self._leave()
        await asyncio.sleep(notice_s)
        self._drain.begin()
        self._uvicorn.config.timeout_graceful_shutdown = max(1, round(grace_s))
        self._uvicorn.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        logger.info("stopped", extra={"address": self._host})

    def _cause(self) -> BaseException | None:
        serving = self._serving
        return serving.exception() if serving and not serving.cancelled() else None

    def _check(self) -> None:
        """Ends overdue connections, every second for as long as it serves."""
        loop = asyncio.get_running_loop()
        if self._uvicorn.should_exit and not self._uvicorn.server_state.connections:
            return
        loop.call_later(_CHECK_S, self._check)
        for connection in list(self._uvicorn.server_state.connections):
            assert isinstance(connection, Connection)  # noqa: S101
            connection.check(loop.time())

    def _bind(self, port: int) -> socket.socket:
        """The listener names its protocol: asyncio sets TCP_NODELAY on no other, and every answer
        would wait 40 ms for a delayed acknowledgement.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, port))
            return listener
        except OSError as error:
            listener.close()
            message = f"gateway cannot listen on {self._host}:{port}: {error.strerror}"
            raise BindError(message) from error


def _protocol(admission: Admission, timeouts: Timeouts) -> Any:
    return partial(Connection, admission=admission, timeouts=timeouts)


def raise_file_limit(wanted: int) -> int:
    """Lets the process open so many files, or as many as it may; tells how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)
