"""Columns of Score, to and from the wire."""

import math
from typing import Final

import numpy as np

from mesh.errors import InvalidInput, Violation
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.engine import Scores
from services.detector.model.samples import Samples

SAMPLES_MAX: Final = 100_000
SERIES_MAX: Final = 10_000


def opening(frame: detector_pb.ScoreRequest) -> detector_pb.ScoreOpen:
    """The first frame.

    Raises:
        InvalidInput: OPEN_EXPECTED or INVALID_ALERTS_PER_WEEK.
    """
    if frame.WhichOneof("frame") != "open":
        raise _refused("open", "must be the first frame", "OPEN_EXPECTED")
    budget = frame.open.alerts_per_week
    if frame.open.HasField("alerts_per_week") and not (math.isfinite(budget) and 0 < budget < 1e6):
        rule = "must be above 0 and below 1,000,000"
        raise _refused("open.alerts_per_week", rule, "INVALID_ALERTS_PER_WEEK")
    return frame.open


def batch(frame: detector_pb.ScoreRequest) -> Samples:
    """The samples of a frame; their series ids are the caller's numbers.

    Raises:
        InvalidInput: BATCH_EXPECTED, INVALID_COLUMNS, BATCH_TOO_LARGE or TOO_MANY_SERIES.
    """
    if frame.WhichOneof("frame") != "batch":
        raise _refused("batch", "must be every frame after the first", "BATCH_EXPECTED")
    columns = frame.batch
    count, left = divmod(len(columns.values), 8)
    sizes = (len(columns.series_refs), len(columns.timestamps_ms))
    if left or sizes != (4 * count, 8 * count):
        raise _refused("batch", "must have columns of equal length", "INVALID_COLUMNS")
    if count > SAMPLES_MAX:
        raise _refused("batch", f"must have at most {SAMPLES_MAX} samples", "BATCH_TOO_LARGE")
    refs = np.frombuffer(columns.series_refs, dtype="<u4").astype(np.int64)
    if refs.max(initial=0) >= SERIES_MAX:
        rule = f"must be below {SERIES_MAX}"
        raise _refused("batch.series_refs", rule, "TOO_MANY_SERIES")
    return Samples(
        series_ids=refs,
        timestamps_ms=np.frombuffer(columns.timestamps_ms, dtype="<i8"),
        values=np.frombuffer(columns.values, dtype="<f8"),
    )


def result(scores: Scores) -> detector_pb.ScoreResponse:
    """The scores of a batch."""
    return detector_pb.ScoreResponse(
        result=detector_pb.ScoreResult(
            raw_scores=scores.raw.astype("<f8").tobytes(),
            alert_scores=scores.alert.astype("<f8").tobytes(),
            expected_low=scores.expected_low.astype("<f8").tobytes(),
            expected_high=scores.expected_high.astype("<f8").tobytes(),
        )
    )


def _refused(field: str, rule: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{field} {rule}", reason=reason, violations=[Violation(field, rule)])
