"""What people say of anomalies."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """The last word on one anomaly."""

    true_alarm: bool
    comment: str
    subject: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the alarms of a series learn from."""

    series_id: int
    alert_score: float
    true_alarm: bool
