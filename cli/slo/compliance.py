"""Whether the objectives are kept: pure arithmetic over counts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cli.slo.counts import RouteCounts
from cli.slo.objectives import Objectives

ALL_ROUTES = "all routes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compliance:
    """How one route keeps the objectives.

    Attributes:
        requests: how many were counted.
        availability: share of them that the product was there for.
        error_rate: share of them that a fault of ours answered.
        latency_s: by quantile, the bucket bound that it lies below; infinite beyond the last.
        bad_ratio: share of bad requests, by the name of the objective.
        budget_remaining: share of the bad requests still allowed, by objective; below 0: broken.
    """

    route: str
    requests: float
    availability: float
    error_rate: float
    latency_s: dict[float, float]
    bad_ratio: dict[str, float]
    budget_remaining: dict[str, float]

    @property
    def broken(self) -> list[str]:
        """Names of the objectives that are not kept."""
        return [name for name, left in self.budget_remaining.items() if left < 0]

    @property
    def is_met(self) -> bool:
        """Whether all are kept."""
        return not self.broken


def compliance(counts: Iterable[RouteCounts], objectives: Objectives) -> list[Compliance]:
    """One for each route that was asked for and that something is promised for."""
    return [
        _compliance(each, objectives)
        for each in counts
        if objectives.covers(each.route) and each.total > 0
    ]


def overall(counts: Sequence[RouteCounts], objectives: Objectives) -> Compliance | None:
    """All routes together; None when nothing was asked for."""
    total = RouteCounts(route=ALL_ROUTES)
    for each in counts:
        if objectives.covers(each.route):
            for status, count in each.by_status.items():
                total.by_status[status] += count
            for bound_s, count in each.within_s.items():
                total.within_s[bound_s] += count
    return _compliance(total, objectives) if total.total > 0 else None


def _compliance(counts: RouteCounts, objectives: Objectives) -> Compliance:
    bad = {
        "availability": _share(counts, objectives.availability.bad_statuses),
        "errors": _share(counts, objectives.errors.bad_statuses),
    }
    for latency in objectives.latency:
        bad[latency.name] = 1 - counts.within_s.get(latency.seconds, 0.0) / counts.total
    allowed = objectives.allowed()
    return Compliance(
        route=counts.route,
        requests=counts.total,
        availability=1 - bad["availability"],
        error_rate=bad["errors"],
        latency_s={each.quantile: _quantile(counts, each.quantile) for each in objectives.latency},
        bad_ratio=bad,
        budget_remaining={name: 1 - bad[name] / allowed[name] for name in allowed},
    )


def _share(counts: RouteCounts, statuses: str) -> float:
    matching = (
        count for status, count in counts.by_status.items() if re.fullmatch(statuses, status)
    )
    return sum(matching) / counts.total


def _quantile(counts: RouteCounts, quantile: float) -> float:
    wanted = quantile * counts.total
    bounds = sorted(counts.within_s)
    return next((bound for bound in bounds if counts.within_s[bound] >= wanted), float("inf"))
