"""`sensus send`: samples from a file or a pipe into the product."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer

from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.processes.signals import until_stopped
from cli.product.directory import DataDirectory
from cli.render.screen import make_console
from cli.send.sending import Sending


def send(
    file: Annotated[str, typer.Argument(help="- reads a pipe.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send samples from a file or a pipe.

    JSON (array or lines) and CSV with metric_name, metric_value, labels and, if it is not of now,
    timestamp; Prometheus text and OpenMetrics; answers of Prometheus' API (query_range).
    A file that was not sent to its end goes on where it stopped.
    Exit status 1 when any sample was refused; the others are stored all the same.
    """
    with _opened(file) as text:
        sending = Sending(make_console(), make_console(error=True))
        finished = asyncio.run(until_stopped(sending.run(DataDirectory(data_dir), text)))
    if not finished:
        raise typer.Exit(130)
    if sending.counts["refused"]:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdin
        return
    try:
        with open(file, encoding="utf-8", newline="") as text:
            yield text
    except OSError as error:
        raise Problem(f"cannot read {file}: {error}") from None
