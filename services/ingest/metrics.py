"""Metrics of ingest: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from mesh.exemplars import TracedHistogram
from mesh.metrics import OTHER

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
BODIES_REFUSED: Final = Counter(
    "sensus_bodies_refused_total",
    "Whole bodies of remote write and OTLP that were refused, by reason. CALLER_OVER_LIMIT and "
    "SAMPLE_RATE_EXCEEDED: one sender sends too much; others: it sends what is no such body.",
    ["kind", "reason"],
)
EXEMPLARS_SKIPPED: Final = Counter(
    "sensus_exemplars_skipped_total",
    "Exemplars that came and are not kept: without the id of a trace, too old, or more than "
    "1,000 a minute of one caller. Rising: look at what the sender's exemplars hold.",
)
EXEMPLARS_KEPT: Final = Counter(
    "sensus_exemplars_kept_total",
    "Exemplars that are kept, or give way to a greater one of their minute. Flat while senders "
    "trace: explanations of anomalies lead to no trace of their series.",
)
EVENTS_RECEIVED: Final = Counter(
    "sensus_events_received_total",
    "Rows of spans and log records that were committed, by kind of body. Flat while senders run: "
    "look at refusals and at PostgreSQL.",
    ["kind"],
)
EVENTS_REFUSED: Final = Counter(
    "sensus_events_refused_total",
    "Spans and log records that were refused. Rising: ids of a wrong length, or senders' clocks.",
    ["kind"],
)
EVENTS_REPEATED: Final = Counter(
    "sensus_events_repeated_total",
    "Bodies of traces and logs that came again and were counted once. Rising: senders lose their "
    "answers.",
    ["kind"],
)
EVENT_COMMIT_DURATION: Final = Histogram(
    "sensus_event_commit_duration_seconds",
    "Time of one group commit of events. Rising: the disk of PostgreSQL.",
    buckets=_SECONDS,
)
EVENT_COMMIT_WAITING: Final = Gauge(
    "sensus_event_commit_waiting_bodies",
    "Bodies that wait for their commit. Rising: senders are faster than PostgreSQL.",
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
ALERTS_REFUSED: Final = Counter(
    "sensus_alerts_refused_total",
    "Alerts that could not be taken, by reason. Above 0: the sender's alerts have no labels.",
    ["reason"],
)
ALERTS_MENDED: Final = Counter(
    "sensus_alerts_mended_total",
    "Faults of form in alerts that were taken all the same, by reason. Rising START_TIME_CLAMPED: "
    "a sender's clock; SEVERITY_UNKNOWN: map the word by SENSUS_ALERT_SEVERITIES.",
    ["reason"],
)
PROCESSING_DURATION: Final = TracedHistogram(
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
ALERT_COMMIT_GROUP: Final = Histogram(
    "sensus_alert_commit_group_calls",
    "Calls with alerts in one group commit. At 256 all the time: PostgreSQL is the bottleneck.",
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
    "Samples or alert changes delivered, by subscription. Flat with a lag: the consumer hangs.",
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
TAIL_INDEX_BYTES: Final = Gauge(
    "sensus_tail_index_bytes",
    "Memory of the index of what is not compacted, at most 64 MB. At its limit: questions look "
    "at the series of all older batches; see what is not compacted.",
)
COMPACTION_BEHIND: Final = Gauge(
    "sensus_compaction_behind_batches",
    "Positions of the log that are not in chunks yet. Rising for hours: queries get slow.",
)
PARTITIONS_DROPPED: Final = Counter(
    "sensus_partitions_dropped_total",
    "Day partitions dropped by retention. Flat for days on an old installation: see the log.",
    ["table"],
)
EXPIRED: Final = Counter(
    "sensus_expired_total",
    "Resolved episodes, dead letters and unused subscriptions deleted by age. "
    "Dead letters among them: nobody redrove them in time.",
    ["kind"],
)

ALERT_WATCHES: Final = Gauge(
    "sensus_alert_watches", "Open watches of alerts. 0 while incidents runs: it hears of none."
)
ALERTS_UNREPEATED: Final = Counter(
    "sensus_alerts_unrepeated_total",
    "Episodes ended because nobody repeated them. Rising: a sender is gone, or repeats less often "
    "than SENSUS_INGEST_ALERT_RESOLVE_TIMEOUT_S.",
)

_OWN_SUBSCRIPTIONS: Final = frozenset({"detector", "explainer", "topology"})


def shown(subscription: str) -> str:
    """A subscription in a label: its name is the subscriber's text, so only ours are shown."""
    return subscription if subscription in _OWN_SUBSCRIPTIONS else OTHER
