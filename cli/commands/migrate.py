"""`sensus migrate`: bring the schemas up to date without starting the services."""

import asyncio

from rich.console import Console

from cli.directory import DataDirectory
from cli.environment import Stores
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product import bring_up_schemas, embedded_postgres
from cli.screen import make_console
from mesh.config import load


def migrate(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Apply migrations that are missing.

    To the server of SENSUS_POSTGRES_DSN, or to the embedded PostgreSQL.
    """
    asyncio.run(_migrate(DataDirectory(data_dir), make_console()))


async def _migrate(directory: DataDirectory, console: Console) -> None:
    applied = await _apply(directory)
    for name in applied:
        console.print(f"applied {name}")
    if not applied:
        console.print("nothing to do: all migrations are applied")


async def _apply(directory: DataDirectory) -> list[str]:
    dsn = load(Stores).postgres_dsn or directory.running_dsn()
    if dsn:
        return await bring_up_schemas(dsn)
    directory.make()
    async with embedded_postgres(directory) as postgres:
        return await bring_up_schemas(postgres.dsn)
