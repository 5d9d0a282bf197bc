"""A pipe in front of a socket that can be shut, as a network can be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Valve:
    """Passes bytes while open; stalled it passes none, cut it closes what comes."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    def stall(self) -> None:
        """Bytes stop, connections stay."""
        self._flows.clear()

    def cut(self) -> None:
        """Connections break, new ones too."""
        self._is_cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def open(self) -> None:
        """Everything passes again."""
        self._is_cut = False
        self._flows.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if self._is_cut:
            writer.transport.abort()
            return
        up_reader, up_writer = await self._connect()
        self._writers |= {writer, up_writer}
        try:
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        finally:
            for each in (writer, up_writer):
                self._writers.discard(each)
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def valve(path: Path, upstream: Path) -> AsyncIterator[Valve]:
    """A valve that listens on `path`."""
    made = Valve(lambda: asyncio.open_unix_connection(upstream))
    server = await asyncio.start_unix_server(made.serve, path)
    async with _shut_at_end(made, server):
        yield made


@asynccontextmanager
async def database_valve(dsn: str, directory: Path) -> AsyncIterator[tuple[Valve, str]]:
    """A valve in front of a database, and the DSN that leads through it."""
    parts = urlsplit(dsn)
    upstream = Path(unquote(parse_qs(parts.query)["host"][0])) / ".s.PGSQL.5432"
    async with valve(directory / ".s.PGSQL.5432", upstream) as made:
        yield made, f"postgresql://sensus@{parts.path}?host={directory}"


@asynccontextmanager
async def tcp_valve(host: str, port: int) -> AsyncIterator[tuple[Valve, int]]:
    """A valve in front of a port, and the port at which it listens."""
    made = Valve(lambda: asyncio.open_connection(host, port))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with _shut_at_end(made, server):
        yield made, server.sockets[0].getsockname()[1]


@asynccontextmanager
async def _shut_at_end(made: Valve, server: asyncio.Server) -> AsyncIterator[None]:
    try:
        yield
    finally:
        made.open()
        made.cut()
        server.close()
