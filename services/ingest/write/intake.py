"""Taking samples in: check the rows, commit the good ones, say what became of each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
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
from services.ingest.model.batch import Batch, Outcome, caller_of
from services.ingest.model.samples import Int32s, Int64s
from services.ingest.model.series_table import SeriesTable
from services.ingest.model.writes import Ack, IncomingBatch, Refusal, SampleReason
from services.ingest.store.stored_rows import StoredRows
from services.ingest.write.committer import Committer
from services.ingest.write.row_check import CheckResult, check_rows
from services.ingest.write.sample_rates import SampleRates
from services.ingest.write.turns import Turns, beside

_NO_ROOM = "the installation, or you in it, has as many series as it may: use fewer label values"
_LATE = (
    "the difference is not newer than the last one of its series, or its total is too large: "
    "send each once, in order, and from one sender"
)
_SAMPLED_FLAG = 1
_REFUSED_S = 0.01
"""Batches of which no row is taken: of each caller at most a hundred a second are looked at."""


@dataclass(frozen=True, slots=True)
class ResolvedBatch:
    """A batch whose rows are looked up in a dictionary."""

    incoming: IncomingBatch
    table: SeriesTable
    slots: Int32s


class Intake:
    """The way of a batch from its sender to the log."""

    def __init__(
        self,
        committer: Committer,
        stored: StoredRows,
        limits: Limits,
        rates: SampleRates,
        clock: Clock,
    ) -> None:
        """Waits for `committer`; time is that of `clock`."""
        self._committer = committer
        self._stored = stored
        self._clock = clock
        self._rates = rates
        self._turns = Turns()
        self.limits = limits

    def latest_ms(self) -> int:
        """Rows that are dated later are refused now."""
        return self._clock.now_ms() + self.limits.future_ms

    def table(self) -> SeriesTable:
        """An empty dictionary for a new sender."""
        return SeriesTable(self.limits.max_stream_series)

    async def write(self, producer_id: str, table: SeriesTable, incoming: IncomingBatch) -> Ack:
        """Returns when the good rows are durable.

        Raises:
            Overloaded: SAMPLE_RATE_EXCEEDED.
            Unavailable: Nothing is acknowledged; send the batch again.
        """
        self._rates.take(caller_of(producer_id), len(incoming.values))
        return await self._write(producer_id, await self.resolve(table, incoming))

    async def resolve(self, table: SeriesTable, incoming: IncomingBatch) -> ResolvedBatch:
        """Looks the rows up in the dictionary as it is now; later definitions do not matter.

        Nobody may define anything before it returns. The plain form brings its own definitions and
        leaves the dictionary of a stream alone.

        Raises:
            InvalidInput: TOO_MANY_SERIES.
        """
        if not len(incoming.refs):
            table = self.table()
        slots = await beside(len(incoming.refs), table.slots, incoming.refs)
        if incoming.definitions:
            own = await beside(len(incoming.definitions), table.add_all, incoming.definitions)
            slots = np.concatenate([slots, np.repeat(own, incoming.counts)])
        return ResolvedBatch(incoming, table, slots)

    async def write_resolved(self, producer_id: str, resolved: ResolvedBatch) -> Ack:
        """Like `write`, of rows that are looked up already; a caller over its rate waits."""
        await self._rates.wait(caller_of(producer_id), len(resolved.slots))
        return await self._write(producer_id, resolved)

    async def _write(self, producer_id: str, resolved: ResolvedBatch) -> Ack:
        started_s = time.perf_counter()
        incoming, now_ms = resolved.incoming, self._clock.now_ms()
        async with self._turns.of(caller_of(producer_id)):
            checked = await beside(
                len(resolved.slots),
                check_rows,
                resolved.table,
                resolved.slots,
                incoming.timestamps_ms,
                now_ms,
                self.limits,
            )
            if not len(checked.good):
                # no commit slows its sender down, who could go on as fast as it can write
                await self._clock.sleep(_REFUSED_S)
        outcome = Outcome(accepted=0)
        if len(checked.good):
            outcome = await self._commit(producer_id, resolved, checked)
        ack = self._ack(incoming, checked, outcome)
        PROCESSING_DURATION.labels("samples").observe(time.perf_counter() - started_s)
        return ack

    async def _commit(
        self, producer_id: str, resolved: ResolvedBatch, checked: CheckResult
    ) -> Outcome:
        good, incoming = checked.good, resolved.incoming
        with span(
            "commit",
            kind=SpanKind.CLIENT,
            parent=incoming.traceparent,
            attributes={"db.system.name": "postgresql", "sensus.samples": len(good)},
        ):
            here = traceparent()
            kept = checked.kept
            batch = Batch(
                producer_id=producer_id,
                sequence=incoming.sequence,
                table=resolved.table,
                slots=kept(resolved.slots),
                rows=good,
                timestamps_ms=kept(incoming.timestamps_ms),
                values=kept(incoming.values),
                is_delta=None if incoming.is_delta is None else kept(incoming.is_delta),
                traceparent=here if _is_sampled(here) else "",
            )
            outcome = await self._committer.commit(batch)
            if outcome.duplicate and incoming.rest_sequences:
                return await self._commit_rest(batch, incoming, outcome)
            return outcome

    async def _commit_rest(
        self, batch: Batch, incoming: IncomingBatch, outcome: Outcome
    ) -> Outcome:
        """Of a batch that came before, writes the rows that were refused then, and no others.

        Differences stay refused: newer ones may have been added meanwhile.
        """
        accepted, stored = outcome.accepted, await self._stored.of(batch)
        waits, late = ~stored, list[int]()
        if incoming.is_own is not None:
            waits &= ~incoming.is_own[batch.rows]
        if batch.is_delta is not None:
            late = batch.rows[waits & batch.is_delta].tolist()
            waits &= ~batch.is_delta
        rest = _part(batch, np.flatnonzero(waits), batch.sequence)
        for sequence in incoming.rest_sequences:
            if not len(rest.rows):
                break
            rest = replace(rest, sequence=sequence)
            again = await self._committer.commit(rest)
            accepted += again.accepted
            if not again.duplicate:
                METRICS_RECEIVED.inc(again.accepted)
                return replace(again, accepted=accepted, duplicate=True, late=late)
            rest = _part(rest, np.flatnonzero(~await self._stored.of(rest)), sequence)
        return Outcome(accepted=accepted, duplicate=True, over_limit=rest.rows.tolist(), late=late)

    def _ack(self, incoming: IncomingBatch, checked: CheckResult, outcome: Outcome) -> Ack:
        most = self.limits.max_errors
        refusals = [
            *checked.refusals,
            *(
                Refusal(row, SampleReason.SERIES_LIMIT, _NO_ROOM)
                for row in outcome.over_limit[:most]
            ),
            *(Refusal(row, SampleReason.INVALID_POINT, _LATE) for row in outcome.late[:most]),
        ]
        rows = checked.bad
        if outcome.over_limit or outcome.late:
            refusals.sort(key=lambda refusal: refusal.index)
            rows = np.sort(
                np.concatenate([rows, outcome.over_limit, outcome.late]).astype(np.int64)
            )
        if outcome.duplicate:
            BATCHES_REPEATED.inc()
            rejected = max(0, len(incoming.values) - outcome.accepted)
            return self._counted(incoming, outcome, rejected, rows, refusals)
        METRICS_RECEIVED.inc(outcome.accepted)
        counts = {
            **checked.reasons,
            SampleReason.SERIES_LIMIT: len(outcome.over_limit),
            SampleReason.INVALID_POINT: len(outcome.late),
        }
        for reason, count in counts.items():
            if count:
                SAMPLES_REFUSED.labels(reason.value).inc(count)
        return self._counted(incoming, outcome, len(rows), rows, refusals)

    def _counted(
        self,
        incoming: IncomingBatch,
        outcome: Outcome,
        rejected: int,
        refused_rows: Int64s,
        refusals: Sequence[Refusal],
    ) -> Ack:
        return Ack(
            sequence=incoming.sequence,
            accepted=outcome.accepted,
            duplicate=outcome.duplicate,
            rejected=rejected,
            refused_rows=refused_rows,
            refusals=refusals[: self.limits.max_errors],
        )


def _part(batch: Batch, places: NDArray[np.intp], sequence: int) -> Batch:
    """Some rows of a batch, as a batch of another number."""
    return replace(
        batch,
        sequence=sequence,
        slots=batch.slots[places],
        rows=batch.rows[places],
        timestamps_ms=batch.timestamps_ms[places],
        values=batch.values[places],
        is_delta=None,
    )


def _is_sampled(traceparent: str) -> bool:
    """Whether anybody will ever look at this span; others are not worth their bytes."""
    return bool(traceparent) and bool(int(traceparent[-2:], 16) & _SAMPLED_FLAG)
