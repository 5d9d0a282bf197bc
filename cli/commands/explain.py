"""`sensus explain`: why, live."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer
from rich.console import Console

from cli.clients.connection import EXPLAINER, connect
from cli.clients.explaining import explain as frames_of
from cli.clients.explaining import short_of
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.product.directory import DataDirectory
from cli.render.reports import show_explanation, show_short, show_stage
from cli.render.screen import make_console


def explain(
    subject_id: Annotated[str, typer.Argument(metavar="ID", help="Of an alert or an anomaly.")],
    anew: Annotated[
        bool, typer.Option(help="Explain it once more, with what is known by now.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--all", help="Show each step, every suspect and all evidence.")
    ] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Tell why: the cause, what stands beside it, and what to do first."""
    asyncio.run(
        _follow(DataDirectory(data_dir), subject_id, make_console(), anew=anew, whole=whole)
    )


async def _follow(
    directory: DataDirectory, subject_id: str, console: Console, *, anew: bool, whole: bool
) -> None:
    """Prints what is read at night, or all: stages as they end, verified claims, the answer."""
    async with (
        connect(directory, EXPLAINER) as channel,
        aclosing(frames_of(channel, subject_id, anew=anew)) as frames,
    ):
        async for frame in frames:
            match frame.WhichOneof("frame"):
                case "stage" if whole:
                    show_stage(console, frame.stage)
                case "text_delta" if whole and console.is_terminal:
                    console.out(frame.text_delta.text, end="", style="dim", highlight=False)
                case "result" if whole:
                    show_explanation(console, frame.result)
                case "result":
                    show_short(console, await short_of(channel, frame.result), subject_id)
