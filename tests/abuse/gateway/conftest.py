"""A gateway for strangers: the one of the gateway's own tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from mesh.drain import Drain
from services.gateway.http.admission import Admission
from services.gateway.http.server import HttpServer
from services.gateway.http.timeouts import Timeouts
from tests.gateway.conftest import (  # noqa: F401 - fixtures
    Running,
    admin,
    client,
    config,
    keys,
    passwords,
    running,
    script,
    services,
    shared,
    start,
)

SHORT = Timeouts(head_s=0.5, body_part_s=0.5, body_s=2.0, rest_s=0.5, reader_s=1.0, keep_alive_s=1)


class Wire:
    """A connection without any HTTP library's good manners."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ]
        body = await self.reader.readexactly(lengths[0]) if lengths else b""
        return int(head.split(b" ")[1]), head, body

    async def ended(self, within_s: float) -> bytes:
        """What still comes until the gateway ends the connection."""
        try:
            return await asyncio.wait_for(self.reader.read(), within_s)
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def wire(port: int, **options: Any) -> AsyncIterator[Wire]:
    """A connection to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers the body of a request, or a number of bytes."""
    request = Request(scope, receive)
    if "early" in request.query_params:
        await Response("early")(scope, receive, send)
        return
    size = request.query_params.get("bytes")
    body = b"x" * int(size) if size else await request.body()
    headers = {"X-Method": request.method, "X-Names": " ".join(request.headers.keys())}
    await Response(body, headers=headers)(scope, receive, send)


@asynccontextmanager
async def served(
    app: Any = echo, *, most: int = 50, most_per_address: int = 50
) -> AsyncIterator[int]:
    """An application behind a server that is not patient; its port."""
    server = HttpServer(
        app,
        host="127.0.0.1",
        port=0,
        admission=Admission(most=most, most_per_address=most_per_address, proxies=()),
        drain=Drain(),
        leave=lambda: None,
        timeouts=SHORT,
    )
    yield await server.start()
    await server.stop(0, 1)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of `echo`."""
    async with served() as port:
        yield port
