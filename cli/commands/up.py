"""`sensus up`: start everything on this machine."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from rich.console import Console

from cli.directory import DataDirectory
from cli.environment import Stores
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.ports import Ports, metrics_ports
from cli.product import Product
from cli.screen import StartScreen, make_console, show_pairs
from cli.signals import until_stopped
from mesh import ports as defaults
from mesh.config import load


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.GATEWAY,
    ingest_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.INGEST,
    detector_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.DETECTOR,
    explainer_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.EXPLAINER,
    metrics_base_port: Annotated[
        int, typer.Option(min=0, max=65533, help="First of three ports in a row.")
    ] = defaults.METRICS_INGEST,
) -> None:
    """Start everything and keep it running.

    That is PostgreSQL, Redis and the four services, until Ctrl-C. Port 0 takes any free port.
    SENSUS_POSTGRES_DSN and SENSUS_REDIS_URL name servers of your own to use instead.
    """
    ports = Ports(
        gateway=gateway_port,
        ingest=ingest_port,
        detector=detector_port,
        explainer=explainer_port,
        **metrics_ports(metrics_base_port),
    )
    console = make_console()
    asyncio.run(until_stopped(_serve(DataDirectory(data_dir), ports, console)))
    console.print("stopped")


async def _serve(directory: DataDirectory, ports: Ports, console: Console) -> None:
    screen = StartScreen(console, directory.logs)
    async with AsyncExitStack() as stack:
        with screen:
            product = Product(
                directory=directory, ports=ports, stores=load(Stores), tell=screen.tell
            )
            await stack.enter_async_context(product)
        stack.callback(console.print, "stopping; everything taken in is kept")
        _show(console, product)
        await asyncio.Event().wait()


def _show(console: Console, product: Product) -> None:
    option = _data_dir_option(product.directory)
    console.print("\n[bold green]Sensus is running.[/]\n")
    show_pairs(console, [*_addresses(product), ("Log in", _login(product))])
    console.print("\nNext:")
    show_pairs(
        console,
        [
            ("sensus demo", "see it find and explain a real load on this machine"),
            (f"sensus tail{option}", "follow anomalies and alerts"),
            (f"sensus send{option} FILE", "send samples from JSON or CSV"),
            (f"sensus token{option}", "a token for curl and grpcurl"),
        ],
    )
    console.print(
        f"\nThe API is described at {product.run.gateway_url}/docs. Ctrl-C stops everything."
    )


def _addresses(product: Product) -> list[tuple[str, str]]:
    run, ports = product.run, product.ports
    metrics = (ports.metrics_ingest, ports.metrics_detector, ports.metrics_explainer)
    return [
        ("Gateway", run.gateway_url),
        ("Ingest", f"{run.ingest_target} (gRPC)"),
        ("Detector", f"{run.detector_target} (gRPC)"),
        ("Explainer", f"{run.explainer_target} (gRPC)"),
        ("Metrics", "  ".join(f"http://127.0.0.1:{port}/metrics" for port in metrics)),
        ("PostgreSQL", run.postgres_dsn or "yours (SENSUS_POSTGRES_DSN)"),
        ("Data, logs", str(product.directory.path)),
    ]


def _login(product: Product) -> str:
    if product.admin_password:
        return f"user admin, password {product.admin_password} (shown only this once)"
    return "user admin, with the password that the first start has shown"


def _data_dir_option(directory: DataDirectory) -> str:
    default = DataDirectory(DEFAULT_DATA_DIR).path == directory.path
    return "" if default else f" --data-dir {directory.path}"
