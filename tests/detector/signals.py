"""Made input: steady noise with spikes, the same on every run, and a forest trained on it."""

import functools

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.detectors.engine import Engine, Forest, Settings, train
from services.detector.model.samples import Labels, Samples

SETTINGS = Settings(warm_up=20)
START_MS = 1_780_000_000_000
SERIES = 3
TICKS = 240
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def labels_of(series_id: int) -> Labels:
    """The labels of a made series."""
    return {"__name__": "made", "number": str(series_id)}


def samples(first_id: int = 1, *, seed: int = 0, ticks: int = TICKS) -> Samples:
    """`SERIES` series side by side, one sample a second each, the first with a spike or two."""
    noise = np.random.default_rng(seed).normal(10.0, 1.0, size=(ticks, SERIES))
    noise[ticks // 2, 0] += 60.0
    noise[ticks - 20, 0] -= 90.0
    return Samples(
        series_ids=np.tile(np.arange(first_id, first_id + SERIES, dtype=np.int64), ticks),
        timestamps_ms=START_MS + np.repeat(np.arange(ticks, dtype=np.int64) * 1000, SERIES),
        values=noise.reshape(-1),
    )


def part(whole: Samples, start: int, stop: int) -> Samples:
    """The samples from `start` to before `stop`."""
    return Samples(
        series_ids=whole.series_ids[start:stop],
        timestamps_ms=whole.timestamps_ms[start:stop],
        values=whole.values[start:stop],
        arrived_ms=None if whole.arrived_ms is None else whole.arrived_ms[start:stop],
    )


@functools.cache
def forest() -> Forest:
    """A forest trained on another run of the same noise."""
    engine = Engine(forest=None, settings=SETTINGS)
    engine.add_series(SERIES)
    seen = samples(0, seed=7, ticks=600)
    engine.process(seen.series_ids.astype(np.int32), seen.timestamps_ms, seen.values)
    return train(engine.take_training_rows(), seed=1, trees=25, sample=64)


def delivery(
    shard: int, cursor: int, chunk: Samples, traceparent: str = TRACEPARENT
) -> ingest_pb.SampleDelivery:
    """The samples as ingest would deliver them; series and epoch are left to the stream."""
    commit_time = Timestamp()
    commit_time.FromMilliseconds(int(chunk.arrivals_ms().max(initial=START_MS)))
    return ingest_pb.SampleDelivery(
        shard=shard,
        commit_time=commit_time,
        cursor=cursor,
        series_ids=chunk.series_ids.astype("<i8").tobytes(),
        timestamps_ms=chunk.timestamps_ms.astype("<i8").tobytes(),
        values=chunk.values.astype("<f8").tobytes(),
        traceparents=[traceparent],
    )


def deliveries(
    shard: int, whole: Samples, size: int, *, first_cursor: int = 1
) -> list[ingest_pb.SampleDelivery]:
    """The samples cut into deliveries of `size` rows, with holes between their cursors."""
    starts = range(0, len(whole), size)
    return [
        delivery(shard, first_cursor + 2 * n, part(whole, start, start + size))
        for n, start in enumerate(starts)
    ]


def series_message(series_id: int, shard: int) -> series_pb2.Series:
    """A made series as ingest names it."""
    labels = [series_pb2.Label(name=n, value=v) for n, v in sorted(labels_of(series_id).items())]
    return series_pb2.Series(series_id=series_id, labels=labels, shard=shard)
