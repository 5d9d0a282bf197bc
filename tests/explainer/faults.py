"""Small systems in which one thing breaks at a known time, as rates or as counters.

`web` calls `api`, which calls `storage`, `auth` and `dns`; `worker` takes jobs of `api`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.explainer.model.case import Change
from services.explainer.model.subjects import SeriesSamples

ONSET_MS: Final = 1_700_000_000_000
STEP_MS: Final = 30_000
PAST_MS: Final = 3 * 3_600_000
CALLS: Final = frozenset(
    {("web", "api"), ("api", "storage"), ("api", "auth"), ("api", "dns"), ("api", "worker")}
    | {("storage", "cache")}
)
SERVICES: Final = ("web", "api", "storage", "auth", "dns", "worker", "cache", "billing")

COUNTED: Final = {
    "http_errors": "http_errors_total",
    "http_request_duration_seconds": "http_request_duration_seconds_sum",
    "client_latency_seconds": "client_latency_seconds_sum",
    "cpu_percent": "cpu_seconds_total",
}
"""What is sent as a counter, and under which name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What breaks: level before and after, by service and metric."""

    culprit: str
    moves: Mapping[tuple[str, str], tuple[float, float]]
    alert: str = "ApiHighErrorRate"
    metric: str = "http_errors"
    service: str = "api"
    changes: tuple[Change, ...] = ()
    ramp_s: float = 0.0
    ramped: frozenset[tuple[str, str]] = frozenset()
    labels: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    constant: Mapping[tuple[str, str], float] = field(default_factory=dict)


def errors(*services: str, to: float = 30.0) -> dict[tuple[str, str], tuple[float, float]]:
    """These services fail."""
    return {(service, "http_errors"): (0.2, to) for service in services}


def slow(*services: str, to: float = 0.9) -> dict[tuple[str, str], tuple[float, float]]:
    """These services answer slowly."""
    return {(service, "http_request_duration_seconds"): (0.1, to) for service in services}


def changed(kind: str, service: str) -> tuple[Change, ...]:
    """A change shortly before the onset."""
    at_ms = ONSET_MS - 40_000
    return (Change(evidence_id="", id="v2", kind=kind, service=service, at_ms=at_ms, text=kind),)


LATENCY: Final = {"alert": "ApiSlow", "metric": "http_request_duration_seconds"}

FAULTS: Final[Mapping[str, Fault]] = {
    "deploy": Fault(culprit="api", moves=errors("api", "web"), changes=changed("deploy", "api")),
    "config": Fault(
        culprit="auth",
        moves=errors("auth", "api", "web"),
        changes=changed("config", "auth"),
    ),
    "disk": Fault(
        culprit="storage",
        moves=errors("storage", "api", "web") | {("storage", "disk_used_percent"): (55.0, 100.0)},
    ),
    "pool": Fault(
        culprit="storage",
        moves=slow("storage", "api", "web") | {("storage", "pool_connections_active"): (12, 100)},
        constant={("storage", "pool_connections_max"): 100.0},
        **LATENCY,
    ),
    "leak": Fault(
        culprit="auth",
        moves=errors("auth", "api") | {("auth", "memory_bytes"): (2e8, 1.9e9)},
        ramp_s=900.0,
        ramped=frozenset({("auth", "memory_bytes")}),
    ),
    "cpu neighbour": Fault(
        culprit="batch",
        moves=slow("api", "web", to=0.22) | {("batch", "cpu_percent"): (5.0, 97.0)},
        labels={
            ("batch", "cpu_percent"): {"host": "h1"},
            ("api", "http_request_duration_seconds"): {"host": "h1"},
        },
        **LATENCY,
    ),
    "dependency down": Fault(
        culprit="storage", moves=errors("api", "web") | {("storage", "up"): (1.0, 0.0)}
    ),
    "dns": Fault(culprit="dns", moves=errors("dns", "api", "web")),
    "certificate": Fault(
        culprit="auth",
        moves=errors("auth", "api", "web") | {("auth", "tls_cert_expiry_seconds"): (900.0, -60.0)},
    ),
    "queue": Fault(
        culprit="worker",
        moves=slow("worker", "api") | {("worker", "queue_depth"): (40.0, 5000.0)},
        constant={("worker", "queue_capacity"): 5000.0},
        **LATENCY,
    ),
    "cache": Fault(
        culprit="cache",
        moves=slow("cache", "storage", "api", "web"),
        **LATENCY,
    ),
    "network delay": Fault(
        culprit="storage",
        moves=slow("api", "web") | {("storage", "client_latency_seconds"): (0.01, 0.8)},
        labels={("storage", "client_latency_seconds"): {"peer": "api"}},
        **LATENCY,
    ),
}


def series_of(fault: Fault, *, wait_s: float, counters: bool) -> list[SeriesSamples]:
    """All series up to five minutes after the alert, which waits that long after the onset."""
    times = np.arange(ONSET_MS - PAST_MS, ONSET_MS + int(wait_s * 1000) + 300_000, STEP_MS)
    calm = {(s, m): level for s in SERVICES for m, level in _calm(s)}
    found = []
    for key in dict.fromkeys([*calm, *fault.moves, *fault.constant]):
        before, after = fault.moves.get(key, (calm.get(key, 0.0),) * 2)
        if key in fault.constant:
            values = np.full(times.size, fault.constant[key])
        else:
            values = _values(times, before, after, key, fault)
        found.append(_series(len(found) + 1, key, times, values, fault, counters=counters))
    return found


def _calm(service: str) -> Sequence[tuple[str, float]]:
    return [
        ("http_errors", 0.2),
        ("http_request_duration_seconds", 0.1),
        ("cpu_percent", 20.0),
        ("memory_bytes", 2e8),
    ]


def _values(
    times: np.ndarray, before: float, after: float, key: tuple[str, str], fault: Fault
) -> np.ndarray:
    dice = np.random.default_rng([*"".join(key).encode()])
    ramp_ms = fault.ramp_s * 1000 if key in fault.ramped else 0.0
    share = (times >= ONSET_MS).astype(float)
    if ramp_ms:
        share = np.clip((times - (ONSET_MS - ramp_ms)) / ramp_ms, 0.0, 1.0)
    level = before + (after - before) * share
    noise = 0.04 * dice.standard_normal(times.size)
    if key[1] in ("up", "tls_cert_expiry_seconds"):
        return level
    noisy = level * (1 + noise)
    return np.minimum(noisy, max(before, after)) if share.any() and after != before else noisy


def _series(
    number: int,
    key: tuple[str, str],
    times: np.ndarray,
    values: np.ndarray,
    fault: Fault,
    *,
    counters: bool,
) -> SeriesSamples:
    service, metric = key
    if counters and metric in COUNTED:
        metric = COUNTED[metric]
        values = np.cumsum(values * STEP_MS / 1000)
        values = np.where(times > ONSET_MS - 3_000_000, values - values[20], values)
    elif metric == "http_errors":
        metric = "http_errors_per_second"
    labels = {"__name__": metric, "service": service, **fault.labels.get(key, {})}
    return SeriesSamples(series_id=number, labels=labels, timestamps_ms=times, values=values)
