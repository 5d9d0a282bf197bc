"""Metrics of the gateway: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge

from mesh.exemplars import TracedHistogram

REQUEST_DURATION: Final = TracedHistogram(
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
ITEMS_REFUSED: Final = Counter(
    "sensus_http_items_refused_total",
    "Alerts and samples of HTTP senders that were refused, also inside a 200, by reason. "
    "Above 0: the log names a sender and what to change.",
    ["kind", "reason"],
)
ALERT_WARNINGS: Final = Counter(
    "sensus_http_alert_warnings_total",
    "Faults of form in alerts of HTTP senders that were taken all the same, by reason; the answer "
    "names each. START_TIME_CLAMPED rising: a sender's clock.",
    ["reason"],
)
LOGINS: Final = Counter(
    "sensus_logins_total",
    "Log-ins by result: granted, refused, locked. Locked rising: somebody tries passwords.",
    ["result"],
)
OPEN_STREAMS: Final = Gauge(
    "sensus_http_open_streams",
    "Streams (SSE, NDJSON) that are open now. Only ever rising: clients leak them.",
)
CONNECTIONS: Final = Gauge(
    "sensus_http_connections",
    "Connections that are open now, with a request or without. "
    "Near SENSUS_MAX_CONNECTIONS: find who holds them, or add a gateway.",
)
CONNECTIONS_CUT: Final = Counter(
    "sensus_http_connections_cut_total",
    "Connections that were ended before their peer ended them: idle, slow_reader, limit, "
    "address_limit, reserve, or the reason of a refusal. "
    "limit or reserve rising: somebody holds connections for nothing.",
    ["reason"],
)
