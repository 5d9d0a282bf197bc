"""What waits for a commit, and what came of it."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int32s, Int64s
from services.ingest.model.series_table import SeriesTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Checked rows of one producer under one sequence. At least one row.

    Attributes:
        slots: The series of each row in `table`.
        rows: Index of each row in the batch as it was sent.
        is_delta: Of each row, whether its value is to be added to those before of its series; None
            when none is.
    """

    producer_id: str
    sequence: int
    table: SeriesTable
    slots: Int32s
    rows: Int64s
    timestamps_ms: Int64s
    values: Float64s
    is_delta: NDArray[np.bool_] | None = None
    traceparent: str = ""

    @property
    def caller(self) -> str:
        """Who sent it."""
        return caller_of(self.producer_id)

    @property
    def identity(self) -> tuple[str, int]:
        """What makes a repeat a repeat."""
        return self.producer_id, self.sequence


def caller_of(producer_id: str) -> str:
    """The subject of a token, with which the name of every producer begins."""
    return producer_id.partition(" ")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the commit did with a batch.

    Attributes:
        accepted: Rows stored, now or by an earlier copy.
        over_limit: Rows, by their index as sent, for whose series there was no room.
        late: Rows, the same way, whose difference could not be added to the total of its series.
    """

    accepted: int
    duplicate: bool = False
    over_limit: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
