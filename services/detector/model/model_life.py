"""What is known of a version of the model besides its forest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from services.detector.detectors.evaluation import BUDGET, MARGIN, drift


class Stage(IntEnum):
    """How far a training is; numbers as in the contract and in the store."""

    QUEUED = 1
    TRAINING = 2
    EVALUATING = 3
    DONE = 4
    FAILED = 5

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self in (Stage.DONE, Stage.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training that was asked for."""

    request_id: str
    trigger: str
    stage: Stage
    progress: float
    message: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedVectors:
    """Feature vectors of alarms that people judged, float32[k, F] each."""

    true_alarms: npt.NDArray[np.float32]
    false_alarms: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How good a version is; comparable between versions that were measured together."""

    evaluated_ms: int
    injected_precision: float
    injected_anomalies: int
    injected_heard: int = 0
    stored_series: int = 0
    feedback_separation: float | None
    true_alarms: int
    false_alarms: int

    @property
    def score(self) -> float:
        """What decides, 0 to 1."""
        if self.feedback_separation is None:
            return self.injected_precision
        return (self.injected_precision + self.feedback_separation) / 2.0

    @property
    def summary(self) -> str:
        """What a person should know of it; empty where it was measured by an older version."""
        if not self.injected_heard:
            return ""
        material = f"{self.stored_series} stored series" if self.stored_series else "made-up series"
        return (
            f"hears {self.injected_heard} of {self.injected_anomalies} faults put into {material}, "
            f"at {BUDGET:g} false alarms per series and week"
        )

    def is_better_than(self, other: "Evaluation") -> bool:
        """Whether by more than chance."""
        return self.score > other.score + MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a version did on live samples about which anything was new.

    Attributes:
        loud, loud_with_active: How many were strange to it, and to the active version, too.
        histogram: Of their strangeness; as stored, older samples count half per day.
    """

    samples: int
    loud: int
    loud_with_active: int
    histogram: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version, without its artifact."""

    version: int
    active: bool
    shadow: bool
    created_at: datetime
    activated_at: datetime | None
    trigger: str
    feature_names: Sequence[str]
    artifact_sha256: bytes
    training_samples: int
    training_start: datetime
    training_end: datetime
    parameters: Mapping[str, float]
    score_histogram: Sequence[int]
    evaluation: Evaluation | None
    live: Live | None

    @property
    def drift(self) -> float | None:
        """How far the live scores are from those of the training; None when not known yet."""
        if self.live is None or not self.score_histogram:
            return None
        live = np.array(self.live.histogram, dtype=np.float64)
        return drift(live, np.array(self.score_histogram, dtype=np.float64))


def evaluation_of(stored: Mapping[str, Any] | None) -> Evaluation | None:
    """The evaluation as stored."""
    return None if stored is None else Evaluation(**stored)
