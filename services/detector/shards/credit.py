"""How much of the stream is in memory: taken when delivered, given back when committed."""

from dataclasses import dataclass

from services.detector.metrics import CREDIT_USED


@dataclass(slots=True, kw_only=True)
class Amount:
    """Samples and bytes."""

    samples: int = 0
    size_bytes: int = 0

    def add(self, other: "Amount") -> None:
        """Grows by `other`."""
        self.samples += other.samples
        self.size_bytes += other.size_bytes


class Credit:
    """What ingest may still send on one stream, and what of it is not committed yet."""

    def __init__(self, limit: Amount) -> None:
        """`limit` is granted at the open."""
        self.limit = limit
        self.used = Amount()
        CREDIT_USED.set(0)

    @property
    def half_used(self) -> bool:
        """Whether it is time to commit, so that ingest need not wait."""
        return (
            2 * self.used.samples >= self.limit.samples
            or 2 * self.used.size_bytes >= self.limit.size_bytes
        )

    def take(self, amount: Amount) -> None:
        """A delivery came in."""
        self.used.add(amount)
        CREDIT_USED.set(self.used.samples)

    def give_back(self, amount: Amount) -> None:
        """It is out of memory; the caller grants as much to ingest."""
        self.used.samples -= amount.samples
        self.used.size_bytes -= amount.size_bytes
        CREDIT_USED.set(self.used.samples)
