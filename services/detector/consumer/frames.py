"""Frames of Subscribe, to and from the domain."""

from typing import Final

import numpy as np
from google.protobuf.duration_pb2 import Duration

from mesh.errors import Unavailable
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.detector.model.samples import Delivery, Labels, Samples
from services.detector.shards.credit import Amount

SUBSCRIPTION: Final = "detector"
HEARTBEAT_S: Final = 5

_SAMPLE_BYTES: Final = 24
_SERIES_BYTES: Final = 256


def opening(consumer_id: str, limit: Amount) -> ingest_pb.SubscribeRequest:
    """The first frame: all samples, sharded, with the whole credit."""
    return ingest_pb.SubscribeRequest(
        open=ingest_pb.SubscribeOpen(
            subscription=SUBSCRIPTION,
            consumer_id=consumer_id,
            topic=ingest_pb.TOPIC_SAMPLES,
            mode=ingest_pb.SUBSCRIPTION_MODE_SHARDED,
            initial_credit=_credit(limit),
            heartbeat_interval=Duration(seconds=HEARTBEAT_S),
        )
    )


def start(shard: int, epoch: int, after_cursor: int) -> ingest_pb.SubscribeRequest:
    """Answers an assignment: deliver what follows `after_cursor`."""
    return ingest_pb.SubscribeRequest(
        shard_start=ingest_pb.ShardStart(shard=shard, epoch=epoch, after_cursor=after_cursor)
    )


def release(shard: int, epoch: int) -> ingest_pb.SubscribeRequest:
    """Gives a shard back."""
    return ingest_pb.SubscribeRequest(
        shard_release=ingest_pb.ShardRelease(shard=shard, epoch=epoch)
    )


def ack(shard: int, cursor: int) -> ingest_pb.SubscribeRequest:
    """Everything of the shard up to `cursor` is committed."""
    place = ingest_pb.ShardCursor(shard=shard, cursor=cursor)
    return ingest_pb.SubscribeRequest(ack=ingest_pb.SubscribeAck(up_to=place))


def credit(amount: Amount) -> ingest_pb.SubscribeRequest:
    """Allows as much in addition."""
    return ingest_pb.SubscribeRequest(credit=_credit(amount))


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


def _credit(amount: Amount) -> ingest_pb.SubscribeCredit:
    return ingest_pb.SubscribeCredit(samples=amount.samples, bytes=amount.size_bytes)
