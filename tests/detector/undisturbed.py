"""What a run finds that nothing disturbs, and what a detector has found so far."""

import numpy as np

from services.detector import metrics
from services.detector.model.anomalies import Finding
from services.detector.model.checkpoints import Checkpoint
from services.detector.model.models import ActiveModel
from services.detector.model.samples import Samples
from services.detector.shards.scoring import Outcome, ShardScorer
from tests.detector.running import RunningDetector
from tests.detector.signals import SETTINGS, forest, labels_of


def expected(whole: Samples) -> list[str]:
    """Ids of the anomalies of an undisturbed run."""
    return sorted(finding.anomaly_id for finding in findings(whole))


def expected_ends(whole: Samples) -> set[tuple[str, int]]:
    """Ids of the anomalies of an undisturbed run that ended, and when."""
    found, ends = findings(whole), outcome(whole).ends
    first = {
        each.anomaly_id: min(
            (e.end_ms for e in ends if e.series_id == each.series_id and e.end_ms >= each.event_ms),
            default=None,
        )
        for each in found
    }
    return {(name, end_ms) for name, end_ms in first.items() if end_ms is not None}


def findings(whole: Samples) -> list[Finding]:
    return list(outcome(whole).findings)


def outcome(whole: Samples) -> Outcome:
    scorer = ShardScorer(Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    labels = {series_id: labels_of(series_id) for series_id in np.unique(whole.series_ids).tolist()}
    return scorer.score(whole, 1, labels)


def processed() -> float:
    """Samples that the engine has taken, over all tests of this process."""
    return metrics.SAMPLES_PROCESSED._value.get()


async def found(detector: RunningDetector) -> list[str]:
    """Ids of the anomalies that a detector has announced."""
    return sorted(anomaly.anomaly_id for anomaly in await detector.anomalies())
