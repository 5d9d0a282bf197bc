"""One file or pipe sent: what was stored, what was refused, and why."""

import asyncio
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.clients.sending import sending_to
from cli.product.directory import DataDirectory
from cli.send.batches import batches
from cli.send.bookmark import Bookmark, BookmarkFile
from cli.send.sample import BadSample, Sample
from cli.send.samples import read_samples
from sensus_client import Ack, MemoryOutbox

BATCH_SAMPLES = 5000
_AHEAD_SAMPLES = 4 * BATCH_SAMPLES
_REFUSALS_SHOWN = 20


@dataclass(slots=True)
class _PendingBatch:
    """A batch on its way: the place after it in the file, and what it holds until its ack."""

    end: int
    samples: Sequence[Sample]
    acked: bool = False


class Sending:
    """Counts what was stored and refused, and shows the first refusals."""

    def __init__(self, console: Console, errors: Console) -> None:
        self.counts: Counter[str] = Counter()
        self._errors = errors
        self._console = console
        self._on_the_way: dict[int, _PendingBatch] = {}
        self._bookmark = Bookmark.fresh()
        self._file: BookmarkFile | None = None
        self._warned = False
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("sending", total=None)
        self._text: TextIO | None = None

    async def run(self, directory: DataDirectory, text: TextIO) -> None:
        """Sends all of `text` and prints what became of it.

        A regular file goes on where an earlier attempt stopped, as the same producer and in the
        same batches, so that nothing counts twice.
        """
        items = self._from_where_it_stopped(directory, text)
        outbox = MemoryOutbox(
            max_samples=_AHEAD_SAMPLES, first_sequence=self._bookmark.sequence + 1
        )
        wait = {"longest_wait_s": math.inf} if self._file else {}
        with self._progress, self._keeping_the_place():
            async with sending_to(
                directory, self._bookmark.producer_id, outbox=outbox, acked=self._acked
            ) as sender:
                done, sequence = self._bookmark.items, self._bookmark.sequence
                async for chunk in batches(items, BATCH_SAMPLES, **wait):
                    done += len(chunk)
                    if batch := self._good(chunk):
                        sequence += 1
                        self._on_the_way[sequence] = _PendingBatch(done, batch)
                        await self._keep_the_place()
                        await sender.send(batch)
        if self._file:
            self._file.forget()
        self._summarise()

    def _from_where_it_stopped(
        self, directory: DataDirectory, text: TextIO
    ) -> Iterator[Sample | BadSample]:
        items = read_samples(text)
        facts = _regular(text)
        if facts is None:
            return items
        self._text = text
        self._progress.update(self._task, total=facts.st_size)
        self._file = BookmarkFile(directory.path / "sends", facts, BATCH_SAMPLES)
        self._bookmark = self._file.read()
        if done := self._bookmark.items:
            self._console.print(f"going on after the {done} samples that an earlier attempt sent")
            return islice(items, done, None)
        return items

    @contextmanager
    def _keeping_the_place(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if self._file and self._kept(self._file.write(self._bookmark)):
                self._errors.print("stopped; the same command goes on from here")
            raise

    async def _keep_the_place(self) -> None:
        """On disk before a batch goes: after a kill the next attempt is the same producer."""
        if self._file and self._file.due():
            self._kept(await asyncio.to_thread(self._file.write, replace(self._bookmark)))

    def _kept(self, problem: str) -> bool:
        if problem and not self._warned:
            self._errors.print(
                f"cannot note how far it is sent ({problem}): if this attempt ends early, the next "
                "one sends all of the file again",
                markup=False,
                soft_wrap=True,
            )
        self._warned = self._warned or bool(problem)
        return not problem

    def _good(self, items: Sequence[Sample | BadSample]) -> list[Sample]:
        for item in items:
            if isinstance(item, BadSample):
                self._refuse(item.place, item.message)
        return [item for item in items if isinstance(item, Sample)]

    def _acked(self, ack: Ack) -> None:
        sent = self._on_the_way[ack.sequence]
        sent.acked = True
        self.counts["stored"] += ack.accepted
        for rejection in ack.rejections:
            self._refuse(sent.samples[rejection.row].place, rejection.message)
        self.counts["refused"] += ack.rejected - len(ack.rejections)
        self._move_on()
        self._show()

    def _move_on(self) -> None:
        """The bookmark follows the acks as far as none is missing."""
        while self._on_the_way:
            sequence, first = next(iter(self._on_the_way.items()))
            if not first.acked:
                break
            del self._on_the_way[sequence]
            self._bookmark.sequence, self._bookmark.items = sequence, first.end

    def _show(self) -> None:
        self._progress.update(self._task, description=f"{self.counts['stored']:,} samples")
        if self._text is not None:
            self._progress.update(self._task, completed=self._text.buffer.tell())

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


def _regular(text: TextIO) -> os.stat_result | None:
    """Facts of a regular file; None of a pipe or anything else that cannot be read twice."""
    try:
        facts = os.fstat(text.fileno())
    except (OSError, ValueError):
        return None
    return facts if stat.S_ISREG(facts.st_mode) else None
