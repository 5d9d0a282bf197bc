"""`sensus demo`: see it work on this machine, in under two minutes."""

import asyncio
import shutil
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.demo.receivers import HOST as RECEIVERS_HOST
from cli.demo.story import Demo
from cli.problem import Problem
from cli.processes.signals import until_stopped
from cli.product.directory import DataDirectory
from cli.product.ports import ANY_FREE
from cli.product.product import Product
from cli.product.tokens import login_link
from cli.render.screen import StartScreen, make_console, make_news_console

_TIMEOUT_S = 600.0  # two minutes where nothing else runs
_SETTINGS = {
    "SENSUS_DETECTOR_WARMUP_S": "30",  # 45 by default
    "SENSUS_DETECTOR_WARNINGS_PER_WEEK": "0",
    "SENSUS_NOTIFIER_PRIVATE_HOSTS": RECEIVERS_HOST,
    "SENSUS_DETECTOR_ALERTS_PER_WEEK": "0",  # two minutes must show what weeks would
}


def demo(
    with_console: Annotated[
        bool,
        typer.Option("--console", help="Print a link into the console; run on until Ctrl-C."),
    ] = False,
) -> None:
    """Load this machine and see it explained.

    Starts everything in a fresh directory on free ports, needs no one, cleans up after itself.
    Exit status 0 only when the load was detected and the alert explained.
    """
    path = Path(tempfile.mkdtemp(prefix="sensus-demo-"))
    try:
        demo_run = _demo(DataDirectory(path), make_news_console(), with_console=with_console)
        finished = asyncio.run(until_stopped(demo_run))
    except BaseException:
        make_console(error=True).print(f"the logs of this run: {path / 'logs'}")
        raise
    shutil.rmtree(path, ignore_errors=True)
    if not finished:
        raise typer.Exit(130)


async def _demo(directory: DataDirectory, console: Console, *, with_console: bool) -> None:
    began_s = time.monotonic()
    screen = StartScreen(console, directory.logs)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                with screen:
                    product = Product(
                        directory=directory, ports=ANY_FREE, tell=screen.tell, settings=_SETTINGS
                    )
                    await stack.enter_async_context(product)
                if with_console:
                    link = login_link(directory, product.run.gateway_url)
                    console.print("watch it in the console; the link logs in once:")
                    console.print(f"{link}\n", soft_wrap=True, highlight=False)
                await Demo(console=console, product=product).run()
        except TimeoutError:
            raise Problem(f"the demonstration was not done within {_TIMEOUT_S:g} s") from None
        console.print(f"\n[bold green]done[/] in {time.monotonic() - began_s:.0f} s")
        if with_console:
            console.print("the console stays until Ctrl-C")
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        console.print("stopping what was started")
