"""Metrics of the gateway: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUEST_DURATION: Final = Histogram(
    "sensus_http_request_duration_seconds",
    "Time from a request to the end of its answer; of streams, their whole life. "
    "Rising p99: compare with rpc_server_call_duration_seconds of the service behind the route.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
ACTIVE_REQUESTS: Final = Gauge(
    "sensus_http_active_requests",
    "Requests being answered now, streams included. Near SENSUS_MAX_CONNECTIONS: add a gateway.",
)
RATE_LIMITED: Final = Counter(
    "sensus_http_rate_limited_total",
    "Requests over their caller's limit, by kind. Steady: find the caller in the access log.",
    ["kind"],
)
ALERTS_POSTED: Final = Counter(
    "sensus_http_alerts_total",
    "Alerts that came by webhook, by result: accepted, duplicate, refused; ingest counts all. "
    "Refused above 0: the sender's rules make labels that Prometheus would not.",
    ["result"],
)
SAMPLES_POSTED: Final = Counter(
    "sensus_http_samples_total",
    "Samples that came by POST /api/v1/metrics, by result: accepted, duplicate, refused.",
    ["result"],
)
LOGINS: Final = Counter(
    "sensus_logins_total",
    "Log-ins by result: granted, refused, locked. Locked rising: somebody tries passwords.",
    ["result"],
)
OPEN_STREAMS: Final = Gauge(
    "sensus_http_open_streams",
    "Streams (SSE, NDJSON) that are open now.",
)
