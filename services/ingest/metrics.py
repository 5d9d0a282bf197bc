"""Metrics of ingest: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

METRICS_RECEIVED: Final = Counter(
    "sensus_metrics_received_total",
    "Samples that were committed. Flat while senders run: look at refusals and at PostgreSQL.",
)
SAMPLES_REFUSED: Final = Counter(
    "sensus_samples_refused_total",
    "Samples that were refused, by reason. Rising: the senders' clocks, labels or limits.",
    ["reason"],
)
BATCHES_REPEATED: Final = Counter(
    "sensus_batches_repeated_total",
    "Batches that came again and were counted once. Rising: senders lose their answers.",
)
ALERTS_RECEIVED: Final = Counter(
    "sensus_alerts_received_total",
    "Alert changes by what became of them: stored, duplicate or refused.",
    ["outcome"],
)
PROCESSING_DURATION: Final = Histogram(
    "sensus_processing_duration_seconds",
    "Time from the arrival of a write to its commit. Rising: see the commit duration.",
    ["kind"],
    buckets=_SECONDS,
)
COMMIT_DURATION: Final = Histogram(
    "sensus_commit_duration_seconds",
    "Time of one group commit. Rising with the group size: load; without it: the disk.",
    buckets=_SECONDS,
)
COMMIT_GROUP: Final = Histogram(
    "sensus_commit_group_batches",
    "Batches in one group commit. At 256 all the time: PostgreSQL is the bottleneck.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
COMMIT_WAITING: Final = Gauge(
    "sensus_commit_waiting_batches",
    "Batches that wait for their commit. Rising: senders are faster than PostgreSQL.",
)
LEFT_TO_RELAY: Final = Counter(
    "sensus_redis_appends_left_to_relay_total",
    "Stream entries not appended after their commit. Rising: Redis is down or slow.",
)
RELAYED: Final = Counter(
    "sensus_relay_appended_total",
    "Stream entries that the relay appended later. Rising without restarts: Redis is shaky.",
)
READ_FROM_LOG: Final = Counter(
    "sensus_stream_read_from_log_total",
    "Segments read from PostgreSQL because Redis did not have them. Rising: a consumer is slow.",
)
DELIVERED: Final = Counter(
    "sensus_stream_delivered_total",
    "Samples or alert changes delivered, by subscription.",
    ["subscription"],
)
STREAM_LAG: Final = Gauge(
    "sensus_stream_lag_samples",
    "Samples, or alert changes, committed and not yet acked. Rising: add or mend consumers.",
    ["subscription", "shard"],
)
GAPS: Final = Counter(
    "sensus_stream_gaps_total",
    "Times history was gone before it was delivered. Above 0: lag outlives the log retention.",
    ["subscription"],
)
BURIED: Final = Counter(
    "sensus_dead_letters_total",
    "Deliveries given up. Above 0: list them, mend the consumer, redrive.",
    ["subscription"],
)
COMPACTED: Final = Counter(
    "sensus_compacted_samples_total",
    "Samples moved from the log into hourly chunks. Flat under load: the compactor hangs.",
)
COMPACTION_BEHIND: Final = Gauge(
    "sensus_compaction_behind_batches",
    "Positions of the log that are not in chunks yet. Rising for hours: queries get slow.",
)
PARTITIONS_DROPPED: Final = Counter(
    "sensus_partitions_dropped_total", "Day partitions dropped by retention.", ["table"]
)
EXPIRED: Final = Counter(
    "sensus_expired_total",
    "Resolved episodes, dead letters and unused subscriptions deleted by age. "
    "Dead letters among them: nobody redrove them in time.",
    ["kind"],
)
