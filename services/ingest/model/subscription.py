"""What a subscription holds and hands on, as its stores know it."""

from dataclasses import dataclass
from enum import Enum

from services.ingest.model.alerts import Alert


class Topic(Enum):
    """What a subscription carries, numbered as in the contract."""

    SAMPLES = 1
    ALERTS = 2
    EVENTS = 3


@dataclass(frozen=True, slots=True)
class HeldShard:
    """A shard that is held now, and the last acked place of its subscription."""

    shard: int
    epoch: int
    acked: int
    acked_total: int


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """One change of an alert."""

    delivery_id: int
    attempt: int
    change_id: int
    alert: Alert


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a shard is behind."""

    shard: int
    head: int
    delivered: int
    lag: int
