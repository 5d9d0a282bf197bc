"""Metrics of topology: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

EVENTS: Final = Counter(
    "sensus_topology_events_total",
    "Spans and log records counted. Flat while those of ingest rise: look at the lag and the log.",
)
COUNT_DURATION: Final = Histogram(
    "sensus_topology_count_duration_seconds",
    "Time to count one delivery. Rising at equal load: the CPU is short, add a replica.",
    buckets=_SECONDS,
)
CHECKPOINT_DURATION: Final = Histogram(
    "sensus_topology_checkpoint_duration_seconds",
    "Time to commit one checkpoint. Above 1 s counting waits for it: look at PostgreSQL.",
    buckets=_SECONDS,
)
CHECKPOINTS_FAILED: Final = Counter(
    "sensus_topology_checkpoints_failed_total",
    "Checkpoints that are tried again. Rising: check PostgreSQL; nothing is lost.",
)
MINUTES: Final = Counter(
    "sensus_topology_minutes_total",
    "Minutes of shards that became final. Flat while spans come: the log's clock stands still.",
)
SHARDS_HELD: Final = Gauge(
    "sensus_topology_shards_held",
    "Shards held here. The sum over replicas must be the number of shards.",
)
SHARDS_LOST: Final = Counter(
    "sensus_topology_shards_lost_total",
    "Shards another holder had taken. Often: leases run out, look at the event loop's lag.",
)
UNSETTLED: Final = Gauge(
    "sensus_topology_unsettled_events",
    "Events of traces that are not settled. Far above ten seconds of traffic: traces never end.",
)
CREDIT_USED: Final = Gauge(
    "sensus_topology_credit_used_events",
    "Events delivered and not yet committed. Near the limit all the time: counting is behind.",
)
LAG: Final = Gauge(
    "sensus_topology_lag_events",
    "Events ingest has committed and this replica has not acked. Rising: add a replica.",
)
GAPS: Final = Counter(
    "sensus_topology_gaps_total",
    "Times events were dropped before they were counted. Must stay 0: topology was down too long.",
)
PUBLISHED_MINUTE: Final = Gauge(
    "sensus_topology_published_minute_timestamp_seconds",
    "End of the last minute whose series were handed to ingest. Minutes behind: see the log.",
)
SERIES_FOLDED: Final = Counter(
    "sensus_topology_series_folded_total",
    "Rows of a minute without series of their own: a service has many operations or patterns. "
    "Jumps: names that hold an id.",
)
DEPLOYS: Final = Counter(
    "sensus_topology_deploys_total",
    "Versions sent to the explainer as changes. Rising all the time: a version in every process?",
)
DROPPED: Final = Counter(
    "sensus_topology_dropped_total",
    "Rows that retention dropped, by kind. Flat for days on an old installation: see the log.",
    ["kind"],
)
