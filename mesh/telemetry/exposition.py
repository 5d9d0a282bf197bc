"""`/metrics` on a port of its own: few connections, little patience, nothing on the event loop.

A thread with a loop of its own answers. A text is made at most once a second, whoever asks.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from mesh.config import ConfigError

_CONNECTIONS: Final = 64
_PATIENCE_S: Final = 5.0
_HEAD_BYTES: Final = 16 * 1024
_FRESH_S: Final = 1.0
_PATHS: Final = ("/", "/metrics")

_NOT_FOUND: Final = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOT_ALLOWED: Final = (
    b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


@contextmanager
def metrics_server(host: str, port: int) -> Iterator[int]:
    """Serves `/metrics` while the block runs, and gives the port; 0 takes a free one.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    server = _Exposition(_listener(host, port))
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


class Page:
    """The text of all metrics, made anew when it is older than a second."""

    def __init__(self) -> None:
        """Nothing is made yet. Times of creation double the series of counters and are left out."""
        disable_created_metrics()
        self._made: dict[str, tuple[float, bytes]] = {}

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text in the format that `accept` prefers, and its content type."""
        encode, content_type = choose_encoder(accept)
        made_at_s, text = self._made.get(content_type, (0.0, b""))
        if not text or time.monotonic() - made_at_s > _FRESH_S:
            text = encode(REGISTRY)
            self._made[content_type] = (time.monotonic(), text)
        return text, content_type


class _Exposition(threading.Thread):
    def __init__(self, listener: socket.socket) -> None:
        super().__init__(name="metrics", daemon=True)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._page = Page()
        self._reading: dict[asyncio.Task[None], None] = {}
        self._open = 0

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self.join()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._connected, sock=self._listener, limit=_HEAD_BYTES, backlog=_CONNECTIONS
        )
        await self._stopped.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self._make_room()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                head = await self._head(reader)
                writer.write(self._answer(head.decode("latin-1")))
                await writer.drain()
        except (TimeoutError, EOFError, asyncio.LimitOverrunError, OSError):
            pass  # a caller that is too slow, too long or gone
        finally:
            self._open -= 1
            writer.close()

    def _make_room(self) -> None:
        """Whoever has been asking for longest without having asked goes first."""
        if self._open > _CONNECTIONS and self._reading:
            next(iter(self._reading)).cancel()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._reading[task] = None
        try:
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            self._reading.pop(task, None)

    def _answer(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        method, _, target = request.partition(" ")
        if method != "GET":
            return _NOT_ALLOWED
        if target.partition(" ")[0].partition("?")[0] not in _PATHS:
            return _NOT_FOUND
        text, content_type = self._page.text(_header(lines, "accept"))
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        ).encode() + text


def _header(lines: list[str], name: str) -> str:
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"SENSUS_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    return listener
