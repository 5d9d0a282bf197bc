"""What the engine says of a batch, as anomalies of the value and their ends."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import FEATURES, Engine, Scores
from services.detector.model.anomalies import (
    DRIFT,
    Contribution,
    EndReason,
    EpisodeEnd,
    Finding,
    Kind,
    Severity,
    anomaly_id,
    ranked,
)
from services.detector.model.groups import sender_of
from services.detector.model.samples import Labels, Samples, SeriesKind, SeriesKindSource

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]
Parts = tuple[Contribution, ...]

_BY_DRIFT: Final = Contribution(feature=DRIFT, value=1.0, share=1.0)


def alarms(
    engine: Engine,
    samples: Samples,
    rows: I32,
    scores: Scores,
    labels_of: Callable[[int], Labels],
    kind_sources: U8,
    model_version: int,
) -> list[Finding]:
    """One anomaly for each sample with an alert; `rows` are those of the samples in the engine.

    `kind_sources` says of every row of the engine who says of what kind its series is.
    """
    indices = np.flatnonzero(scores.alert > 0)
    if not len(indices):
        return []
    features = scores.features[indices]
    shares = engine.contributions(features)
    counted = engine.counters()[rows[indices]].tolist()
    sources = kind_sources[rows[indices]].tolist()
    found = list[Finding]()
    for k, index in enumerate(indices.tolist()):
        by_features = contributions(features[k], shares[k])
        parts = (_BY_DRIFT,) if scores.drifted[index] else by_features
        labels = labels_of(int(samples.series_ids[index]))
        kind = SeriesKind.COUNTER if counted[k] else SeriesKind.GAUGE
        of_kind = kind, SeriesKindSource(sources[k])
        found.append(_alarm(index, samples, scores, labels, parts, of_kind, model_version))
    return found


def _alarm(
    index: int,
    samples: Samples,
    scores: Scores,
    labels: Labels,
    parts: Parts,
    of_kind: tuple[SeriesKind, SeriesKindSource],
    model_version: int,
) -> Finding:
    series_id, event_ms = int(samples.series_ids[index]), int(samples.timestamps_ms[index])
    alert = float(np.clip(scores.alert[index], 0.0, 1.0))
    return Finding(
        anomaly_id=anomaly_id(series_id, event_ms, Kind.VALUE),
        series_id=series_id,
        labels=labels,
        kind=Kind.VALUE,
        severity=Severity.of_score(alert),
        event_ms=event_ms,
        value=float(scores.value[index]),
        raw_score=float(np.clip(scores.raw[index], 0.0, 1.0)),
        alert_score=alert,
        expected_low=float(scores.expected_low[index]),
        expected_high=float(scores.expected_high[index]),
        contributions=parts,
        model_version=model_version,
        shared=sender_of(labels),
        series_kind=of_kind[0],
        series_kind_source=of_kind[1],
    )


def ends(samples: Samples, scores: Scores) -> list[EpisodeEnd]:
    """One for each sample with which the episode of an alert ends."""
    return [
        EpisodeEnd(
            series_id=int(samples.series_ids[index]),
            end_ms=int(samples.timestamps_ms[index]),
            reason=EndReason(int(scores.ended[index])),
        )
        for index in np.flatnonzero(scores.ended).tolist()
    ]


def contributions(features: F32, shares: F64) -> Parts:
    """Features with their signed part of the whole, the largest part first."""
    total = float(np.abs(shares).sum()) or 1.0
    return ranked(
        Contribution(feature=name, value=float(value), share=float(share) / total)
        for name, value, share in zip(FEATURES, features, shares, strict=True)
    )
