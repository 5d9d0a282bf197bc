"""Where evidence comes from: one source per file, each may fail alone."""

from services.explainer.sources.alerts import NearbyAlerts
from services.explainer.sources.anomalies import NearbyAnomalies
from services.explainer.sources.context import NearbyChanges, ToldCalls
from services.explainer.sources.incidents import PastIncidents
from services.explainer.sources.moved import MovedSeries
from services.explainer.sources.source import Findings, Reach, Source
from services.explainer.sources.subject import SubjectSeries

__all__ = [
    "Findings",
    "MovedSeries",
    "NearbyAlerts",
    "NearbyAnomalies",
    "NearbyChanges",
    "PastIncidents",
    "Reach",
    "Source",
    "SubjectSeries",
    "ToldCalls",
]
