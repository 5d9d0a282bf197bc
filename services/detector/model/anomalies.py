"""What is announced: its kind, its severity, what brought it about."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Final

from services.detector.model.samples import Labels, SeriesKind, SeriesKindSource

LAST_SAMPLE: Final = "seconds_since_last_sample"
"""What a silence says beside its length: by the timestamp of the sample, not by its arrival."""

DRIFT: Final = "drift"
"""What a level that left its range for hours has in the place of a feature."""


class Kind(IntEnum):
    """What is abnormal; numbers as in the contract and in the store."""

    VALUE = 1
    ABSENCE = 2
    THRESHOLD = 3


class Severity(IntEnum):
    """How urgent; greater is worse. Numbers as in the contract and in the store."""

    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @classmethod
    def of_score(cls, alert_score: float) -> "Severity":
        """Critical from 0.95, warning from 0.8, info below."""
        if alert_score >= 0.95:
            return cls.CRITICAL
        return cls.WARNING if alert_score >= 0.8 else cls.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What a feature was, and its signed share of the score; absolute shares add up to 1."""

    feature: str
    value: float
    share: float


def ranked(parts: Iterable[Contribution]) -> tuple[Contribution, ...]:
    """The largest part of the score first, by name where parts are equal."""
    return tuple(sorted(parts, key=lambda part: (-abs(part.share), part.feature)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An anomaly before it is committed.

    Attributes:
        source: The id of the rule that announces it; empty for none.
        shared: Name and value of the label that names who sends the series; empty for none.
        listed: Whether it is kept when it is a member of another one; otherwise it is counted.
        over_budget: Whether it would be a warning, or critical, but for the budget of warnings.
        series_kind: As what a value was scored; unknown for other kinds of anomalies.
        series_kind_source: Who says so.
    """

    anomaly_id: str
    series_id: int
    labels: Labels
    kind: Kind
    severity: Severity
    event_ms: int
    value: float
    raw_score: float
    alert_score: float
    expected_low: float
    expected_high: float
    contributions: tuple[Contribution, ...]
    model_version: int
    traceparent: str = ""
    source: str = ""
    shared: tuple[str, str] = ("", "")
    listed: bool = True
    over_budget: bool = False
    series_kind: SeriesKind = SeriesKind.UNKNOWN
    series_kind_source: SeriesKindSource = SeriesKindSource.UNKNOWN


class EndReason(IntEnum):
    """How an episode ended. The first numbers as in the engine, all as in contract and store."""

    GOES_ON = 0
    USUAL_AGAIN = 1
    NEW_LEVEL = 2
    RULE_GONE = 3
    FORGOTTEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeEnd:
    """An episode of a series ended: all its anomalies of that kind and source that are open."""

    series_id: int
    end_ms: int
    reason: EndReason
    kind: Kind = Kind.VALUE
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A committed anomaly.

    Attributes:
        cursor: Its place in the log of anomalies.
        end_ms: When its episode ended, and those of all its members; None while one goes on.
        lead_id: The anomaly under which it is announced; None when it is announced itself.
        lead_labels: Of the series of that one.
        series_count: Its own series, and those of its members.
    """

    finding: Finding
    cursor: int
    commit_time: datetime
    end_ms: int | None = None
    end_reason: EndReason = EndReason.GOES_ON
    lead_id: str | None = None
    lead_labels: Labels | None = None
    series_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the log: an anomaly, or its end when `is_end`."""

    anomaly: Anomaly
    cursor: int
    is_end: bool


def anomaly_id(series_id: int, event_ms: int, kind: Kind, source: str = "") -> str:
    """The same input gives the same 32 hexadecimal digits, on every machine.

    `source` tells apart what announces anomalies of the same kind: the id of a rule.
    """
    identity = struct.pack("<qqB", series_id, event_ms, kind) + source.encode()
    return hashlib.blake2b(identity, digest_size=16, person=b"sensus-anomaly").hexdigest()
