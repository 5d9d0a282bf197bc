"""Where batches wait for their ack: what every such place does."""

from dataclasses import dataclass
from typing import Protocol

from sensus_client.batch import Batch


@dataclass(slots=True, kw_only=True)
class Counts:
    """What an outbox holds and has lost.

    Attributes:
        pending_batches: Without an ack.
        pending_samples: In these.
        bytes: On disk; 0 in memory.
        dropped_batches: Thrown away unacknowledged because there was no more room.
        dropped_samples: In these.
        cut_bytes: Damaged, found when a spool was opened, and dropped.
        lost_producers: 1 when a spool with batches had no readable producer_id, and goes on under
            a new one.
        failed_writes: Batches that the disk did not take; they wait in memory instead.
    """

    pending_batches: int = 0
    pending_samples: int = 0
    bytes: int = 0
    dropped_batches: int = 0
    dropped_samples: int = 0
    cut_bytes: int = 0
    lost_producers: int = 0
    failed_writes: int = 0


class Outbox(Protocol):
    """Keeps batches, in order and numbered, until they are settled. One sender takes from it."""

    @property
    def counts(self) -> Counts:
        """What is kept and lost."""

    @property
    def producer_id(self) -> str:
        """Whose sequences these are; empty when the sender has to say."""

    def begin(self, last_sequence: int) -> None:
        """The server knows this producer up to `last_sequence`."""

    async def put(self, batch: Batch) -> None:
        """Returns when the batch is kept; waits for room, or makes some, as the outbox is set."""

    async def after(self, sequence: int) -> tuple[int, Batch]:
        """The oldest unsettled batch above `sequence`; waits until there is one."""

    async def settle(self, sequence: int) -> None:
        """The batch is durable elsewhere; an unknown number is ignored."""

    async def settled(self) -> None:
        """Returns when nothing is pending."""

    async def close(self) -> None:
        """Gives back what it holds; what is on disk stays."""
