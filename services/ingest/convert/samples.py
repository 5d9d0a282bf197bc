"""Batches of samples: three forms in, acks out."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

import numpy as np

from mesh.auth import Principal, current_principal
from mesh.errors import InvalidInput
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.config import Limits
from services.ingest.convert.common import duration, named, pairs
from services.ingest.model.labels import LabelsRefused, series_key
from services.ingest.model.samples import Float64s, Int64s, UInt32s
from services.ingest.model.series_table import SeriesTable
from services.ingest.model.writes import (
    Ack,
    BatchRefused,
    Definition,
    IncomingBatch,
    Refusal,
    SampleReason,
)
from services.ingest.write.frames import (
    Definitions,
    Draining,
    SentBatch,
    StreamOpened,
    WriteAnswer,
    WriteFrame,
    WriteOpen,
)

_WIDTHS: Final = (4, 8, 8)
_REASONS: Final = {
    reason: pb.SampleErrorReason.Value(f"SAMPLE_ERROR_REASON_{reason.value}")
    for reason in SampleReason
}


def producer_id(value: str, caller: Principal) -> str:
    """Who counts the sequences: a valid producer_id, of this caller alone.

    Nobody can use up the sequences of a producer by taking its name.

    Raises:
        InvalidInput: INVALID_PRODUCER_ID.
    """
    return f"{caller.subject} {named('producer_id', value, 'INVALID_PRODUCER_ID')}"


def define(table: SeriesTable, definitions: Iterable[pb.SeriesDefinition]) -> None:
    """Puts definitions into the sender's dictionary.

    Raises:
        InvalidInput: TOO_MANY_SERIES.
    """
    for definition in definitions:
        table.define(definition.ref, _definition(definition.labels))


def incoming(batch: pb.SampleBatch, limits: Limits) -> IncomingBatch:
    """A batch with its columns as arrays.

    Raises:
        BatchRefused: COLUMNS_UNEQUAL, BATCH_TOO_LARGE, INVALID_SEQUENCE or BATCH_EMPTY.
    """
    rows = _row_count(batch)
    if rows > limits.max_batch_samples:
        rule = f"{rows} rows: send at most {limits.max_batch_samples} in one batch"
        raise BatchRefused(SampleReason.BATCH_TOO_LARGE, rule, rows=rows)
    if batch.sequence == 0:
        rule = "sequence: must be positive"
        raise BatchRefused(SampleReason.INVALID_SEQUENCE, rule, rows=rows)
    if rows == 0:
        raise BatchRefused(SampleReason.BATCH_EMPTY, "the batch has no samples: send some")
    refs, times, values = _columns(batch.columns)
    if batch.packed.series_refs or batch.series:
        packed, plain = _packed(batch.packed), _plain(batch)
        refs = np.concatenate([refs, packed[0]])
        times = np.concatenate([times, packed[1], plain[0]])
        values = np.concatenate([values, packed[2], plain[1]])
    return IncomingBatch(
        sequence=batch.sequence,
        refs=refs,
        definitions=[_definition(each.labels) for each in batch.series],
        counts=np.array([len(each.samples) for each in batch.series], np.int64),
        timestamps_ms=times,
        values=values,
        traceparent=batch.traceparent,
    )


def ack(known: Ack) -> pb.WriteAck:
    """An ack for the wire."""
    return pb.WriteAck(
        sequence=known.sequence,
        accepted=known.accepted,
        duplicate=known.duplicate,
        rejected=known.rejected,
        errors=[error(refusal) for refusal in known.refusals],
    )


class Frames(AsyncIterator[WriteFrame]):
    """The frames of a stream, none of which is kept."""

    def __init__(self, requests: AsyncIterator[pb.WriteSamplesRequest], limits: Limits) -> None:
        """Reads `requests` as it is asked for frames."""
        self._requests = requests
        self._limits = limits

    async def __anext__(self) -> WriteFrame:
        """The next frame.

        Raises:
            InvalidInput: INVALID_PRODUCER_ID or MESSAGE_EMPTY.
        """
        return _frame(await anext(self._requests), self._limits)


def answer(known: WriteAnswer, limits: Limits) -> pb.WriteSamplesResponse:
    """A frame for the wire."""
    match known:
        case Ack():
            return pb.WriteSamplesResponse(ack=ack(known))
        case StreamOpened(last_sequence):
            return pb.WriteSamplesResponse(opened=_opened(last_sequence, limits))
        case Draining(grace_s):
            return pb.WriteSamplesResponse(draining=pb.Draining(grace=duration(grace_s)))


def _frame(request: pb.WriteSamplesRequest, limits: Limits) -> WriteFrame:
    match request.WhichOneof("frame"):
        case "batch":
            return SentBatch(request.batch.sequence, _usable(request.batch, limits))
        case "series":
            defined = request.series.series
            return Definitions([(each.ref, _definition(each.labels)) for each in defined])
        case "open":
            return WriteOpen(producer_id(request.open.producer_id, current_principal()))
        case _:
            raise InvalidInput("the frame is empty: set one of its fields", reason="MESSAGE_EMPTY")


def _usable(batch: pb.SampleBatch, limits: Limits) -> IncomingBatch | BatchRefused:
    try:
        return incoming(batch, limits)
    except BatchRefused as refusal:
        return refusal


def _opened(last_sequence: int, limits: Limits) -> pb.WriteOpened:
    return pb.WriteOpened(
        initial_credit=limits.initial_credit,
        max_batch_samples=limits.max_batch_samples,
        max_message_bytes=limits.max_message_bytes,
        max_series=limits.max_stream_series,
        last_sequence=last_sequence,
    )


def _definition(labels: Iterable[object]) -> Definition:
    try:
        return series_key(pairs(labels))  # type: ignore[arg-type]
    except LabelsRefused as refusal:
        return refusal


def _row_count(batch: pb.SampleBatch) -> int:
    columns, packed = batch.columns, batch.packed
    sizes = (len(columns.series_refs), len(columns.timestamps_ms), len(columns.values))
    lengths = (len(packed.series_refs), len(packed.timestamps_ms), len(packed.values))
    whole = all(size % width == 0 for size, width in zip(sizes, _WIDTHS, strict=True))
    raw = {size // width for size, width in zip(sizes, _WIDTHS, strict=True)}
    plain = sum(len(each.samples) for each in batch.series)
    if not whole or len(raw) > 1 or len(set(lengths)) > 1:
        rule = f"columns of {sizes} bytes, packed columns of {lengths} rows: make them equal"
        raise BatchRefused(SampleReason.COLUMNS_UNEQUAL, rule, rows=max(raw) + max(lengths) + plain)
    return max(raw) + max(lengths) + plain


def _columns(columns: pb.SampleColumns) -> tuple[UInt32s, Int64s, Float64s]:
    return (
        np.frombuffer(columns.series_refs, "<u4"),
        np.frombuffer(columns.timestamps_ms, "<i8"),
        np.frombuffer(columns.values, "<f8"),
    )


def _packed(packed: pb.PackedSamples) -> tuple[UInt32s, Int64s, Float64s]:
    return (
        np.array(packed.series_refs, np.uint32),
        np.array(packed.timestamps_ms, np.int64),
        np.array(packed.values, np.float64),
    )


def _plain(batch: pb.SampleBatch) -> tuple[Int64s, Float64s]:
    samples = [sample for each in batch.series for sample in each.samples]
    times = np.fromiter((sample.timestamp_ms for sample in samples), np.int64, len(samples))
    values = np.fromiter((sample.value for sample in samples), np.float64, len(samples))
    return times, values


def error(refusal: Refusal) -> pb.SampleError:
    """A refusal for the wire."""
    return pb.SampleError(
        index=refusal.index,
        reason=_REASONS[refusal.reason],
        message=refusal.message,
        retryable=refusal.reason.retryable,
    )
