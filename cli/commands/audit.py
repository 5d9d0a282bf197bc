"""`sensus audit`: is the audit log as it was written?"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.product.directory import DataDirectory
from cli.product.environment import SERVICES, Stores
from mesh.audit import AuditLog, Head
from mesh.config import load
from mesh.postgres import open_pool

if TYPE_CHECKING:
    from mesh.postgres import Pool

GATEWAY = "gateway"
audit = typer.Typer(no_args_is_help=True, help="Check the audit log.")


@audit.callback()
def _about() -> None:
    """What was changed in whose name, and whether the record of it is whole."""


@audit.command()
def verify(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    every: Annotated[
        bool, typer.Option("--all", help="The logs of all services, not the gateway's alone.")
    ] = False,
) -> None:
    """Recompute the hashes of the audit log; exit status 1 when an entry was changed or is missing.

    Reads the tables of the product that runs in the data directory, or of SENSUS_POSTGRES_DSN.
    With --all each log is compared with what the others witnessed, so that a cut end shows too.
    """
    dsn = load(Stores).postgres_dsn or DataDirectory(data_dir).running().postgres_dsn
    faults = asyncio.run(_faults(dsn, SERVICES if every else (GATEWAY,)))
    for fault in faults:
        typer.echo(fault)
    if faults:
        raise Problem("the audit log is not as it was written")
    typer.echo("the audit log is intact")


async def _faults(dsn: str, services: tuple[str, ...]) -> list[str]:
    async with open_pool(dsn, application_name="sensus-audit", wait_s=5) as pool:
        faults = [fault for name in services for fault in await _broken(pool, name)]
        for name in services:
            if name != GATEWAY:
                faults += await _missing(pool, name)
        return faults + await _found_before(pool)


async def _broken(pool: "Pool", name: str) -> list[str]:
    log = AuditLog(pool, name)
    entry_id = await log.first_broken()
    if entry_id is None:
        head = await log.head()
        typer.echo(f"{name}: {head.entry_id} entries, head {head.row_hash.hex()[:16]}")
        return []
    return [f"{name}: entry {entry_id} was changed, or one before it is missing"]


async def _missing(pool: "Pool", name: str) -> list[str]:
    """What the log of a service and the gateway's have witnessed of each other."""
    faults = []
    recorded = await pool.fetchrow(
        "SELECT entry_id, row_hash FROM gateway.audit_chain WHERE service = $1", name
    )
    if recorded and not await _holds(pool, name, Head(*recorded)):
        faults.append(f"{name}: entry {recorded[0]}, which the gateway recorded, is missing")
    query = f"SELECT entry_id, row_hash FROM {name}.audit_witness"  # noqa: S608
    witnessed = await pool.fetchrow(query)
    if witnessed and not await _holds(pool, GATEWAY, Head(*witnessed)):
        faults.append(f"{GATEWAY}: entry {witnessed[0]}, which {name} witnessed, is missing")
    return faults


async def _holds(pool: "Pool", name: str, head: Head) -> bool:
    query = f"SELECT row_hash FROM {name}.audit WHERE entry_id = $1"  # noqa: S608
    return head.entry_id == 0 or await pool.fetchval(query, head.entry_id) == head.row_hash


async def _found_before(pool: "Pool") -> list[str]:
    rows = await pool.fetch("SELECT message FROM gateway.audit_fault ORDER BY found_at, message")
    return [row["message"] for row in rows]
