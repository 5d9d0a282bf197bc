"""A real redis-server of our own: append-only file, no eviction, on a private Unix socket."""

import signal
from pathlib import Path
from urllib.parse import quote

import redis.asyncio
from redis.exceptions import RedisError

from cli.embedded.account import Account, hand_over
from cli.embedded.binaries import redis_program
from cli.embedded.server import EmbeddedServer
from cli.process import Program


class EmbeddedRedis(EmbeddedServer):
    """One redis-server.

    async with EmbeddedRedis(directory) as server:
        client = redis.asyncio.Redis.from_url(server.url)
    """

    name = "redis"
    title = "Redis"
    executable = "redis-server"
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
        return f"unix://{quote(str(self._socket_directory / self.socket_name))}?db=0"

    async def _prepare(self, account: Account | None) -> None:
        hand_over(self._data, account)

    def _program(self, account: Account | None) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket_directory / self.socket_name),
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
            command=(redis_program(), *options),
            log_file=self._log_file,
            environment={"PATH": "/usr/bin:/bin"},
            account=account,
            directory=self._data,
        )

    async def _answers(self, account: Account | None) -> bool:
        async with redis.asyncio.Redis.from_url(self.url, protocol=3) as client:
            try:
                return bool(await client.ping())
            except (OSError, RedisError):
                return False
