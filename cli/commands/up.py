"""`sensus up`: start everything on this machine."""

import asyncio
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.options import DEFAULT_DATA_DIR, DataDir, data_dir_words
from cli.problem import Problem, command_text
from cli.processes.signals import until_stopped
from cli.product.directory import DataDirectory
from cli.product.environment import AGENT, Stores
from cli.product.ports import METRICS_SPAN, Ports, metrics_ports
from cli.product.product import Product
from cli.product.tokens import login_link
from cli.render.screen import StartScreen, make_news_console, show_pairs
from mesh import ports as defaults
from mesh.config import load


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    gateway_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.GATEWAY,
    ingest_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.INGEST,
    detector_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.DETECTOR,
    explainer_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.EXPLAINER,
    incidents_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.INCIDENTS,
    notifier_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.NOTIFIER,
    topology_port: Annotated[int, typer.Option(min=0, max=65535)] = defaults.TOPOLOGY,
    metrics_base_port: Annotated[
        int,
        typer.Option(
            min=0, max=65536 - METRICS_SPAN, help=f"First of {METRICS_SPAN} ports in a row."
        ),
    ] = defaults.METRICS_INGEST,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this out; `agent` is all that can be.")
    ] = None,
) -> None:
    """Start everything and keep it running.

    That is PostgreSQL, Redis, the services, and an agent that streams this machine's own
    metrics, until Ctrl-C. Port 0 takes any free port, and none of OTLP's own beside it.
    SENSUS_POSTGRES_DSN and SENSUS_REDIS_URL name servers of your own to use instead.
    """
    ports = Ports(
        gateway=gateway_port,
        ingest=ingest_port,
        detector=detector_port,
        explainer=explainer_port,
        incidents=incidents_port,
        notifier=notifier_port,
        topology=topology_port,
        # who takes any port leaves those that senders of OTLP look for to others
        otlp_grpc=defaults.OTLP_GRPC if ingest_port else 0,
        otlp_http=defaults.OTLP_HTTP if gateway_port else 0,
        **metrics_ports(metrics_base_port),
    )
    for part in without or ():
        if part != AGENT:
            raise Problem(f"--without {part}: only {AGENT} can be left out")
    console = make_news_console()
    serving = _serve(DataDirectory(data_dir), ports, console, with_agent=not without)
    asyncio.run(until_stopped(serving))
    console.print("stopped")


async def _serve(
    directory: DataDirectory, ports: Ports, console: Console, *, with_agent: bool
) -> None:
    screen = StartScreen(console, directory.logs)
    async with AsyncExitStack() as stack:
        with screen:
            product = Product(
                directory=directory,
                ports=ports,
                stores=load(Stores),
                with_agent=with_agent,
                tell=screen.tell,
            )
            await stack.enter_async_context(product)
        stack.callback(console.print, "stopping; everything taken in is kept")
        _show(console, product)
        await asyncio.Event().wait()


def _show(console: Console, product: Product) -> None:
    option = data_dir_words(product.directory.path)
    console.print("\n[bold green]Sensus is running.[/]\n")
    show_pairs(console, [*_addresses(product), ("Log in", _login(product))])
    console.print("\nLook at it (logs you in, once, within ten minutes):")
    console.print(f"  {login_link(product.directory, product.run.gateway_url)}", soft_wrap=True)
    console.print("\nNext:")
    sensus = _typed()
    show_pairs(
        console,
        [
            (f"{sensus} demo", "see it find and explain a real load on this machine"),
            (command_text(sensus, "tail", *option), "follow anomalies and alerts"),
            (
                command_text(sensus, "send", *option, "FILE"),
                "send samples from a file, also of Prometheus",
            ),
            (command_text(sensus, "login", *option), "another link that logs in"),
            (command_text(sensus, "token", *option), "a token for curl and grpcurl"),
        ],
    )
    console.print(
        f"\nThe API is described at {product.run.gateway_url}/docs. Ctrl-C stops everything."
    )


def _addresses(product: Product) -> list[tuple[str, str]]:
    run, ports = product.run, product.ports
    metrics = [
        ports.metrics_ingest,
        ports.metrics_detector,
        ports.metrics_explainer,
        ports.metrics_incidents,
        ports.metrics_notifier,
        ports.metrics_topology,
    ]
    if product.with_agent:
        metrics.append(ports.metrics_agent)
    return [
        ("Gateway", run.gateway_url),
        ("Ingest", f"{run.ingest_target} (gRPC)"),
        ("Detector", f"{run.detector_target} (gRPC)"),
        ("Explainer", f"{run.explainer_target} (gRPC)"),
        ("Incidents", f"{run.incidents_target} (gRPC)"),
        ("Notifier", f"{run.notifier_target} (gRPC)"),
        ("Topology", f"{run.topology_target} (gRPC)"),
        ("OTLP", _otlp(product)),
        ("Metrics", metrics_text(metrics)),
        ("PostgreSQL", run.postgres_dsn or "yours (SENSUS_POSTGRES_DSN)"),
        ("Data, logs", str(product.directory.path)),
    ]


def metrics_text(ports: Sequence[int]) -> str:
    """Where each process shows its own: the first of ports in a row and the last, or all."""
    first, last = ports[0], ports[-1]
    if list(ports) == list(range(first, last + 1)) and first != last:
        return f"http://127.0.0.1:{first}/metrics, and so on to port {last}, one per process"
    return "  ".join(f"http://127.0.0.1:{port}/metrics" for port in ports)


def _typed() -> str:
    """The command as it can be typed here, also where the venv is not active."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "sensus" and not shutil.which("sensus") else "sensus"


def _otlp(product: Product) -> str:
    run, ports = product.run, product.ports
    http = f"http://127.0.0.1:{ports.otlp_http}" if ports.otlp_http else run.gateway_url
    grpc = f"127.0.0.1:{ports.otlp_grpc}" if ports.otlp_grpc else run.ingest_target
    return f"{http} (HTTP)  {grpc} (gRPC)"


def _login(product: Product) -> str:
    if product.admin_password:
        return f"user admin, password {product.admin_password} (shown only this once)"
    return "user admin, with the password that the first start has shown"
