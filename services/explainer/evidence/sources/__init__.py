"""Where evidence comes from: one source per file, each may fail alone."""

from services.explainer.evidence.sources.context import NearbyChanges, ReportedCalls
from services.explainer.evidence.sources.exemplars import OwnExemplars
from services.explainer.evidence.sources.incidents import PastIncidents
from services.explainer.evidence.sources.moved import MovedSeries
from services.explainer.evidence.sources.nearby import Nearby
from services.explainer.evidence.sources.reader import Reader, ReadLimits, sharing
from services.explainer.evidence.sources.source import Findings, Source
from services.explainer.evidence.sources.subject import SubjectSeries
from services.explainer.evidence.sources.traces import ComparedTraces

__all__ = [
    "ComparedTraces",
    "Findings",
    "MovedSeries",
    "Nearby",
    "NearbyChanges",
    "OwnExemplars",
    "PastIncidents",
    "ReadLimits",
    "Reader",
    "ReportedCalls",
    "Source",
    "SubjectSeries",
    "sharing",
]
