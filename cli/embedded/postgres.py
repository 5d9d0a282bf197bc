"""A real PostgreSQL 18 of our own, reached through a Unix socket that only its owner can open."""

import asyncio
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import asyncpg

from cli import process
from cli.embedded import orphans
from cli.embedded.account import Account, hand_over, store_account
from cli.embedded.binaries import postgres_program
from cli.embedded.sockets import leave, socket_directory
from cli.lock import DirectoryLock
from cli.problem import Problem
from cli.process import Program

_USER = "sensus"
_SOCKET_NAME = ".s.PGSQL.5432"
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast, then immediate shutdown
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "synchronous_commit": "on",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """One database cluster under `directory` and the server process that serves it.

    Start, stop and start again as often as needed; data stay. A server that a killed run left
    behind is stopped first, stale pid files do no harm.

        async with EmbeddedPostgres(directory) as postgres:
            connection = await asyncpg.connect(postgres.dsn)
    """

    name = "postgres"

    def __init__(
        self,
        directory: Path,
        *,
        log_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        self._directory = directory.resolve()
        self._data = self._directory / "data"
        self._log_file = log_file or self._directory / "postgres.log"
        self._settings = {**_SETTINGS, **(settings or {})}
        self._start_timeout_s = start_timeout_s
        self._lock = DirectoryLock(self._directory)
        self._process: asyncio.subprocess.Process | None = None
        self._socket_directory = self._directory

    @property
    def dsn(self) -> str:
        """URL of the database `sensus`; valid after start."""
        return f"postgresql://{_USER}@/sensus?host={quote(str(self._socket_directory), safe='/')}"

    @property
    def pid(self) -> int | None:
        """Process id of the running postmaster."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Returns when the server answers queries. Problem with its last words when it does not."""
        account = store_account()
        hand_over(self._directory, account)
        self._lock.acquire()
        try:
            await self._clear_leftovers()
            await self._initialise(account)
            await self._serve(account)
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Exit status of the server, once it has ended by itself or by `stop`."""
        if self._process is None:
            raise RuntimeError("PostgreSQL was not started")
        return await self._process.wait()

    async def stop(self) -> None:
        """Ends sessions, writes a checkpoint and waits for the server to be gone."""
        if self._process is not None:
            await process.stop(self._process, _STOP)
        self._process = None
        leave(self._socket_directory, self._directory)
        self._lock.release()

    async def __aenter__(self) -> "EmbeddedPostgres":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _clear_leftovers(self) -> None:
        await orphans.stop_servers(self._data, "postgres", _STOP)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    async def _initialise(self, account: Account | None) -> None:
        """Makes the cluster under another name first, so that half a cluster is never taken."""
        if (self._data / "PG_VERSION").exists():
            return
        unfinished = self._directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        hand_over(unfinished, account)
        await self._run(
            account,
            *(postgres_program("initdb"), f"--pgdata={unfinished}", f"--username={_USER}"),
            *("--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        unfinished.rename(self._data)

    async def _serve(self, account: Account | None) -> None:
        self._socket_directory = socket_directory(self._directory, _SOCKET_NAME, account)
        quoted = str(self._socket_directory).replace('"', '""')
        settings = {**self._settings, "unix_socket_directories": f'"{quoted}"'}
        options = [f"--{name}={value}" for name, value in settings.items()]
        program = self._program(account, postgres_program("postgres"), f"-D{self._data}", *options)
        self._process = await process.spawn(program)
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await self._answers(account)
        except TimeoutError:
            raise self._failed(f"did not answer within {self._start_timeout_s:g} s") from None

    async def _answers(self, account: Account | None) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self.dsn)
            except asyncpg.InvalidCatalogNameError:
                host = f"--host={self._socket_directory}"
                await self._run(
                    account, postgres_program("createdb"), host, f"--username={_USER}", "sensus"
                )
            except (OSError, asyncpg.PostgresError):
                self._check_alive()
                await asyncio.sleep(0.05)
            else:
                return await connection.close()

    def _check_alive(self) -> None:
        if self._process is None or self._process.returncode is not None:
            raise self._failed("ended while starting")

    async def _run(self, account: Account | None, *command: str) -> None:
        child = await process.spawn(self._program(account, *command))
        if await child.wait() != 0:
            raise self._failed(f"could not be prepared: {Path(command[0]).name} failed")

    def _program(self, account: Account | None, *command: str) -> Program:
        return Program(
            command=command,
            log_file=self._log_file,
            environment=_ENVIRONMENT,
            account=account,
            directory=self._directory,
            orphan_signal=signal.SIGINT,
        )

    def _failed(self, what: str) -> Problem:
        tail = process.log_tail(self._log_file)
        return Problem(f"PostgreSQL {what}. The end of {self._log_file}:\n{tail}")
