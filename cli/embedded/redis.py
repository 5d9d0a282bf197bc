"""A real redis-server of our own: append-only file, no eviction, on a private Unix socket."""

import asyncio
import signal
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import redis.asyncio
from redis.exceptions import RedisError

from cli import process
from cli.embedded import orphans
from cli.embedded.account import Account, hand_over, store_account
from cli.embedded.binaries import redis_program
from cli.embedded.sockets import leave, socket_directory
from cli.lock import DirectoryLock
from cli.problem import Problem
from cli.process import Program

_SOCKET_NAME = "redis.sock"
_STOP = ((signal.SIGTERM, 20.0),)


class EmbeddedRedis:
    """One redis-server whose data live under `directory`; same life as EmbeddedPostgres."""

    name = "redis"

    def __init__(
        self,
        directory: Path,
        *,
        log_file: Path | None = None,
        max_memory_mib: int = 1024,
        start_timeout_s: float = 60.0,
    ) -> None:
        self._directory = directory.resolve()
        self._data = self._directory / "data"
        self._log_file = log_file or self._directory / "redis.log"
        self._max_memory_mib = max_memory_mib
        self._start_timeout_s = start_timeout_s
        self._lock = DirectoryLock(self._directory)
        self._process: asyncio.subprocess.Process | None = None
        self._socket = self._directory / _SOCKET_NAME

    @property
    def url(self) -> str:
        """URL of database 0; valid after start."""
        return f"unix://{quote(str(self._socket))}?db=0"

    @property
    def pid(self) -> int | None:
        """Process id of the running server."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when the server answers PING, its file loaded. Problem when it does not."""
        account = store_account()
        hand_over(self._directory, account)
        self._lock.acquire()
        try:
            hand_over(self._data, account)
            await orphans.stop_servers(self._data, "redis-server", _STOP)
            await self._serve(account)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Exit status of the server, once it has ended by itself or by `stop`."""
        if self._process is None:
            raise RuntimeError("Redis was not started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Flushes the append-only file and waits for the server to be gone."""
        if self._process is not None:
            await process.stop(self._process, _STOP)
        self._process = None
        leave(self._socket.parent, self._directory)
        self._lock.release()

    async def __aenter__(self) -> "EmbeddedRedis":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _serve(self, account: Account | None) -> None:
        self._socket = socket_directory(self._directory, _SOCKET_NAME, account) / _SOCKET_NAME
        self._process = await process.spawn(self._program(account))
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._answers()
        except TimeoutError:
            raise self._failed(f"did not answer within {self._start_timeout_s:g} s") from None

    async def _answers(self) -> None:
        async with redis.asyncio.Redis.from_url(self.url, protocol=3) as client:
            while True:
                try:
                    await client.ping()
                except (OSError, RedisError):
                    self._check_alive()
                    await asyncio.sleep(0.02)
                else:
                    return

    def _check_alive(self) -> None:
        if self._process is None or self._process.returncode is not None:
            raise self._failed("ended while starting")

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
            command=(redis_program(), *options),
            log_file=self._log_file,
            environment={"PATH": "/usr/bin:/bin"},
            account=account,
            directory=self._data,
        )

    def _failed(self, what: str) -> Problem:
        tail = process.log_tail(self._log_file)
        return Problem(f"Redis {what}. The end of {self._log_file}:\n{tail}")
