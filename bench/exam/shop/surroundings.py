"""What is around the services: the network before one of them, and who else uses the database."""

import asyncio
import sqlite3
import time
from contextlib import suppress

from shop.services import Shop

DELAY_S = 0.15
HELD_S, FREE_S = 0.3, 0.1


class Network:
    """Takes connections for a service and passes all on; slowly while the network is to blame."""

    def __init__(self, shop: Shop) -> None:
        """Of this shop."""
        self._shop = shop

    async def serve(self, port: int, inside: int) -> asyncio.Server:
        """From a port to the one where the service is."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection("127.0.0.1", inside)
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

        return await asyncio.start_server(connected, "127.0.0.1", port)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(65536):
                if self._shop.happens("network"):
                    await asyncio.sleep(DELAY_S)
                writer.write(content)
                await writer.drain()
        writer.close()


def lock(shop: Shop) -> None:
    """Holds the database again and again while that is the fault. Runs in a thread, for ever."""
    connection = sqlite3.connect(shop.database, timeout=10, isolation_level=None)
    while True:
        if shop.happens("locked"):
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(HELD_S)
            connection.execute("COMMIT")
        time.sleep(FREE_S)
