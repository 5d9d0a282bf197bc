"""What a sender says of a metric: its type, its unit, what it means."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from services.ingest.model.labels import METRIC_NAME, SeriesKey
from services.ingest.model.writes import Definition

_LONGEST_UNIT: Final = 64
_LONGEST_HELP: Final = 1000
_LONGEST_NAME: Final = 256


class MetricType(Enum):
    """Type of a metric, numbered as in the contract and in remote write 1.0."""

    UNKNOWN = 0
    COUNTER = 1
    GAUGE = 2
    HISTOGRAM = 3
    GAUGE_HISTOGRAM = 4
    SUMMARY = 5
    INFO = 6
    STATE_SET = 7


@dataclass(frozen=True, slots=True)
class Metadata:
    """Of one metric; texts are cut, never refused."""

    name: str
    type: MetricType
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of a metric, and when it was first said or last changed."""

    said: Metadata
    update_time: datetime


def metadata(name: str, type: int, unit: bytes, help: bytes) -> Metadata | None:
    """As it can be stored; None for a name that no metric has, or when nothing is said."""
    texts = _text(unit, _LONGEST_UNIT), _text(help, _LONGEST_HELP)
    known = MetricType(type) if type in _NUMBERS else MetricType.UNKNOWN
    says_nothing = known is MetricType.UNKNOWN and not any(texts)
    if says_nothing or not 0 < len(name) <= _LONGEST_NAME or "\0" in name:
        return None
    return Metadata(name, known, *texts)


def name_of(known: Definition) -> str:
    """The metric of a label set; empty for one that was refused."""
    return dict(known.labels)[METRIC_NAME] if isinstance(known, SeriesKey) else ""


def _text(raw: bytes, longest: int) -> str:
    return raw.decode(errors="replace").replace("\0", "\ufffd")[:longest]


_NUMBERS: Final = frozenset(each.value for each in MetricType)
