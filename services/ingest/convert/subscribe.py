"""Frames of a subscription."""

import re
from collections.abc import AsyncIterator
from typing import Final

from google.protobuf.duration_pb2 import Duration

from mesh.errors import InvalidInput
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.alerts import alert
from services.ingest.convert.common import (
    duration,
    invalid,
    is_time,
    named,
    selector,
    series,
    time_ms,
    timestamp,
)
from services.ingest.convert.events import event_delivery
from services.ingest.model.subscription import AlertDelivery, Topic
from services.ingest.subscribe.alert_session import delivery_id
from services.ingest.subscribe.frames import (
    Ack,
    Assignment,
    ConsumerFrame,
    Credit,
    Draining,
    EventDelivery,
    Gap,
    Heartbeat,
    Nack,
    OpenSubscription,
    SampleDelivery,
    ServerFrame,
    ShardRelease,
    ShardStart,
    Start,
    SubscriptionOpened,
)

_REASON: Final = "INVALID_SUBSCRIPTION"
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_REASON_CHARS: Final = 1024
_LAST_PLACE: Final = 2**63 - 1
_LONGEST_WAIT_S: Final = 7 * 86_400.0
_MODES: Final = {
    pb.TOPIC_SAMPLES: pb.SUBSCRIPTION_MODE_SHARDED,
    pb.TOPIC_ALERTS: pb.SUBSCRIPTION_MODE_SHARED,
    pb.TOPIC_EVENTS: pb.SUBSCRIPTION_MODE_SHARDED,
}


async def frames(requests: AsyncIterator[pb.SubscribeRequest]) -> AsyncIterator[ConsumerFrame]:
    """The frames of a consumer.

    Raises:
        InvalidInput: INVALID_SUBSCRIPTION, INVALID_SELECTOR, MODE_UNSUPPORTED or MESSAGE_EMPTY.
    """
    async for request in requests:
        yield _frame(request)


def subscription(value: str) -> str:
    """A valid name of a subscription.

    Raises:
        InvalidInput: INVALID_SUBSCRIPTION.
    """
    if not _NAME.fullmatch(value):
        raise invalid("subscription", "use 1 to 64 characters of [a-z0-9-]", _REASON)
    return value


def answer(known: ServerFrame) -> pb.SubscribeResponse:
    """A frame for the wire."""
    match known:
        case SampleDelivery():
            return pb.SubscribeResponse(samples=_samples(known))
        case EventDelivery():
            return pb.SubscribeResponse(events=event_delivery(known))
        case AlertDelivery():
            return pb.SubscribeResponse(alert=_alert(known))
        case Heartbeat():
            return pb.SubscribeResponse(heartbeat=_heartbeat(known))
        case Assignment():
            return pb.SubscribeResponse(assignment=_assignment(known))
        case Gap():
            return pb.SubscribeResponse(gap=_gap(known))
        case SubscriptionOpened():
            return pb.SubscribeResponse(opened=_opened(known))
        case Draining(grace_s):
            return pb.SubscribeResponse(draining=pb.Draining(grace=duration(grace_s)))


def _frame(request: pb.SubscribeRequest) -> ConsumerFrame:
    match request.WhichOneof("frame"):
        case "ack":
            return _ack(request.ack)
        case "credit":
            return Credit(request.credit.samples, request.credit.bytes)
        case "shard_start":
            return _shard_start(request.shard_start)
        case "shard_release":
            return ShardRelease(request.shard_release.shard, request.shard_release.epoch)
        case "nack":
            return _nack(request.nack)
        case "open":
            return _open(request.open)
        case _:
            raise InvalidInput("the frame is empty: set one of its fields", reason="MESSAGE_EMPTY")


