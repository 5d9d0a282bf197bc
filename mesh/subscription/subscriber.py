"""What a service that holds shards of a log of ingest is asked."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from mesh.subscription.credit import Amount, Credit
from sensus.ingest.v1 import ingest_service_pb2 as pb

Committed = Callable[[int, Amount], None]
"""Called after each commit with the cursor and with what is out of memory."""


class ShardLost(Exception):  # noqa: N818 - it says what happened
    """Another holder has the shard: nothing may be written for it any more."""


class Delivery(Protocol):
    """Rows of one shard as ingest handed them over."""

    @property
    def shard(self) -> int:
        """Of which shard."""
        ...

    @property
    def epoch(self) -> int:
        """Of which assignment."""
        ...

    @property
    def amount(self) -> Amount:
        """What it takes of the credit."""
        ...


class ShardWorker(Protocol):
    """One held shard."""

    @property
    def cursor(self) -> int:
        """The place in the log up to which all is done."""
        ...

    def offer(self, delivery: Any) -> None:
        """Queues a delivery; the credit of the stream bounds the queue."""
        ...

    def skip_to(self, cursor: int) -> None:
        """Queues a gap in the log."""
        ...

    def beat(self, now_ms: int, lag: int) -> None:
        """Ingest lives: its clock, and the rows it has committed of the shard and nobody acked."""
        ...

    def stop(self) -> None:
        """Ends `run` after a last commit; what still waits is left to the next holder."""
        ...

    async def run(self) -> None:
        """Works until `stop`; ShardLost when another holder has the shard."""
        ...

    def abandon(self) -> Amount:
        """Lets go of what was delivered and is not committed; tells how much that was."""
        ...


class Subscriber(Protocol):
    """The service's side of one stream."""

    @property
    def subscription(self) -> str:
        """Its name at ingest."""
        ...

    @property
    def topic(self) -> "pb.Topic.ValueType":
        """What it reads."""
        ...

    def delivery(self, frame: pb.SubscribeResponse) -> Delivery | None:
        """The rows of a frame; None for one that brings none.

        Raises:
            Unavailable: It makes no sense; a new stream may do better.
        """
        ...

    async def open(
        self, shard: int, epoch: int, holder: str, credit: Credit, committed: Committed, /
    ) -> ShardWorker:
        """Claims a shard and makes it ready to work on.

        Raises:
            ShardLost: A later epoch has it.
        """
        ...

    def acked(self, shard: int, cursor: int) -> None:
        """All of a shard up to `cursor` is committed."""
        ...

    def show(self, held: int, workers: Sequence[Any]) -> None:
        """How many shards are held, and those of them that are worked on."""
        ...

    def show_lag(self, rows: int) -> None:
        """Rows committed and not acked, of all shards that are held."""
        ...

    def show_lost(self) -> None:
        """A shard was lost to another holder."""
        ...

    def show_gap(self, shard: int) -> None:
        """Part of the log was dropped before it was delivered."""
        ...
