"""DetectorService, one file per subject: check, ask, encode."""

from mesh.clock import Clock
from services.detector.publisher import Publisher
from services.detector.servicer.anomalies import AnomalyMethods
from services.detector.servicer.rules import RuleMethods
from services.detector.store import AnomalyStore, RuleStore, StatusStore


class DetectorServicer(AnomalyMethods, RuleMethods):
    """Answers from the store: any replica answers for all."""

    def __init__(
        self,
        *,
        anomalies: AnomalyStore,
        status: StatusStore,
        rules: RuleStore,
        publisher: Publisher,
        clock: Clock,
        warmup_samples: int,
    ) -> None:
        """`warmup_samples` is what the first model needs."""
        self._anomalies = anomalies
        self._status = status
        self._rules = rules
        self._publisher = publisher
        self._clock = clock
        self._warmup_samples = warmup_samples