def _open(opened: pb.SubscribeOpen) -> OpenSubscription:
    name = subscription(opened.subscription)
    consumer_id = named("consumer_id", opened.consumer_id, _REASON)
    if _MODES.get(opened.topic) != opened.mode:
        message = "use SHARDED for samples and events, SHARED for alerts"
        raise invalid("mode", message, "MODE_UNSUPPORTED")
    if opened.topic == pb.TOPIC_EVENTS and opened.selector:
        raise invalid("selector", "must be empty for events", "INVALID_SELECTOR")
    return OpenSubscription(
        subscription=name,
        consumer_id=consumer_id,
        topic=Topic(opened.topic),
        start=_start(opened.start),
        selector=selector(opened.selector),
        credit=Credit(opened.initial_credit.samples, opened.initial_credit.bytes),
        ack_deadline_s=_seconds(opened, "ack_deadline", default_s=60, most_s=3600),
        max_attempts=_max_attempts(opened.max_attempts),
        heartbeat_s=_seconds(opened, "heartbeat_interval", default_s=5, most_s=60),
    )


def _start(start: pb.StartPosition) -> Start | int:
    match start.WhichOneof("position"):
        case "latest":
            return Start.LATEST
        case "from_time":
            if not is_time(start.from_time):
                raise invalid("start.from_time", "must lie between 1970 and 9999", _REASON)
            return time_ms(start.from_time)
        case _:
            return Start.EARLIEST


def _seconds(opened: pb.SubscribeOpen, field: str, *, default_s: float, most_s: float) -> float:
    if not opened.HasField(field):  # type: ignore[arg-type]
        return default_s
    seconds = _length_s(getattr(opened, field))
    if not 1 <= seconds <= most_s:
        raise invalid(field, f"must be 1 s to {most_s:g} s", _REASON)
    return seconds


def _max_attempts(asked: int) -> int:
    if asked > 100:
        raise invalid("max_attempts", "must be 1 to 100", _REASON)
    return asked or 5


def _ack(ack: pb.SubscribeAck) -> Ack:
    up_to = (ack.up_to.shard, ack.up_to.cursor) if ack.HasField("up_to") else None
    return Ack(up_to, ack.delivery_ids)


def _nack(nack: pb.SubscribeNack) -> Nack:
    after_s = _length_s(nack.redeliver_after) if nack.HasField("redeliver_after") else 1.0
    return Nack(
        delivery_ids=nack.delivery_ids,
        redeliver_after_s=min(max(0.0, after_s), _LONGEST_WAIT_S),
        reason=nack.reason[:_REASON_CHARS].replace("\0", ""),
        permanent=nack.permanent,
    )


def _shard_start(start: pb.ShardStart) -> ShardStart:
    after = min(start.after_cursor, _LAST_PLACE) if start.HasField("after_cursor") else None
    return ShardStart(start.shard, start.epoch, after)


def _length_s(length: Duration) -> float:
    return length.seconds + length.nanos / 1e9


def _opened(known: SubscriptionOpened) -> pb.SubscribeOpened:
    return pb.SubscribeOpened(
        session_id=known.session_id,
        shard_count=known.shard_count,
        heartbeat_interval=duration(known.heartbeat_s),
    )


def _samples(known: SampleDelivery) -> pb.SampleDelivery:
    segment = known.segment
    return pb.SampleDelivery(
        shard=segment.shard,
        cursor=segment.offset,
        epoch=known.epoch,
        new_series=map(series, known.new_series),
        series_ids=segment.series_ids,
        timestamps_ms=segment.timestamps_ms,
        values=segment.values,
        commit_time=timestamp(segment.commit_time_ms),
        traceparents=segment.traceparents,
    )


def _alert(known: AlertDelivery) -> pb.AlertDelivery:
    return pb.AlertDelivery(
        delivery_id=delivery_id(known), attempt=known.attempt, alert=alert(known.alert)
    )


def _heartbeat(known: Heartbeat) -> pb.Heartbeat:
    lags = [
        pb.ShardLag(
            shard=each.shard, head_cursor=each.head, delivered_cursor=each.delivered, lag=each.lag
        )
        for each in known.lags
    ]
    return pb.Heartbeat(lags=lags, server_time=timestamp(known.now_ms))


def _assignment(known: Assignment) -> pb.ShardAssignment:
    assigned = [
        pb.AssignedShard(shard=each.shard, epoch=each.epoch, acked_cursor=each.acked)
        for each in known.assigned
    ]
    return pb.ShardAssignment(assigned=assigned, revoked=known.revoked)


def _gap(known: Gap) -> pb.Gap:
    return pb.Gap(
        shard=known.shard, after_cursor=known.after, resumes_after_cursor=known.resumes_after
    )
