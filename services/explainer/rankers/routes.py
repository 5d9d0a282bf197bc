"""Which service a caller waits for, when its spans do not say.

A client span named only after a method stands for calls to several services. How often each
service answered this caller and how often each method was used are both counted, so the split
is found by least squares over the samples: each answered operation belongs to the method whose
counts it adds up to. Pure linear algebra; cost: a few thousand products of small matrices per
caller.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.explainer.rankers.spans import Span, TimeExcess

STEPS = 2000
"""Steps of projected gradient; the problems have a handful of unknowns."""

MEDIAN_SHARE, HIGH_SHARE = 0.5, 0.05
"""Share of the calls that must be slow to move the median, and a high percentile."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """A wait of `caller` and, by service, how plausible it is that this one was waited for."""

    caller: str
    excess: TimeExcess
    plausible: Mapping[str, float]


def routes_of(spans: Sequence[Span]) -> list[Route]:
    """Waits of every caller, the unnamed ones split over the services it may have called."""
    named = [_named(span) for span in spans if span.kind == "client" and span.peer]
    answered: dict[str, list[Span]] = defaultdict(list)
    unnamed: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.kind == "server" and span.peer:
            answered[span.peer].append(span)
        if span.kind == "client" and not span.peer:
            unnamed[span.service].append(span)
    split = [
        route
        for caller in sorted(unnamed)
        for route in _split(caller, unnamed[caller], answered[caller])
    ]
    return named + split


def _named(span: Span) -> Route:
    return Route(caller=span.peer, excess=span.own, plausible={span.service: 1.0})


def _split(caller: str, methods: Sequence[Span], answered: Sequence[Span]) -> list[Route]:
    if not answered:
        return []
    belongs = belonging(methods, answered)
    return [
        Route(
            caller=caller,
            excess=method.own,
            plausible=_plausible(method, answered, belongs[:, column]),
        )
        for column, method in enumerate(methods)
    ]


def _plausible(method: Span, answered: Sequence[Span], belongs: Matrix) -> dict[str, float]:
    needed = HIGH_SHARE if method.own.in_tail else MEDIAN_SHARE
    share: dict[str, float] = defaultdict(float)
    for span, part in zip(answered, belongs, strict=True):
        share[span.service] += part * span.calls / max(method.calls, 1.0)
    return {service: min(1.0, s / needed) for service, s in share.items() if s > 0}


def belonging(methods: Sequence[Span], answered: Sequence[Span]) -> Matrix:
    """How much of each answered operation (row) each method (column) stands for, 0..1."""
    times = sorted({at for span in [*methods, *answered] for at in span.counts})
    used = _table(methods, times)
    got = _table(answered, times)
    weight = 1.0 / np.sqrt(used.sum(axis=1, keepdims=True) + 1.0)
    left, right = (got * weight).T @ (got * weight), (got * weight).T @ (used * weight)
    step = 1.0 / max(float(np.trace(left)), 1e-12)
    part = np.full((len(answered), len(methods)), 1.0 / len(methods))
    for _ in range(STEPS):
        part = np.clip(part - step * (left @ part - right), 0.0, 1.0)
    return part


def _table(spans: Sequence[Span], times: Sequence[int]) -> Matrix:
    rows = [[span.counts.get(at, 0.0) for span in spans] for at in times]
    return np.array(rows, dtype=np.float64).reshape(len(times), len(spans))
