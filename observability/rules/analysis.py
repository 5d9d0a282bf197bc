"""Scores, anomalies, explanations, and the streams between them."""

from typing import Final

from observability.rules.rule import Group, Rule, Severity

_LAG: Final = 'sensus_stream_lag_samples{subscription="detector",shard="0"}'
_PUBLISHED: Final = "sensus_topology_published_minute_timestamp_seconds"
_ANOMALIES: Final = 'sensus_detector_anomalies_total{severity="warning",kind="value"}'
_LLM: Final = 'sensus_llm_call_duration_seconds_bucket{{provider="local",le="{}"}}'
_EXPLAINED: Final = 'sensus_explanation_duration_seconds_bucket{{provider="template",le="{}"}}'


def _counted(
    name: str, metric: str, severity: Severity, summary: str, by: dict[str, str], lasts: str = "0m"
) -> Rule:
    """For a counter that must stay where it is."""
    inner = ",".join(f'{label}="{value}"' for label, value in by.items())
    series = f"{metric}{{{inner}}}"
    return Rule(
        name=name,
        expr=f"sum by ({', '.join(by)}) (increase({metric}[15m])) > 0",
        lasts=lasts,
        severity=severity,
        summary=summary,
        labels=by,
        fires={series: "0x10 1x10"},
        quiet={series: "3x20"},
    )


