"""Frames of Subscribe as samples of the domain."""

from typing import Final

import numpy as np

from mesh.errors import Unavailable
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.model.samples import Delivery, Labels, Samples

_SAMPLE_BYTES: Final = 24
_SERIES_BYTES: Final = 256


def delivery(frame: ingest_pb.SampleDelivery) -> Delivery:
    """The samples of a delivery; its columns share the memory of the frame.

    Raises:
        Unavailable: The columns are not of equal length; a new stream may do better.
    """
    if not len(frame.series_ids) == len(frame.timestamps_ms) == len(frame.values):
        message = f"columns of shard {frame.shard} at {frame.cursor} differ in length"
        raise Unavailable(message, reason="DELIVERY_INVALID")
    commit_ms = 1000 * frame.commit_time.seconds
    samples = Samples(
        series_ids=np.frombuffer(frame.series_ids, dtype="<i8"),
        timestamps_ms=np.frombuffer(frame.timestamps_ms, dtype="<i8"),
        values=np.frombuffer(frame.values, dtype="<f8"),
        arrived_ms=np.full(len(frame.series_ids) // 8, commit_ms, dtype=np.int64),
    )
    return Delivery(
        shard=frame.shard,
        epoch=frame.epoch,
        cursor=frame.cursor,
        commit_ms=commit_ms,
        samples=samples,
        size_bytes=cost_bytes(len(samples), len(frame.new_series)),
        traceparents=tuple(frame.traceparents),
    )


def cost_bytes(samples: int, new_series: int) -> int:
    """What a delivery costs of the credit: both ends count the same, whatever the encoding."""
    return _SAMPLE_BYTES * samples + _SERIES_BYTES * new_series


def labels(series: series_pb2.Series) -> Labels:
    """The label set of a series."""
    return {label.name: label.value for label in series.labels}
