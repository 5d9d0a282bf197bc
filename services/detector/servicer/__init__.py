"""DetectorService, one file per subject: check, ask, encode."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.publisher import Publisher
from services.detector.clients.ingest import IngestClient
from services.detector.detectors.engine import Settings
from services.detector.model.anomalies import Entry
from services.detector.model.metric_types import MetricTypes
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.servicer.anomalies import AnomalyMethods
from services.detector.servicer.feedback import FeedbackMethods
from services.detector.servicer.models import ModelMethods
from services.detector.servicer.ranges import RangeMethods
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
from services.detector.training.evaluate import Evaluator


class DetectorServicer(
    AnomalyMethods, RuleMethods, ModelMethods, FeedbackMethods, ScoreMethods, RangeMethods
):
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
        history: IngestClient,
        model: Callable[[], ActiveModel | None],
        rules_in_force: Callable[[], Sequence[Rule]],
        types: Callable[[], MetricTypes],
        publisher: Publisher[Entry],
        drain: Drain,
        clock: Clock,
        threads: Executor,
        warmup_samples: int,
        settings: Settings,
    ) -> None:
        """`warmup_samples` is what the first model needs, `threads` where engines run."""
        self._anomalies = anomalies
        self._status = status
        self._feedback = feedback
        self._rules = rules
        self._versions = versions
        self._trainings = trainings
        self._evaluator = evaluator
        self._history = history
        self._model = model
        self._rules_in_force = rules_in_force
        self._types = types
        self._drain = drain
        self._publisher = publisher
        self._clock = clock
        self._threads = threads
        self._settings = settings
        self._warmup_samples = warmup_samples
