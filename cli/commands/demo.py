"""`sensus demo`: see it work on this machine, in under two minutes."""

import asyncio
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import typer
from rich.console import Console

from cli.demo.receivers import HOST as RECEIVERS_HOST
from cli.demo.story import Demo
from cli.problem import Problem
from cli.processes.signals import until_stopped
from cli.product.directory import DataDirectory
from cli.product.ports import ANY_FREE
from cli.product.product import Product
from cli.render.screen import StartScreen, make_console

_TIMEOUT_S = 600.0  # two minutes where nothing else runs
_SETTINGS = {
    "SENSUS_DETECTOR_WARMUP_S": "30",  # 45 by default
    "SENSUS_DETECTOR_WARNINGS_PER_WEEK": "0",
    "SENSUS_NOTIFIER_PRIVATE_HOSTS": RECEIVERS_HOST,
    "SENSUS_DETECTOR_ALERTS_PER_WEEK": "0",  # two minutes must show what weeks would
}


def demo() -> None:
    """Load this machine and see it explained.

    Starts everything in a fresh directory on free ports, needs no one, cleans up after itself.
    Exit status 0 only when the load was detected and the alert explained.
    """
    path = Path(tempfile.mkdtemp(prefix="sensus-demo-"))
    try:
        finished = asyncio.run(until_stopped(_demo(DataDirectory(path), make_console())))
    except BaseException:
        make_console(error=True).print(f"the logs of this run: {path / 'logs'}")
        raise
    shutil.rmtree(path, ignore_errors=True)
    if not finished:
        raise typer.Exit(130)


async def _demo(directory: DataDirectory, console: Console) -> None:
    began_s = time.monotonic()
    screen = StartScreen(console, directory.logs)
    try:
        async with asyncio.timeout(_TIMEOUT_S), AsyncExitStack() as stack:
            with screen:
                product = Product(
                    directory=directory, ports=ANY_FREE, tell=screen.tell, settings=_SETTINGS
                )
                await stack.enter_async_context(product)
            await Demo(console=console, product=product).run()
            took_s = time.monotonic() - began_s
            console.print(f"\n[bold green]done[/] in {took_s:.0f} s; stopping what was started")
    except TimeoutError:
        raise Problem(f"the demonstration was not done within {_TIMEOUT_S:g} s") from None
