"""`sensus migrate`: bring the schemas up to date without starting the services."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product.database import bring_up_schemas
from cli.product.directory import DataDirectory
from cli.product.environment import Stores
from cli.product.product import embedded_postgres
from cli.render.screen import make_console
from mesh.config import load


def migrate(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles", help="On a server of your own: make a role per service, owner of its schema."
        ),
    ] = False,
) -> None:
    """Apply migrations that are missing.

    To the server of SENSUS_POSTGRES_DSN, or to the embedded PostgreSQL, which always has a role
    per service. Roles of a server of your own get no password here: give each one
    (ALTER ROLE sensus_ingest PASSWORD ...) and its service SENSUS_INGEST_POSTGRES_DSN.
    """
    asyncio.run(_migrate(DataDirectory(data_dir), roles, make_console()))


async def _migrate(directory: DataDirectory, roles: bool, console: Console) -> None:
    applied = await _apply(directory, roles)
    for name in applied:
        console.print(f"applied {name}")
    if not applied:
        console.print("nothing to do: all migrations are applied")


async def _apply(directory: DataDirectory, roles: bool) -> list[str]:
    if own := load(Stores).postgres_dsn:
        return await bring_up_schemas(own, roles=roles)
    if running := directory.running_dsn():
        return await bring_up_schemas(running, roles=True)
    directory.make()
    async with embedded_postgres(directory) as postgres:
        return await bring_up_schemas(postgres.dsn, roles=True)
