"""What was counted of each route: from the gateway's own page, or from a Prometheus."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from cli.problem import Problem

DURATION: Final = "sensus_http_request_duration_seconds"
_TIMEOUT_S: Final = 30.0


@dataclass(slots=True, kw_only=True)
class RouteCounts:
    """Requests of one route.

    Attributes:
        by_status: requests by HTTP status.
        within_s: requests that took no longer than so many seconds, by that bound.
    """

    route: str
    by_status: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    within_s: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        """All requests."""
        return sum(self.by_status.values())


def read_exposition(text: str) -> list[RouteCounts]:
    """Counts since the start of the process whose `/metrics` are given."""
    samples = (
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        if family.name == DURATION
        for sample in family.samples
    )
    return _collected(samples)


def read_prometheus(url: str, window: str) -> list[RouteCounts]:
    """Counts of the last `window`, such as `30d`, of all gateways that a Prometheus scrapes.

    Raises:
        Problem: It does not answer, or not with numbers.
    """
    by = {"count": "route, status", "bucket": "route, le"}
    return _collected(
        (f"{DURATION}_{suffix}", labels, value)
        for suffix, labels_kept in by.items()
        for labels, value in _query(
            url, f"sum by ({labels_kept}) (increase({DURATION}_{suffix}[{window}]))"
        )
    )


def _collected(samples: Iterable[tuple[str, Mapping[str, str], float]]) -> list[RouteCounts]:
    found: dict[str, RouteCounts] = {}
    for name, labels, value in samples:
        route = labels["route"]
        counts = found.setdefault(route, RouteCounts(route=route))
        if name.endswith("_count"):
            counts.by_status[labels["status"]] += value
        elif name.endswith("_bucket"):
            counts.within_s[float(labels["le"])] += value
    return [found[route] for route in sorted(found)]


def _query(url: str, query: str) -> list[tuple[dict[str, str], float]]:
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/api/v1/query", params={"query": query}, timeout=_TIMEOUT_S
        )
        body = answer.json()
        return [(each["metric"], float(each["value"][1])) for each in body["data"]["result"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise Problem(f"{url} does not answer as a Prometheus does: {error!r}") from None
