"""What waits for a commit, and what came of it."""

from dataclasses import dataclass, field

from services.ingest.model.samples import Float64s, Int32s, Int64s
from services.ingest.model.series_table import SeriesTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Checked rows of one producer under one sequence. At least one row.

    Attributes:
        slots: The series of each row in `table`.
        rows: Index of each row in the batch as it was sent.
    """

    producer_id: str
    sequence: int
    table: SeriesTable
    slots: Int32s
    rows: Int64s
    timestamps_ms: Int64s
    values: Float64s
    traceparent: str = ""

    @property
    def identity(self) -> tuple[str, int]:
        """What makes a repeat a repeat."""
        return self.producer_id, self.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the commit did with a batch.

    Attributes:
        accepted: Rows stored, now or by an earlier copy.
        over_limit: Rows, by their index as sent, for whose series there was no room.
    """

    accepted: int
    duplicate: bool = False
    over_limit: list[int] = field(default_factory=list)
