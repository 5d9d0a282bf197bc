"""`sensus send`: samples from a file or a pipe into the product."""

import asyncio
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.batches import batches
from cli.clients.connection import INGEST, connect
from cli.clients.sending import MAX_BATCH_SAMPLES, open_sender
from cli.directory import DataDirectory
from cli.options import DEFAULT_DATA_DIR, DataDir
from cli.problem import Problem
from cli.samples import BadSample, Sample, read_samples
from cli.screen import make_console
from sensus.ingest.v1 import ingest_service_pb2 as pb

_REFUSALS_SHOWN = 20


def send(
    file: Annotated[str, typer.Argument(help="JSON array, JSON lines or CSV; - reads a pipe.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send samples from a file or a pipe.

    Each has metric_name, metric_value, labels and, if it is not of now, timestamp.
    Exit status 1 when any sample was refused; the others are stored all the same.
    """
    with _opened(file) as text:
        sending = Sending(make_console(), make_console(error=True))
        asyncio.run(sending.run(DataDirectory(data_dir), text))
    if sending.counts["refused"]:
        raise typer.Exit(1)


class Sending:
    """One run of the command: what was stored, what was refused, and why."""

    def __init__(self, console: Console, errors: Console) -> None:
        self.counts: Counter[str] = Counter()
        self._errors = errors
        self._console = console
        self._progress = Progress(
            TextColumn("{task.completed:,.0f} samples"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("sending", total=None)

    async def run(self, directory: DataDirectory, text: TextIO) -> None:
        """Sends all of `text` and prints what became of it."""
        producer_id = f"cli/{uuid.uuid4().hex}"
        with self._progress:
            async with (
                connect(directory, INGEST) as channel,
                open_sender(channel, producer_id, self._acked) as sender,
            ):
                async for items in batches(read_samples(text), MAX_BATCH_SAMPLES):
                    if batch := self._good(items):
                        await sender.send(batch)
        self._summarise()

    def _good(self, items: Sequence[Sample | BadSample]) -> list[Sample]:
        for item in items:
            if isinstance(item, BadSample):
                self._refuse(item.place, item.message)
        return [item for item in items if isinstance(item, Sample)]

    def _acked(self, batch: Sequence[Sample], ack: pb.WriteAck) -> None:
        self.counts["stored"] += ack.accepted
        self._progress.advance(self._task, len(batch))
        for error in ack.errors:
            self._refuse(batch[error.index].place, error.message)
        self.counts["refused"] += ack.rejected - len(ack.errors)

    def _refuse(self, place: str, message: str) -> None:
        self.counts["refused"] += 1
        if self.counts["refused"] <= _REFUSALS_SHOWN:
            self._errors.print(f"{place}: {message}", markup=False, soft_wrap=True)

    def _summarise(self) -> None:
        stored, refused = self.counts["stored"], self.counts["refused"]
        unseen = refused - _REFUSALS_SHOWN
        if unseen > 0:
            self._errors.print(f"and {unseen} more")
        self._console.print(f"{stored} samples stored, {refused} refused")


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
