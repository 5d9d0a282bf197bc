"""Ingest, detector and language models as the explainer meets them: real servers by script."""

from tests.explainer.peers.detector import Detector, served_detector
from tests.explainer.peers.faults import Faults
from tests.explainer.peers.ingest import SERIES_PER_ANSWER, Ingest, served_ingest
from tests.explainer.peers.material import (
    CRITICAL,
    EVENT_MS,
    FIRING,
    RESOLVED,
    STEP_MS,
    Stored,
    alert,
    anomaly,
    calm,
    jumping,
    labels,
)
from tests.explainer.peers.models import OllamaServer, OpenAIServer
from tests.explainer.peers.serving import served

__all__ = [
    "CRITICAL",
    "EVENT_MS",
    "FIRING",
    "RESOLVED",
    "SERIES_PER_ANSWER",
    "STEP_MS",
    "Detector",
    "Faults",
    "Ingest",
    "OllamaServer",
    "OpenAIServer",
    "Stored",
    "alert",
    "anomaly",
    "calm",
    "jumping",
    "labels",
    "served",
    "served_detector",
    "served_ingest",
]
