"""What a body of another system says, as rows, and what becomes of its records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.samples import Float64s, Int64s
from services.ingest.model.writes import Ack, Definition, IncomingBatch, Refusal, SampleReason

SHOWN_REFUSALS: Final = 20
NO_RECORD: Final = -1
"""The record of a row that the sender did not send: nobody is told of it."""
_NO_REFS: Final = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Broken:
    """Records that are none, ascending, and why."""

    records: Int64s
    reason: SampleReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBatch:
    """Records of a sender, each of which is one row or several: a histogram is.

    Attributes:
        definitions: Label sets; the rows lie in their order.
        counts: How many rows each has.
        records: The record that each row belongs to.
        places: Where the sender finds each record in its body.
        is_delta: Of each row, whether it counts from the one before of its series.
        broken: Records that are none; they have no rows.
    """

    definitions: Sequence[Definition]
    counts: Int64s
    records: Int64s
    timestamps_ms: Int64s
    values: Float64s
    places: Int64s
    is_delta: NDArray[np.bool_]
    broken: Sequence[Broken] = ()

    def incoming(
        self, sequence: int, rest_sequences: Sequence[int], traceparent: str
    ) -> IncomingBatch:
        """The rows as a batch."""
        is_own = self.records == NO_RECORD
        return IncomingBatch(
            sequence=sequence,
            refs=_NO_REFS,
            definitions=self.definitions,
            counts=self.counts,
            timestamps_ms=self.timestamps_ms,
            values=self.values,
            is_delta=self.is_delta if self.is_delta.any() else None,
            is_own=is_own if is_own.any() else None,
            rest_sequences=rest_sequences,
            traceparent=traceparent,
        )

    def refused(self, ack: Ack) -> Int64s:
        """The records of which a row, or all, was refused, ascending."""
        broken = [each.records for each in self.broken]
        refused = np.unique(np.concatenate([self.records[ack.refused_rows], *broken]))
        sent: Int64s = refused[refused != NO_RECORD]
        return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignAck:
    """What became of a body.

    Attributes:
        refused: Records that were refused, ascending.
        refusals: Of the first of them; the index is the place in the body.
    """

    refused: Int64s
    refusals: Sequence[Refusal] = ()
    duplicate: bool = False
