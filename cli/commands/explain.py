"""`sensus explain`: why, live."""

import asyncio
from contextlib import aclosing
from typing import Annotated

import typer
from rich.console import Console

from cli.clients.connection import EXPLAINER, connect
from cli.clients.explaining import explain as frames_of
from cli.directory import DataDirectory
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.reports import show_explanation, show_stage
from cli.screen import make_output


def explain(
    subject_id: Annotated[str, typer.Argument(metavar="ID", help="Of an alert or an anomaly.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Tell why: suspects, evidence and text."""
    asyncio.run(follow_explanation(DataDirectory(data_dir), subject_id, make_output()))


async def follow_explanation(directory: DataDirectory, subject_id: str, console: Console) -> None:
    """Prints each stage as it ends, the model's words as they come, then the checked answer."""
    async with (
        connect(directory, EXPLAINER) as channel,
        aclosing(frames_of(channel, subject_id)) as frames,
    ):
        async for frame in frames:
            match frame.WhichOneof("frame"):
                case "stage":
                    show_stage(console, frame.stage)
                case "text_delta" if console.is_terminal:
                    console.out(frame.text_delta.text, end="", style="dim", highlight=False)
                case "result":
                    show_explanation(console, frame.result)
