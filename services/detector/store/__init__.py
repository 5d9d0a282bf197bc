"""Schema `detector`: one class per subject, one method per question, domain types out."""

from services.detector.store.anomalies import AnomalyFilter, AnomalyStore, ListPlace
from services.detector.store.checkpoints import CheckpointStore
from services.detector.store.feedback import FeedbackStore
from services.detector.store.models import ModelStore
from services.detector.store.retention import RetentionStore
from services.detector.store.rules import RuleStore
from services.detector.store.status import StatusStore
from services.detector.store.trainings import TrainingStore
from services.detector.store.versions import VersionStore

__all__ = [
    "AnomalyFilter",
    "AnomalyStore",
    "CheckpointStore",
    "FeedbackStore",
    "ListPlace",
    "ModelStore",
    "RetentionStore",
    "RuleStore",
    "StatusStore",
    "TrainingStore",
    "VersionStore",
]
