"""An outbox in memory: bounded, lost with its process."""

import asyncio
from typing import Literal

from sensus_client.batch import Batch
from sensus_client.outbox import Counts

MAX_SAMPLES = 100_000


class MemoryOutbox:
    """Holds at most `max_samples`, or one batch if that alone is larger."""

    producer_id = ""

    def __init__(
        self,
        *,
        max_samples: int = MAX_SAMPLES,
        when_full: Literal["wait", "drop_oldest"] = "wait",
        first_sequence: int | None = None,
    ) -> None:
        """Full, it lets `put` wait, or drops the oldest batch and counts it.

        Args:
            max_samples: Bound of what is pending.
            when_full: What happens then.
            first_sequence: The number of the first batch, for who sends the same batches again
                after a restart; None goes on above what the server knows of the producer.
        """
        self.counts = Counts()
        self._max_samples = max_samples
        self._waits = when_full == "wait"
        self._batch_by_sequence: dict[int, Batch] = {}  # rising: entries go in at the end only
        self._unnumbered: list[Batch] = []
        self._next = first_sequence or 0  # 0: not known yet
        self._changed = asyncio.Condition()

    def begin(self, last_sequence: int) -> None:
        """Numbers go on above what the server knows, unless the first one was given."""
        self._next = self._next or last_sequence + 1
        for batch in self._unnumbered:
            self._number(batch)
        self._unnumbered.clear()

    async def put(self, batch: Batch) -> None:
        """Keeps the batch, after waiting or making room."""
        async with self._changed:
            if self._waits:
                await self._changed.wait_for(lambda: self._has_room(batch))
            while not self._has_room(batch):
                self._drop_oldest()
            if self._next:
                self._number(batch)
            else:
                self._unnumbered.append(batch)
            self._count(1, batch)
            self._changed.notify_all()

    async def after(self, sequence: int) -> tuple[int, Batch]:
        """The oldest batch above `sequence`."""
        async with self._changed:
            while True:
                # those up to `sequence` are in flight, and few
                for number, batch in self._batch_by_sequence.items():
                    if number > sequence:
                        return number, batch
                await self._changed.wait()

    async def settle(self, sequence: int) -> None:
        """Forgets the batch."""
        async with self._changed:
            if batch := self._batch_by_sequence.pop(sequence, None):
                self._count(-1, batch)
                self._changed.notify_all()

    async def settled(self) -> None:
        """Waits until nothing is pending."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self.counts.pending_batches)

    async def close(self) -> None:
        """There is nothing to give back."""

    def _has_room(self, batch: Batch) -> bool:
        pending = self.counts.pending_samples
        return not pending or pending + len(batch) <= self._max_samples

    def _number(self, batch: Batch) -> None:
        self._batch_by_sequence[self._next] = batch
        self._next += 1

    def _drop_oldest(self) -> None:
        if self._batch_by_sequence:
            batch = self._batch_by_sequence.pop(next(iter(self._batch_by_sequence)))
        else:
            batch = self._unnumbered.pop(0)
        self._count(-1, batch)
        self.counts.dropped_batches += 1
        self.counts.dropped_samples += len(batch)

    def _count(self, sign: int, batch: Batch) -> None:
        self.counts.pending_batches += sign
        self.counts.pending_samples += sign * len(batch)
