"""The first look: is it there, what comes in, what comes out, how fast."""

from typing import Final

from observability.dashboards.dashboard import Dashboard
from observability.dashboards.panel import Panel, Query

_NEWEST_SQL: Final = """
SELECT metric_name, count(*) AS samples, max("timestamp") AS newest
FROM ingest.metrics
WHERE $__timeFilter("timestamp")
GROUP BY metric_name
ORDER BY samples DESC
LIMIT 20
""".strip()


def _total(title: str, expr: str, description: str) -> Panel:
    return Panel(
        title=title,
        queries=[Query(expr=f"sum({expr}) or vector(0)")],
        kind="stat",
        width=4,
        height=4,
        description=description,
    )


def _quantiles(title: str, metric: str, where: str, description: str) -> Panel:
    rate = f"sum by (le) (rate({metric}_bucket{where}[$__rate_interval]))"
    return Panel(
        title=title,
        queries=[
            Query(expr=f"histogram_quantile({quantile}, {rate})", legend=f"p{quantile[2:]}")
            for quantile in ("0.5", "0.95", "0.99")
        ],
        unit="s",
        description=description,
    )


OVERVIEW: Final = Dashboard(
    name="overview",
    title="overview",
    panels=[
        _total(
            "Alerts received", "sensus_alerts_received_total", "Since the processes were started."
        ),
        _total(
            "Samples received", "sensus_metrics_received_total", "Since the processes were started."
        ),
        _total("Anomalies", "sensus_detector_anomalies_total", "Since the detectors were started."),
        _total("Explanations", "sensus_explanations_total", "Since the explainers were started."),
        _total(
            "Not acknowledged yet",
            "sensus_stream_lag_samples",
            "Samples and alert changes that a subscriber has still to process.",
        ),
        _total("Services down", 'up{job="sensus"} == bool 0', "Targets that answer no scrape."),
        Panel(
            title="Samples per second",
            queries=[Query(expr="sum(rate(sensus_metrics_received_total[$__rate_interval]))")],
            description="Committed, so acknowledged.",
        ),
        Panel(
            title="Alert changes per second",
            queries=[
                Query(
                    expr="sum by (outcome) (rate(sensus_alerts_received_total[$__rate_interval]))",
                    legend="{{outcome}}",
                )
            ],
            description="Stored, duplicate or refused.",
        ),
        _quantiles(
            "Processing of writes",
            "sensus_processing_duration_seconds",
            "",
            "From the arrival of a write to its commit. Rising: PostgreSQL's disk.",
        ),
        _quantiles(
            "Requests over HTTP",
            "sensus_http_request_duration_seconds",
            '{route!~".+:[A-Za-z]+"}',
            "From a request to the end of its answer, streams left out.",
        ),
        _quantiles(
            "Questions to PostgreSQL",
            "sensus_postgres_query_duration_seconds",
            "",
            "Waiting for a connection included.",
        ),
        _quantiles(
            "Event loops",
            "sensus_event_loop_lag_seconds",
            "",
            "How late a timer fires. Above 0.1 s something slow runs on a loop.",
        ),
        Panel(
            title="Lag of streams",
            queries=[
                Query(
                    expr="sum by (subscription) (sensus_stream_lag_samples)",
                    legend="{{subscription}}",
                )
            ],
            description="Rising: add a replica of the subscriber.",
        ),
        Panel(
            title="Health of components",
            queries=[
                Query(
                    expr='min by (component) (sensus_component_healthy{service="gateway"})',
                    legend="{{component}}",
                )
            ],
            description="1: the last probe was answered.",
        ),
        Panel(
            title="Memory by service",
            queries=[
                Query(
                    expr='sum by (service) (process_resident_memory_bytes{job="sensus"})',
                    legend="{{service}}",
                )
            ],
            unit="bytes",
            description="Follows the number of series.",
        ),
        Panel(
            title="Samples stored, by metric",
            sql=_NEWEST_SQL,
            kind="table",
            width=24,
            description="From PostgreSQL, the view ingest.metrics.",
        ),
    ],
)
