"""Alerts, anomalies and series around one event."""

from dataclasses import dataclass

import numpy as np

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb

EVENT_MS = 1_700_000_000_000
STEP_MS = 15_000

FIRING = alert_pb2.ALERT_STATE_FIRING
RESOLVED = alert_pb2.ALERT_STATE_RESOLVED
CRITICAL = series_pb2.SEVERITY_CRITICAL


def labels(named: dict[str, str]) -> list[series_pb2.Label]:
    """A label set on the wire."""
    return [series_pb2.Label(name=name, value=named[name]) for name in sorted(named)]


def alert(
    alert_id: str = "a1",
    *,
    name: str = "HighCPU",
    state: "alert_pb2.AlertState.ValueType" = FIRING,
    traceparent: str = "",
    annotations: dict[str, str] | None = None,
    **more: str,
) -> alert_pb2.Alert:
    """An alert that began at EVENT_MS."""
    found = alert_pb2.Alert(
        alert_id=alert_id,
        labels=labels({"alertname": name, "severity": "critical", **(more or {"host": "web-1"})}),
        annotations=labels(annotations or {}),
        state=state,
        severity=CRITICAL,
        traceparent=traceparent,
        generator_url="http://prometheus:9090/graph?g0.expr=cpu_usage+%3E+80",
    )
    found.start_time.FromMilliseconds(EVENT_MS)
    return found


def anomaly(anomaly_id: str = "n1", *, cursor: int = 1, **named: str) -> detector_pb.Anomaly:
    """An anomaly at EVENT_MS, by default of the CPU of web-1."""
    found = detector_pb.Anomaly(
        anomaly_id=anomaly_id,
        series_id=1,
        labels=labels(named or {"__name__": "cpu_usage", "host": "web-1"}),
        kind=detector_pb.ANOMALY_KIND_VALUE,
        severity=CRITICAL,
        value=91.25,
        raw_score=0.999,
        alert_score=0.97,
        expected=detector_pb.ExpectedRange(low=18.5, high=23.5),
        cursor=cursor,
    )
    found.event_time.FromMilliseconds(EVENT_MS)
    return found


@dataclass(kw_only=True)
class Stored:
    """One series of the scripted store."""

    labels: dict[str, str]
    timestamps_ms: list[int]
    values: list[float]


def calm(metric: str, *, level: float = 20.0, **named: str) -> Stored:
    """An hour before the event and five minutes after it, with nothing to see."""
    times = list(range(EVENT_MS - 3_600_000, EVENT_MS + 300_000, STEP_MS))
    noise = np.random.default_rng(len(metric)).normal(0, 0.02 * level, len(times))
    return Stored(
        labels={"__name__": metric, **named},
        timestamps_ms=times,
        values=[round(level + float(each), 3) for each in noise],
    )


def jumping(
    metric: str, *, level: float = 20.0, to: float = 90.0, before_s: float = 120, **named: str
) -> Stored:
    """A calm series that jumps `before_s` before the event and stays there."""
    found = calm(metric, level=level, **named)
    start_ms = EVENT_MS - before_s * 1000
    pairs = zip(found.timestamps_ms, found.values, strict=True)
    found.values = [value + (to - level) * (at >= start_ms) for at, value in pairs]
    return found
