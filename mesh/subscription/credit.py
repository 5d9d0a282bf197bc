"""How much of the stream is in memory: taken when delivered, given back when committed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Amount:
    """Rows, samples or events, and bytes."""

    rows: int = 0
    size_bytes: int = 0

    def add(self, other: "Amount") -> None:
        """Grows by `other`."""
        self.rows += other.rows
        self.size_bytes += other.size_bytes


class Credit:
    """What ingest may still send on one stream, and what of it is not committed yet."""

    def __init__(self, limit: Amount, show: Callable[[float], None]) -> None:
        """`limit` is granted at the open; `show` gets the rows in use."""
        self.limit = limit
        self.used = Amount()
        self._show = show
        show(0)

    @property
    def half_used(self) -> bool:
        """Whether it is time to commit, so that ingest need not wait."""
        return (
            2 * self.used.rows >= self.limit.rows
            or 2 * self.used.size_bytes >= self.limit.size_bytes
        )

    def take(self, amount: Amount) -> None:
        """A delivery came in."""
        self.used.add(amount)
        self._show(self.used.rows)

    def give_back(self, amount: Amount) -> None:
        """It is out of memory; the caller grants as much to ingest."""
        self.used.rows -= amount.rows
        self.used.size_bytes -= amount.size_bytes
        self._show(self.used.rows)
