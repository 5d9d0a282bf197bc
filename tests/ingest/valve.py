"""A pipe in front of a store's Unix socket that can be shut, as a network can be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class Valve:
    """Passes bytes while open; stalled it passes none, cut it closes what comes."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
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
        up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
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
    made = Valve(upstream)
    server = await asyncio.start_unix_server(made.serve, path)
    try:
        yield made
    finally:
        made.open()
        made.cut()
        server.close()
