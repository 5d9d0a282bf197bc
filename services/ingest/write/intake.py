"""Taking samples in: check the rows, commit the good ones, say what became of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from opentelemetry.trace import SpanKind

from mesh.clock import Clock
from mesh.telemetry import span, traceparent
from services.ingest.config import Limits
from services.ingest.metrics import (
    BATCHES_REPEATED,
    METRICS_RECEIVED,
    PROCESSING_DURATION,
    SAMPLES_REFUSED,
)
from services.ingest.model.batch import Batch, Outcome
from services.ingest.model.samples import Int32s
from services.ingest.model.series_table import SeriesTable
from services.ingest.model.writes import Ack, Incoming, Refusal, SampleReason
from services.ingest.write.committer import Committer
from services.ingest.write.row_check import Checked, check_rows

_NO_ROOM = "the installation holds as many series as it may: use fewer label values"
_SAMPLED_FLAG = 1


@dataclass(frozen=True, slots=True)
class Resolved:
    """A batch whose rows are looked up in a dictionary."""

    incoming: Incoming
    table: SeriesTable
    slots: Int32s


class Intake:
    """The way of a batch from its sender to the log."""

    def __init__(self, committer: Committer, limits: Limits, clock: Clock) -> None:
        """Waits for `committer`; time is that of `clock`."""
        self._committer = committer
        self._clock = clock
        self.limits = limits

    def table(self) -> SeriesTable:
        """An empty dictionary for a new sender."""
        return SeriesTable(self.limits.max_stream_series)

    async def write(self, producer_id: str, table: SeriesTable, incoming: Incoming) -> Ack:
        """Returns when the good rows are durable.

        Raises:
            Unavailable: Nothing is acknowledged; send the batch again.
        """
        return await self.write_resolved(producer_id, self.resolve(table, incoming))

    def resolve(self, table: SeriesTable, incoming: Incoming) -> Resolved:
        """Looks the rows up in the dictionary as it is now; later definitions do not matter.

        The plain form brings its own definitions and leaves the dictionary of a stream alone.

        Raises:
            InvalidInput: TOO_MANY_SERIES.
        """
        if not len(incoming.refs):
            table = self.table()
        slots = table.slots(incoming.refs)
        if incoming.plain:
            own = [table.add(definition) for definition, _ in incoming.plain]
            counts = [rows for _, rows in incoming.plain]
            slots = np.concatenate([slots, np.repeat(np.array(own, np.int32), counts)])
        return Resolved(incoming, table, slots)

    async def write_resolved(self, producer_id: str, resolved: Resolved) -> Ack:
        """Like `write`, of rows that are looked up already."""
        started_s = time.perf_counter()
        incoming, now_ms = resolved.incoming, self._clock.now_ms()
        checked = check_rows(
            resolved.table, resolved.slots, incoming.timestamps_ms, now_ms, self.limits
        )
        outcome = Outcome(accepted=0)
        if len(checked.good):
            outcome = await self._commit(producer_id, resolved, checked)
        ack = self._ack(incoming, checked, outcome)
        PROCESSING_DURATION.labels("samples").observe(time.perf_counter() - started_s)
        return ack

    async def _commit(self, producer_id: str, resolved: Resolved, checked: Checked) -> Outcome:
        good, incoming = checked.good, resolved.incoming
        with span(
            "commit",
            kind=SpanKind.CLIENT,
            parent=incoming.traceparent,
            attributes={"db.system.name": "postgresql", "sensus.samples": len(good)},
        ):
            here = traceparent()
            batch = Batch(
                producer_id=producer_id,
                sequence=incoming.sequence,
                table=resolved.table,
                slots=resolved.slots[good],
                rows=good.astype(np.int64),
                timestamps_ms=incoming.timestamps_ms[good],
                values=incoming.values[good],
                traceparent=here if _is_sampled(here) else "",
            )
            return await self._committer.commit(batch)

    def _ack(self, incoming: Incoming, checked: Checked, outcome: Outcome) -> Ack:
        if outcome.duplicate:
            BATCHES_REPEATED.inc()
            rejected = max(0, len(incoming.values) - outcome.accepted)
            return self._counted(incoming, outcome, rejected, checked.refusals)
        METRICS_RECEIVED.inc(outcome.accepted)
        late = [Refusal(row, SampleReason.SERIES_LIMIT, _NO_ROOM) for row in outcome.over_limit]
        refusals = sorted([*checked.refusals, *late], key=lambda refusal: refusal.index)
        for refusal in refusals:
            SAMPLES_REFUSED.labels(refusal.reason.value).inc()
        return self._counted(incoming, outcome, checked.rejected + len(late), refusals)

    def _counted(
        self, incoming: Incoming, outcome: Outcome, rejected: int, refusals: Sequence[Refusal]
    ) -> Ack:
        return Ack(
            sequence=incoming.sequence,
            accepted=outcome.accepted,
            duplicate=outcome.duplicate,
            rejected=rejected,
            refusals=refusals[: self.limits.max_errors],
        )


def _is_sampled(traceparent: str) -> bool:
    """Whether anybody will ever look at this span; others are not worth their bytes."""
    return bool(traceparent) and bool(int(traceparent[-2:], 16) & _SAMPLED_FLAG)
