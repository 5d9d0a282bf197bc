"""Metrics of the runtime, the same in every service: name, unit, meaning, what to do."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Summary

from mesh.exemplars import TracedHistogram

OTHER: Final = "_OTHER"
"""Stands in a label for whatever a caller made up."""

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

RPC_SERVER_DURATION: Final = TracedHistogram(
    "rpc_server_call_duration_seconds",
    "Time from the arrival of a call to its status; of streams, their whole life. "
    "Rising p99 with flat traffic: look at sensus_postgres_query_duration_seconds first.",
    ["rpc_method", "rpc_response_status_code"],
    buckets=_SECONDS,
)
RPC_SERVER_ACTIVE: Final = Gauge(
    "sensus_rpc_server_active_calls",
    "Calls being handled now, streams included. Only ever rising: handlers hang or clients leak.",
    ["rpc_method"],
)
ERRORS_MASKED: Final = Counter(
    "sensus_internal_errors_total",
    "Calls that ended with an error we did not foresee. Must stay 0: find the id in the log.",
    ["rpc_method"],
)
HELD_BYTES: Final = Gauge(
    "sensus_held_bytes",
    "Bytes of batches in work and of answers that their callers have not read yet. "
    "Near the bound: a caller reads too slowly; its streams end with RESOURCE_EXHAUSTED.",
)
UNHANDLED: Final = Counter(
    "sensus_unhandled_errors_total",
    "Errors of tasks, callbacks and threads that nobody caught, libraries included. "
    "Must stay 0: the log has them as `unhandled error`.",
    ["where"],
)
POSTGRES_DURATION: Final = TracedHistogram(
    "sensus_postgres_query_duration_seconds",
    "Time of a database question, waiting for a connection included. "
    "Rising: compare the operations in sensus_postgres_operation_seconds.",
    buckets=_SECONDS,
)
POSTGRES_OPERATION: Final = Summary(
    "sensus_postgres_operation_seconds",
    "The same time by operation, without buckets: there are many operations. "
    "Rising for all of them: the server or the pool; for one: its plan.",
    ["operation"],
)
POSTGRES_LOST: Final = Counter(
    "sensus_postgres_unavailable_total",
    "Questions that failed because the database did not answer. Rising: check PostgreSQL.",
)
REDIS_LOST: Final = Counter(
    "sensus_redis_unavailable_total",
    "Commands that failed because Redis did not answer. Rising: nothing is lost, but slower.",
)
COMPONENT_HEALTHY: Final = Gauge(
    "sensus_component_healthy",
    "1 when the last probe of a dependency was answered, else 0. At 0 the service is NOT_SERVING.",
    ["component"],
)
LOOP_LAG: Final = Histogram(
    "sensus_event_loop_lag_seconds",
    "How late a timer fires. Above 0.1 s something slow runs on the event loop: move it off.",
    buckets=_SECONDS,
)
