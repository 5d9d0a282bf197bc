"""Objectives: how much of each budget is left, and how fast it goes."""

from typing import Final

from observability.dashboards.dashboard import Dashboard
from observability.dashboards.panel import Panel, Query

SLO: Final = Dashboard(
    name="slo",
    title="objectives",
    panels=[
        Panel(
            title="Budget left",
            queries=[Query(expr="slo_error_budget_remaining", legend="{{slo}}")],
            kind="stat",
            unit="percentunit",
            width=24,
            height=5,
            description="1: nothing is spent. Below 0: the objective is broken.",
        ),
        Panel(
            title="Bad requests in the last hour",
            queries=[Query(expr='slo_error_rate{window="1h"}', legend="{{slo}}")],
            unit="percentunit",
            width=12,
            description="Share of requests, by objective.",
        ),
        Panel(
            title="Availability by route",
            queries=[Query(expr="slo_availability", legend="{{route}}")],
            unit="percentunit",
            width=12,
            description="Over the whole window.",
        ),
        Panel(
            title="Requests by route",
            queries=[
                Query(
                    expr="sum by (route) (rate(slo_requests_total[$__rate_interval]))",
                    legend="{{route}}",
                )
            ],
            unit="reqps",
            width=12,
            description="Of the routes that an objective covers.",
        ),
        Panel(
            title="p99 by route",
            queries=[
                Query(
                    expr=(
                        "histogram_quantile(0.99, sum by (route, le) "
                        "(rate(slo_latency_histogram_bucket[$__rate_interval])))"
                    ),
                    legend="{{route}}",
                )
            ],
            unit="s",
            width=12,
            description="The objective is 1 s.",
        ),
    ],
)
