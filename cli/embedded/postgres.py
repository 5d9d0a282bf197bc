"""A real PostgreSQL 18 of our own, reached through a Unix socket that only its owner can open."""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import asyncpg

from cli import process
from cli.embedded.account import Account, hand_over
from cli.embedded.binaries import postgres_program
from cli.embedded.server import EmbeddedServer
from cli.process import Program

_USER = "sensus"
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "synchronous_commit": "on",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres(EmbeddedServer):
    """One database cluster and its server.

    async with EmbeddedPostgres(directory) as postgres:
        connection = await asyncpg.connect(postgres.dsn)
    """

    name = "postgres"
    title = "PostgreSQL"
    executable = "postgres"
    socket_name = ".s.PGSQL.5432"
    stop_signals = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast, then immediate shutdown

    def __init__(
        self,
        directory: Path,
        *,
        log_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
        start_timeout_s: float = 120.0,
    ) -> None:
        """`settings` are of postgresql.conf and win over ours."""
        super().__init__(directory, log_file=log_file, start_timeout_s=start_timeout_s)
        self._settings = {**_SETTINGS, **(settings or {})}

    @property
    def dsn(self) -> str:
        """URL of the database `sensus`; valid after start."""
        return f"postgresql://{_USER}@/sensus?host={quote(str(self._socket_directory), safe='/')}"

    async def _prepare(self, account: Account | None) -> None:
        """Makes the cluster under another name first, so that half a cluster is never taken."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        if (self._data / "PG_VERSION").exists():
            return
        unfinished = self._directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        hand_over(unfinished, account)
        await self._run(
            account,
            *("initdb", f"--pgdata={unfinished}", f"--username={_USER}", "--encoding=UTF8"),
            *("--auth-local=trust", "--auth-host=reject"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        unfinished.rename(self._data)

    def _program(self, account: Account | None) -> Program:
        quoted = str(self._socket_directory).replace('"', '""')
        settings = {**self._settings, "unix_socket_directories": f'"{quoted}"'}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._child(account, "postgres", f"-D{self._data}", *options)

    async def _answers(self, account: Account | None) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn)
        except asyncpg.InvalidCatalogNameError:
            place = (f"--host={self._socket_directory}", f"--username={_USER}")
            await self._run(account, "createdb", *place, "sensus")
            return False
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    async def _run(self, account: Account | None, program: str, *options: str) -> None:
        child = await process.spawn(self._child(account, program, *options))
        if await child.wait() != 0:
            raise self._failed(f"could not be prepared: {program} failed")

    def _child(self, account: Account | None, program: str, *options: str) -> Program:
        return Program(
            command=(postgres_program(program), *options),
            log_file=self._log_file,
            environment=_ENVIRONMENT,
            account=account,
            directory=self._directory,
            orphan_signal=signal.SIGINT,
        )