GROUP: Final = Group(
    name="sensus-analysis",
    rules=(
        Rule(
            name="SensusStreamLag",
            expr=(
                "sum by (subscription) (sensus_stream_lag_samples) > 100000 and "
                "sum by (subscription) (delta(sensus_stream_lag_samples[10m])) > 0"
            ),
            lasts="10m",
            severity=Severity.WARNING,
            summary="{{ $labels.subscription }} falls behind what is taken in",
            labels={"subscription": "detector"},
            fires={_LAG: "0+50000x40"},
            quiet={_LAG: "900000-20000x40"},
            after="30m",
        ),
        _counted(
            "SensusHistoryLost",
            "sensus_stream_gaps_total",
            Severity.CRITICAL,
            "{{ $labels.subscription }} missed history that is gone from the log",
            {"subscription": "detector"},
        ),
        _counted(
            "SensusDeadLetters",
            "sensus_dead_letters_total",
            Severity.WARNING,
            "Deliveries to {{ $labels.subscription }} were given up",
            {"subscription": "explainer"},
        ),
        Rule(
            name="SensusDeliveryFailing",
            expr=(
                'sum by (kind) (rate(sensus_explainer_deliveries_total{outcome="retry"}[10m])) > '
                "0.1 * sum by (kind) (rate(sensus_explainer_deliveries_total[10m]))"
            ),
            lasts="10m",
            severity=Severity.WARNING,
            summary="One delivery of {{ $labels.kind }} in ten is tried again",
            labels={"kind": "alert"},
            fires={
                'sensus_explainer_deliveries_total{kind="alert",outcome="retry"}': "0+5x30",
                'sensus_explainer_deliveries_total{kind="alert",outcome="done"}': "0+5x30",
            },
            quiet={
                'sensus_explainer_deliveries_total{kind="alert",outcome="retry"}': "0x10 1x20",
                'sensus_explainer_deliveries_total{kind="alert",outcome="done"}': "0+50x30",
            },
            after="30m",
        ),
        Rule(
            name="SensusAnomalyRateHigh",
            expr=(
                "sum(increase(sensus_detector_anomalies_total[1h])) > 50 and "
                "sum(increase(sensus_detector_anomalies_total[1h])) > "
                "5 * sum(increase(sensus_detector_anomalies_total[1d])) / 24"
            ),
            severity=Severity.WARNING,
            summary="Far more anomalies than on the last day",
            lasts="0m",
            fires={_ANOMALIES: "0x48 0+60x4"},
            quiet={_ANOMALIES: "0+60x52"},
            every="30m",
            after="25h",
        ),
        Rule(
            name="SensusNoAnomalies",
            expr=(
                "sum(increase(sensus_detector_anomalies_total[7d])) == 0 and "
                "sum(rate(sensus_detector_samples_scored_total[1d])) > 0 and "
                "sum(increase(sensus_detector_samples_scored_total[7d] offset 7d)) > 0"
            ),
            lasts="1h",
            severity=Severity.INFO,
            summary="No anomaly in a week of scored samples",
            fires={
                _ANOMALIES: "3x720",
                "sensus_detector_samples_scored_total": "0+60x720",
            },
            quiet={
                _ANOMALIES: "0+1x720",
                "sensus_detector_samples_scored_total": "0+60x720",
            },
            every="30m",
            after="15d",
        ),
        Rule(
            name="SensusScoringStopped",
            expr=(
                "sum(rate(sensus_metrics_received_total[10m])) > 0 and "
                "(sum(rate(sensus_detector_samples_processed_total[10m])) or vector(0)) == 0"
            ),
            lasts="10m",
            severity=Severity.CRITICAL,
            summary="Samples come in and none is scored",
            fires={
                "sensus_metrics_received_total": "0+60x30",
                "sensus_detector_samples_processed_total": "5x30",
            },
            quiet={
                "sensus_metrics_received_total": "0+60x30",
                "sensus_detector_samples_processed_total": "0+60x30",
            },
            after="30m",
        ),
        Rule(
            name="SensusCheckpointsFailing",
            expr=(
                "sum by (service) (increase(sensus_detector_checkpoints_failed_total[10m]) or "
                "increase(sensus_topology_checkpoints_failed_total[10m])) > 5"
            ),
            severity=Severity.CRITICAL,
            summary="{{ $labels.service }} cannot keep its state: what is new is not seen",
            labels={"service": "detector"},
            fires={'sensus_detector_checkpoints_failed_total{service="detector"}': "0+2x20"},
            quiet={'sensus_detector_checkpoints_failed_total{service="detector"}': "0x10 2x10"},
        ),
        Rule(
            name="SensusMinutesBehind",
            expr=(
                "time() - max(sensus_topology_published_minute_timestamp_seconds) > 300 and "
                "sum(rate(sensus_topology_events_total[10m])) > 0"
            ),
            lasts="5m",
            severity=Severity.WARNING,
            summary="Spans come in and no minute of them becomes series",
            fires={_PUBLISHED: "0x30", "sensus_topology_events_total": "0+60x30"},
            quiet={_PUBLISHED: "0+60x30", "sensus_topology_events_total": "0+60x30"},
            after="30m",
        ),
        _counted(
            "SensusTrainingFailed",
            "sensus_detector_trainings_failed_total",
            Severity.WARNING,
            "A training gave no model; the one before goes on scoring",
            {"service": "detector"},
        ),
        Rule(
            name="SensusModelDrift",
            expr="max(sensus_detector_model_drift_ratio) > 0.25",
            lasts="1h",
            severity=Severity.INFO,
            summary="Live scores are distributed otherwise than when the model was trained",
            fires={"sensus_detector_model_drift_ratio": "0.4x90"},
            quiet={"sensus_detector_model_drift_ratio": "0.1x90"},
            after="90m",
        ),
        Rule(
            name="SensusExplanationsSlow",
            expr=(
                "histogram_quantile(0.95, sum by (le) (rate("
                'sensus_explanation_duration_seconds_bucket{provider="template"}[10m]))) > 5'
            ),
            lasts="10m",
            severity=Severity.WARNING,
            summary="Explanations without a language model take longer than 5 s",
            fires={
                _EXPLAINED.format(5): "0x30",
                _EXPLAINED.format(10): "0+9x30",
                _EXPLAINED.format("+Inf"): "0+9x30",
            },
            quiet={_EXPLAINED.format(5): "0+9x30", _EXPLAINED.format("+Inf"): "0+9x30"},
            after="30m",
        ),
        Rule(
            name="SensusEvidenceMissing",
            expr="sum by (source) (rate(sensus_explainer_source_failures_total[10m])) > 0.05",
            lasts="10m",
            severity=Severity.WARNING,
            summary="Explanations lack what {{ $labels.source }} should give",
            labels={"source": "nearby"},
            fires={'sensus_explainer_source_failures_total{source="nearby"}': "0+6x30"},
            quiet={'sensus_explainer_source_failures_total{source="nearby"}': "0x10 2x20"},
            after="30m",
        ),
        Rule(
            name="SensusLlmSlow",
            expr=(
                "histogram_quantile(0.95, sum by (provider, le) "
                "(rate(sensus_llm_call_duration_seconds_bucket[15m]))) > 30"
            ),
            lasts="10m",
            severity=Severity.WARNING,
            summary="The language model {{ $labels.provider }} takes longer than 30 s",
            labels={"provider": "local"},
            fires={
                _LLM.format(30): "0x40",
                _LLM.format(60): "0+3x40",
                _LLM.format("+Inf"): "0+3x40",
            },
            quiet={_LLM.format(30): "0+3x40", _LLM.format("+Inf"): "0+3x40"},
            after="40m",
        ),
        Rule(
            name="SensusLlmCircuitOpen",
            expr="sensus_llm_circuit_open == 1",
            lasts="10m",
            severity=Severity.WARNING,
            summary="The language model {{ $labels.provider }} is left alone after failures",
            labels={"provider": "local"},
            fires={'sensus_llm_circuit_open{provider="local"}': "1x20"},
            quiet={'sensus_llm_circuit_open{provider="local"}': "1x5 0x15"},
        ),
    ),
)
