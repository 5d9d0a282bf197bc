"""What a consumer and this service say to each other on one stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mesh.selector import Selector
from services.ingest.model.event_entry import EventSegment
from services.ingest.model.samples import Segment, Series
from services.ingest.model.subscription import AlertDelivery, HeldShard, Lag, Topic


class Start(Enum):
    """Where a new subscription begins."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Credit:
    """May be delivered in addition."""

    samples: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSubscription:
    """Opens a subscription. `start` is a place, or a time in milliseconds."""

    subscription: str
    consumer_id: str
    topic: Topic
    start: Start | int
    selector: Selector
    credit: Credit
    ack_deadline_s: float
    max_attempts: int
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class ShardStart:
    """The consumer is ready; None means after its last ack."""

    shard: int
    epoch: int
    after: int | None


@dataclass(frozen=True, slots=True)
class ShardRelease:
    """The consumer gives a shard back."""

    shard: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Ack:
    """Processed: all of a shard up to a position, and single deliveries of alerts."""

    up_to: tuple[int, int] | None
    delivery_ids: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nack:
    """Not processed."""

    delivery_ids: Sequence[str]
    redeliver_after_s: float
    reason: str
    permanent: bool


ConsumerFrame = OpenSubscription | ShardStart | ShardRelease | Credit | Ack | Nack


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionOpened:
    """The terms of the stream."""

    session_id: str
    shard_count: int
    heartbeat_s: float


@dataclass(frozen=True, slots=True)
class Assignment:
    """Shards that come and go."""

    assigned: Sequence[HeldShard]
    revoked: Sequence[int]


@dataclass(frozen=True, slots=True)
class SampleDelivery:
    """Samples of one shard."""

    epoch: int
    segment: Segment
    new_series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """Events of one shard."""

    epoch: int
    segment: EventSegment


@dataclass(frozen=True, slots=True)
class Gap:
    """History of a shard that is gone."""

    shard: int
    after: int
    resumes_after: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The stream lives."""

    lags: Sequence[Lag]
    now_ms: int


@dataclass(frozen=True, slots=True)
class Draining:
    """The server will stop."""

    grace_s: float


ServerFrame = (
    SubscriptionOpened
    | Assignment
    | SampleDelivery
    | EventDelivery
    | AlertDelivery
    | Heartbeat
    | Gap
    | Draining
)
