"""What is announced: its kind, its severity, what brought it about."""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.detector.model.samples import Labels


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
    """An anomaly before it is committed."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A committed anomaly; `cursor` is its place in the log of anomalies."""

    finding: Finding
    cursor: int
    commit_time: datetime


def anomaly_id(series_id: int, event_ms: int, kind: Kind, source: str = "") -> str:
    """The same input gives the same 32 hexadecimal digits, on every machine.

    `source` tells apart what announces anomalies of the same kind: the id of a rule.
    """
    identity = struct.pack("<qqB", series_id, event_ms, kind) + source.encode()
    return hashlib.blake2b(identity, digest_size=16, person=b"sensus-anomaly").hexdigest()
