"""uvicorn inside our own life cycle: signals are ours, and stopping has our order."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from mesh.drain import Drain
from mesh.serving import BindError

_BACKLOG: Final = 1024

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
        max_connections: int,
        drain: Drain,
        leave: Callable[[], None],
    ) -> None:
        """`leave` makes /readyz say no. Port 0 takes a free one."""
        self._host = host
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
                limit_concurrency=max_connections,
                timeout_keep_alive=75,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Serves, and tells the port.

        Raises:
            BindError: The port is taken or not ours to take.
        """
        listener = self._bind()
        port = int(listener.getsockname()[1])
        self._serving = asyncio.create_task(self._uvicorn.serve([listener]), name="http")
        await self._uvicorn.listening.wait()
        logger.info("serving", extra={"address": self._host, "port": port})
        return port

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
        await serving
        logger.info("stopped", extra={"address": self._host})

    def _bind(self) -> socket.socket:
        """The listener names its protocol: asyncio sets TCP_NODELAY on no other, and every answer
        would wait 40 ms for a delayed acknowledgement.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, self._port))
            listener.listen(_BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            told = f"gateway cannot listen on {self._host}:{self._port}: {error.strerror}"
            raise BindError(told) from error
