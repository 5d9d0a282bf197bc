"""`/metrics`, `/livez` and `/readyz` over HTTP: few connections, little patience."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import REGISTRY, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from mesh.config import ConfigError

_CONNECTIONS: Final = 16
_HEAD_BYTES: Final = 8192
_PATIENCE_S: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


class Endpoint:
    """Answers GET; everything else is refused and closed."""

    def __init__(self, trouble: Callable[[], str]) -> None:
        """`trouble` says why the agent is not ready; empty when it is."""
        disable_created_metrics()
        self._trouble = trouble
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        self._open += 1
        try:
            if self._open <= _CONNECTIONS:
                async with asyncio.timeout(_PATIENCE_S):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(self._answer(head.decode("latin-1")))
                    await writer.drain()
        except (TimeoutError, EOFError, asyncio.LimitOverrunError, OSError):
            pass  # a caller that is too slow, too long or gone
        finally:
            self._open -= 1
            writer.close()

    def _answer(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        method, _, target = request.partition(" ")
        path = target.partition(" ")[0].partition("?")[0]
        if method != "GET":
            return _response("405 Method Not Allowed", b"", _TEXT)
        match path:
            case "/livez":
                return _response("200 OK", b"ok\n", _TEXT)
            case "/readyz":
                trouble = self._trouble()
                status = "503 Service Unavailable" if trouble else "200 OK"
                return _response(status, f"{trouble or 'ok'}\n".encode(), _TEXT)
            case "/metrics":
                encode, content_type = choose_encoder(_header(lines, "accept"))
                return _response("200 OK", encode(REGISTRY), content_type)
        return _response("404 Not Found", b"", _TEXT)


@asynccontextmanager
async def serving(host: str, port: int, trouble: Callable[[], str]) -> AsyncIterator[int]:
    """Listens while the block runs, and gives the port.

    Raises:
        ConfigError: The address cannot be listened on.
    """
    endpoint = Endpoint(trouble)
    try:
        server = await asyncio.start_server(endpoint.serve, host, port, limit=_HEAD_BYTES)
    except OSError as error:
        raise ConfigError(
            f"SENSUS_AGENT_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def _header(lines: list[str], name: str) -> str:
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == name:
            return value.strip()
    return ""
