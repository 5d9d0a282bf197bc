"""Metrics of the detector: name, unit, meaning, what to do when it moves."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

SAMPLES_PROCESSED: Final = Counter(
    "sensus_detector_samples_processed_total",
    "Samples taken by the engine. Flat while ingest's counter rises: look at the lag and the log.",
)
SAMPLES_SCORED: Final = Counter(
    "sensus_detector_samples_scored_total",
    "Samples that got a score. Flat with samples processed: no model, or all series warm up.",
)
SCORE_DURATION: Final = Histogram(
    "sensus_detector_score_duration_seconds",
    "Time of the engine for one batch. Rising at equal load: the CPU is short, add a replica.",
    buckets=_SECONDS,
)
CHECKPOINT_DURATION: Final = Histogram(
    "sensus_detector_checkpoint_duration_seconds",
    "Time to commit one checkpoint. Above 1 s scoring waits for it: look at PostgreSQL.",
    buckets=_SECONDS,
)
CHECKPOINTS_FAILED: Final = Counter(
    "sensus_detector_checkpoints_failed_total",
    "Checkpoints that are tried again. Rising: check PostgreSQL; nothing is lost.",
)
ANOMALIES: Final = Counter(
    "sensus_detector_anomalies_total",
    "Anomalies committed. A jump: an incident, or a source that changed; flat for days: too quiet.",
    ["severity", "kind"],
)
WARM_SERIES: Final = Gauge(
    "sensus_detector_warm_series",
    "Series held here that are past their warm-up. Far below the series held: churn of labels.",
)
SERIES: Final = Gauge(
    "sensus_detector_series",
    "Series held here. Only ever rising: some label holds a value that never comes again.",
)
SHARDS_HELD: Final = Gauge(
    "sensus_detector_shards_held",
    "Shards held here. The sum over replicas must be the number of shards.",
)
SHARDS_LOST: Final = Counter(
    "sensus_detector_shards_lost_total",
    "Shards another holder had taken. Often: leases run out, look at the event loop's lag.",
)
CREDIT_USED: Final = Gauge(
    "sensus_detector_credit_used_samples",
    "Samples delivered and not yet committed. Near the limit all the time: scoring is behind.",
)
LAG: Final = Gauge(
    "sensus_detector_lag_samples",
    "Samples ingest has committed and this replica has not acked. Rising: add a replica.",
)
GAPS: Final = Counter(
    "sensus_detector_gaps_total",
    "Times history was dropped before it was scored. Must stay 0: the detector was down too long.",
)
STATES_LOST: Final = Counter(
    "sensus_detector_states_lost_total",
    "Series whose stored state could not be read. Expected once after an update, else look at it.",
)
MODEL_VERSION: Final = Gauge(
    "sensus_detector_model_version",
    "Version that scores here; 0 for none. Replicas must agree within seconds.",
)
MODELS_REFUSED: Final = Counter(
    "sensus_detector_models_refused_total",
    "Models that could not be read; another one scores. Must stay 0: see the log.",
)
MODEL_DRIFT: Final = Gauge(
    "sensus_detector_model_drift_ratio",
    "Stability index of the live scores. Above 0.25 a training is asked for: sources changed?",
)
TRAININGS: Final = Counter(
    "sensus_detector_trainings_total",
    "Models trained, by what asked for them. No daily one for two days: see the log of trainings.",
    ["trigger"],
)
TRAININGS_FAILED: Final = Counter(
    "sensus_detector_trainings_failed_total",
    "Trainings that gave no model; tried again. Must stay 0: see the log.",
)
RULES: Final = Gauge(
    "sensus_detector_rules",
    "Threshold rules followed here. Replicas must agree within seconds; 0: none is enabled.",
)
ALARMS_SILENCED: Final = Counter(
    "sensus_detector_alarms_silenced_total",
    "Alarms weaker than those people called false. Far above the anomalies: is feedback right?",
)
FEEDBACK: Final = Counter(
    "sensus_detector_feedback_total",
    "Judgements of anomalies. False ones rising: lower the noise budget or look at the model.",
    ["verdict"],
)
DROPPED: Final = Counter(
    "sensus_detector_dropped_total",
    "Rows that retention dropped, by kind. Flat for days on an old installation: see the log.",
    ["kind"],
)
WATCHERS: Final = Gauge(
    "sensus_detector_watchers",
    "Open watches of anomalies. 0 with explainers running: they cannot reach this replica.",
)
