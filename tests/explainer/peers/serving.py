"""A peer as a real server on a free port."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mesh.drain import Drain
from mesh.health import Health
from mesh.interceptors import Layers
from mesh.interceptors.errors import ErrorMapping
from mesh.serving import Server


@asynccontextmanager
async def served(name: str, add: Callable[[Any], None]) -> AsyncIterator[str]:
    """A gRPC server with one service on a free port."""
    server = Server(
        service=name,
        host="127.0.0.1",
        port=0,
        interceptors=Layers([ErrorMapping()]),
        health=Health([name], every_s=0.05),
        drain=Drain(),
    )
    add(server.grpc)
    port = await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0, 0)
