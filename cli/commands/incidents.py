"""`sensus incidents`: list them, and fold them anew from their log."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.clients.connection import INCIDENTS, connect
from cli.clients.incidents import listed
from cli.options import DEFAULT_DATA_DIR, DataDir, length
from cli.product.directory import DataDirectory
from cli.product.environment import Stores
from cli.render.incidents import show_incidents
from cli.render.screen import make_console
from mesh.config import load
from mesh.postgres import open_pool
from sensus.incidents.v1 import incident_pb2
from services.incidents.lifecycle.times import Times
from services.incidents.store.incidents import rebuild as fold_anew

_OPEN = (
    incident_pb2.INCIDENT_STATE_OPEN,
    incident_pb2.INCIDENT_STATE_ACKNOWLEDGED,
    incident_pb2.INCIDENT_STATE_SETTLING,
)

incidents = typer.Typer(help="List incidents, and check them against their log.")


@incidents.callback(invoke_without_command=True)
def list_incidents(
    context: typer.Context,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    selector: Annotated[str, typer.Option(help='Only labels such as {service="shop"}.')] = "",
    query: Annotated[str, typer.Option(help="Only those with these words.")] = "",
    idle: Annotated[
        str,
        typer.Option(
            help="Only those whose owner has done nothing for 30m, 4h or 2d, the longest first."
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """List incidents that are not over, those that changed last first."""
    if context.invoked_subcommand:
        return
    since = datetime.now(UTC) - length("--idle", idle) if idle else None

    async def run() -> list[incident_pb2.Incident]:
        async with connect(DataDirectory(data_dir), INCIDENTS) as channel:
            return await listed(channel, () if every else _OPEN, selector, query, limit, since)

    found = asyncio.run(run())
    console = make_console()
    if found:
        show_incidents(console, found, with_acts=since is not None)
    else:
        console.print("no incident" if every else "no open incident")


@incidents.command()
def rebuild(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Fold the log anew into the rows of incidents; tells how many were not as the log says.

    Writes to the database of the product that runs in the data directory, or of
    SENSUS_POSTGRES_DSN. Changes wait meanwhile.
    """
    dsn = load(Stores).postgres_dsn or DataDirectory(data_dir).running().postgres_dsn

    async def run() -> tuple[int, int]:
        async with open_pool(dsn, application_name="sensus-rebuild", wait_s=5) as pool:
            return await fold_anew(pool, Times())

    count, wrong = asyncio.run(run())
    typer.echo(f"{count} incidents folded from their log, {wrong} were not as it says")
