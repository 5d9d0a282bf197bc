"""Versions of the model as shards and trainers see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.detector.detectors.engine import Forest
from services.detector.model.budget import Allowance
from services.detector.model.checkpoints import ShardPlace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActiveModel:
    """A forest that scores now and the version it is known by.

    Attributes:
        loud: Strangeness of one training row in a thousand.
    """

    version: int
    forest: Forest
    loud: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedModel:
    """A forest that is ready to be stored, and what it was made from."""

    artifact: bytes
    training_samples: int
    training_start: datetime
    training_end: datetime
    parameters: Mapping[str, int]
    trigger: str = "warm-up"
    score_histogram: Sequence[int] = ()
    loud: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """How far the collection for the first model is, over all shards."""

    collected_samples: int
    start_time: datetime | None
    end_time: datetime | None
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The whole installation as last checkpointed; model version 0 means none is active."""

    model_version: int
    model_train_time: datetime | None
    collected_samples: int
    processed_samples: int
    series_count: int
    warm_series_count: int
    shards: Sequence[ShardPlace]
    budgets: Sequence[Allowance]
