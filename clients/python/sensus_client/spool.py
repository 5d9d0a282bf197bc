"""An outbox on disk: what is put there outlives its process, however that ends."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from sensus_client.batch import Batch
from sensus_client.files import SpoolFiles
from sensus_client.outbox import Counts

T = TypeVar("T")

LIMIT_BYTES: Final = 256 * 1024 * 1024

_HELD_SAMPLES: Final = 100_000


class Spool:
    """Batches on disk, in order, under one producer_id for as long as the directory lives.

    Full, it drops the oldest thirty-second of itself and counts it. What the disk does not take is
    held in memory, at most 100,000 samples, and sent all the same: a full disk is no reason to be
    silent about it. One thread does all that touches the disk.
    """

    def __init__(self, files: SpoolFiles, thread: ThreadPoolExecutor) -> None:
        """Use `Spool.open`."""
        self._files = files
        self._thread = thread
        self._held: dict[int, Batch] = {}
        self._changes = 0
        self._changed = asyncio.Condition()

    @classmethod
    async def open(
        cls,
        directory: Path | str,
        *,
        name: str = "spool",
        limit_bytes: int = LIMIT_BYTES,
        sync: bool = True,
    ) -> "Spool":
        """Opens the spool of an earlier process, or a new one.

        Args:
            directory: Of this process alone; made when missing.
            name: The beginning of a new producer_id.
            limit_bytes: Bound of the files.
            sync: `put` waits for the disk, so that a batch outlives a power cut too; without it,
                it outlives the process.

        Raises:
            SpoolError: The directory cannot be used, or another process uses it.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        opening = partial(
            SpoolFiles, Path(directory), name=name, limit_bytes=limit_bytes, sync=sync
        )
        try:
            files = await asyncio.get_running_loop().run_in_executor(thread, opening)
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(files, thread)

    @property
    def producer_id(self) -> str:
        """Made with the directory."""
        return self._files.producer_id

    @property
    def counts(self) -> Counts:
        """What is kept and lost."""
        return self._files.counts

    def limit(self, limit_bytes: int) -> None:
        """Another bound of the files, which holds from the next batch on."""
        self._files.limit(limit_bytes)

    def begin(self, last_sequence: int) -> None:
        """Numbers are given when a batch is put: they do not depend on the server."""

    async def put(self, batch: Batch) -> None:
        """Returns when the batch is on disk, or in memory where the disk does not take it."""
        try:
            await self._do(self._put, batch)
        finally:  # also cancelled: the thread finishes what it has begun
            await self._note()

    async def after(self, sequence: int) -> tuple[int, Batch]:
        """The oldest batch above `sequence`."""
        while True:
            seen = self._changes
            if found := await self._do(self._after, sequence):
                return found
            async with self._changed:
                await self._changed.wait_for(lambda seen=seen: self._changes != seen)  # type: ignore[misc]

    async def settle(self, sequence: int) -> None:
        """Forgets the batch; its file goes when all in it is settled."""
        await self._do(self._settle, sequence)
        await self._note()

    async def settled(self) -> None:
        """Waits until nothing is pending."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.counts.pending_batches)

    async def close(self) -> None:
        """Lets another process use the directory; what is pending stays in it."""
        await self._do(self._files.close)
        self._thread.shutdown()

    def _put(self, batch: Batch) -> None:
        sequence = self._files.number()
        try:
            self._files.append(sequence, batch)
        except OSError:
            self.counts.failed_writes += 1
            self._hold(sequence, batch)

    def _hold(self, sequence: int, batch: Batch) -> None:
        self._held[sequence] = batch
        self._count(1, batch)
        while len(self._held) > 1 and sum(map(len, self._held.values())) > _HELD_SAMPLES:
            dropped = self._held.pop(next(iter(self._held)))
            self._count(-1, dropped)
            self.counts.dropped_batches += 1
            self.counts.dropped_samples += len(dropped)

    def _after(self, sequence: int) -> tuple[int, Batch] | None:
        on_disk = self._files.after(sequence)
        held = next((number for number in self._held if number > sequence), None)
        if held is None or (on_disk and on_disk[0] < held):
            return on_disk
        return held, self._held[held]

    def _settle(self, sequence: int) -> None:
        if batch := self._held.pop(sequence, None):
            self._count(-1, batch)
        else:
            self._files.settle(sequence)

    def _count(self, sign: int, batch: Batch) -> None:
        self.counts.pending_batches += sign
        self.counts.pending_samples += sign * len(batch)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)

    async def _note(self) -> None:
        async with self._changed:
            self._changes += 1
            self._changed.notify_all()
