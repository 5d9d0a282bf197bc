"""Frames that a holder of shards sends."""

from typing import Final

from google.protobuf.duration_pb2 import Duration

from mesh.subscription.credit import Amount
from mesh.subscription.subscriber import Subscriber
from sensus.ingest.v1 import ingest_service_pb2 as pb

HEARTBEAT_S: Final = 5


def opening(subscriber: Subscriber, consumer_id: str, limit: Amount) -> pb.SubscribeRequest:
    """The first frame: everything, sharded, with the whole credit."""
    return pb.SubscribeRequest(
        open=pb.SubscribeOpen(
            subscription=subscriber.subscription,
            consumer_id=consumer_id,
            topic=subscriber.topic,
            mode=pb.SUBSCRIPTION_MODE_SHARDED,
            initial_credit=_credit(limit),
            heartbeat_interval=Duration(seconds=HEARTBEAT_S),
        )
    )


def start(shard: int, epoch: int, after_cursor: int) -> pb.SubscribeRequest:
    """Answers an assignment: deliver what follows `after_cursor`."""
    return pb.SubscribeRequest(
        shard_start=pb.ShardStart(shard=shard, epoch=epoch, after_cursor=after_cursor)
    )


def release(shard: int, epoch: int) -> pb.SubscribeRequest:
    """Gives a shard back."""
    return pb.SubscribeRequest(shard_release=pb.ShardRelease(shard=shard, epoch=epoch))


def ack(shard: int, cursor: int) -> pb.SubscribeRequest:
    """Everything of the shard up to `cursor` is committed."""
    place = pb.ShardCursor(shard=shard, cursor=cursor)
    return pb.SubscribeRequest(ack=pb.SubscribeAck(up_to=place))


def credit(amount: Amount) -> pb.SubscribeRequest:
    """Allows as much in addition."""
    return pb.SubscribeRequest(credit=_credit(amount))


def _credit(amount: Amount) -> pb.SubscribeCredit:
    return pb.SubscribeCredit(samples=amount.rows, bytes=amount.size_bytes)
