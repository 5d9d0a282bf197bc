"""DetectorService, one file per subject: check, ask, encode."""

from concurrent.futures import Executor

from mesh.clock import Clock
from mesh.drain import Drain
from services.detector.lifecycle.evaluator import Evaluator
from services.detector.publisher import Publisher
from services.detector.servicer.anomalies import AnomalyMethods
from services.detector.servicer.feedback import FeedbackMethods
from services.detector.servicer.models import ModelMethods
from services.detector.servicer.rules import RuleMethods
from services.detector.servicer.scores import ScoreMethods
from services.detector.store import (
    AnomalyStore,
    FeedbackStore,
    RuleStore,
    StatusStore,
    TrainingStore,
    VersionStore,
)


class DetectorServicer(AnomalyMethods, RuleMethods, ModelMethods, FeedbackMethods, ScoreMethods):
    """Answers from the store: any replica answers for all."""

    def __init__(
        self,
        *,
        anomalies: AnomalyStore,
        status: StatusStore,
        feedback: FeedbackStore,
        rules: RuleStore,
        versions: VersionStore,
        trainings: TrainingStore,
        evaluator: Evaluator,
        publisher: Publisher,
        drain: Drain,
        clock: Clock,
        threads: Executor,
        warmup_samples: int,
        series_warmup_samples: int,
    ) -> None:
        """`warmup_samples` is what the first model needs, `threads` where engines run."""
        self._anomalies = anomalies
        self._status = status
        self._feedback = feedback
        self._rules = rules
        self._versions = versions
        self._trainings = trainings
        self._evaluator = evaluator
        self._drain = drain
        self._publisher = publisher
        self._clock = clock
        self._threads = threads
        self._series_warmup_samples = series_warmup_samples
        self._warmup_samples = warmup_samples
