"""Small systems with a fault in a known place."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from services.explainer.model.case import Case, ServiceGraph, Subject, Symptom
from services.explainer.model.windows import SeriesWindow

STEP_MS = 60_000
USUAL, OBSERVED = 120, 5
START_MS = USUAL * STEP_MS
END_MS = (USUAL + OBSERVED - 1) * STEP_MS
SHOP = ServiceGraph(
    edges=frozenset(
        {("front", "cart"), ("front", "ads"), ("cart", "db"), ("front", "pay"), ("pay", "db")}
    )
)


def series(
    service: str,
    metric: str,
    *,
    usual: float = 10.0,
    observed: float | None = None,
    labels: Mapping[str, str] | None = None,
    seed: int = 0,
) -> SeriesWindow:
    """A noisy series around `usual` that goes to `observed` for the last five samples."""
    noise = np.random.default_rng([seed, *f"{service}{metric}".encode()])
    values = usual * (1 + 0.05 * noise.standard_normal(USUAL + OBSERVED))
    if observed is not None:
        values[USUAL:] += observed - usual
    return window(service, metric, values, labels)


def counted(
    service: str,
    metric: str,
    *,
    usual: int | Sequence[int] = 0,
    observed: int,
    labels: Mapping[str, str] | None = None,
) -> SeriesWindow:
    """A series that counts `usual` events in each minute before, then `observed` in each."""
    past = [usual] * USUAL if isinstance(usual, int) else list(usual)
    found = window(service, metric, [*past, *[observed] * OBSERVED], labels)
    return replace(found, events=found.values)


def window(
    service: str,
    metric: str,
    values: "np.typing.ArrayLike",
    labels: Mapping[str, str] | None = None,
) -> SeriesWindow:
    """A series of one sample per minute whose last five samples are observed."""
    array = np.asarray(values, dtype=np.float64)
    first_ms = END_MS - (array.size - 1) * STEP_MS
    return SeriesWindow(
        evidence_id="|".join([service, metric, *sorted((labels or {}).values())]),
        labels=labels or {},
        metric=metric,
        service=service,
        timestamps_ms=first_ms + np.arange(array.size, dtype=np.int64) * STEP_MS,
        values=array,
        observed_start_ms=START_MS,
        observed_end_ms=END_MS,
    )


def case(*parts: SeriesWindow, graph: ServiceGraph = SHOP, subject: Subject | None = None) -> Case:
    """A case of an alert nobody named, unless `subject` says more."""
    return Case(subject=subject or Subject(id="a1"), series=parts, graph=graph)


def alert(metric: str, symptom: Symptom, service: str = "front") -> Subject:
    """An alert on the entry of the shop."""
    return Subject(id="a1", metric=metric, service=service, started_ms=START_MS, symptom=symptom)


def latencies(slow: Mapping[str, float]) -> list[SeriesWindow]:
    """Latency of every service of the shop, those in `slow` at that multiple of the usual."""
    return [
        series(service, "request_latency", observed=10.0 * slow.get(service, 1.0))
        for service in ("front", "cart", "ads", "pay", "db")
    ]


def span(
    service: str,
    operation: str,
    kind: str,
    *,
    peer: str = "",
    calls: float = 100.0,
    own: tuple[float, float] = (10.0, 10.0),
    whole: tuple[float, float] = (50.0, 50.0),
) -> list[SeriesWindow]:
    """Count, self time and duration of one span operation, usual and observed."""
    labels = {"operation": operation, "span_kind": kind} | ({"peer": peer} if peer else {})
    return [
        series(service, "span_count", usual=calls, labels=labels),
        series(service, "self_time_p50", usual=own[0], observed=own[1], labels=labels),
        series(service, "span_duration_p50", usual=whole[0], observed=whole[1], labels=labels),
    ]
