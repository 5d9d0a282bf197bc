"""Calls, requests, samples and alerts: errors, time, volume."""

from typing import Final

from observability.rules.rule import Group, Rule, Severity

_HTTP: Final = "sensus_http_request_duration_seconds"
_RPC: Final = "rpc_server_call_duration_seconds"
# streams live for hours and probes say nothing of people's waiting
_NOT_TIMED: Final = "/health|/livez|/readyz|/metrics|.+:[A-Za-z]+"
_STREAMS: Final = ".+/(WriteSamples|Subscribe|Watch.*|Score|Explain|TrainModel|.*Stream.*)"


def _http(status: str, le: str = "") -> str:
    bucket = f'le="{le}",' if le else ""
    suffix = "bucket" if le else "count"
    return (
        f'{_HTTP}_{suffix}{{job="sensus",service="gateway",method="GET",{bucket}'
        f'route="/api/v1/alerts",status="{status}"}}'
    )


def _http_slow(name: str, quantile: str, bound_s: str, severity: Severity) -> Rule:
    fast, slow, every = _http("200", "0.25"), _http("200", "2.5"), _http("200", "+Inf")
    return Rule(
        name=name,
        expr=(
            f"histogram_quantile({quantile}, sum by (le) "
            f'(rate({_HTTP}_bucket{{route!~"{_NOT_TIMED}"}}[5m]))) > {bound_s}'
        ),
        severity=severity,
        summary=f"The {quantile} quantile of requests is above {bound_s} s",
        fires={fast: "0x20", slow: "0+60x20", every: "0+60x20"},
        quiet={fast: "0+60x20", slow: "0+60x20", every: "0+60x20"},
    )


GROUP: Final = Group(
    name="sensus-traffic",
    rules=(
        Rule(
            name="SensusHttpErrors",
            expr=(
                f'sum(rate({_HTTP}_count{{status=~"5.."}}[5m])) '
                f"/ sum(rate({_HTTP}_count[5m])) > 0.01"
            ),
            severity=Severity.CRITICAL,
            summary="More than 1 % of requests are answered with 5xx",
            fires={_http("200"): "0+95x20", _http("503"): "0+5x20"},
            quiet={_http("200"): "0+999x20", _http("503"): "0+1x20"},
        ),
        Rule(
            name="SensusRpcErrors",
            expr=(
                f"sum by (service) (rate({_RPC}_count{{rpc_response_status_code=~"
                '"INTERNAL|UNKNOWN|DATA_LOSS|UNIMPLEMENTED|DEADLINE_EXCEEDED"}[5m])) '
                f"/ sum by (service) (rate({_RPC}_count[5m])) > 0.01"
            ),
            severity=Severity.CRITICAL,
            summary="More than 1 % of the calls of {{ $labels.service }} fail",
            labels={"service": "ingest"},
            fires={
                f'{_RPC}_count{{service="ingest",rpc_response_status_code="OK"}}': "0+90x20",
                f'{_RPC}_count{{service="ingest",rpc_response_status_code="INTERNAL"}}': "0+10x20",
            },
            quiet={
                f'{_RPC}_count{{service="ingest",rpc_response_status_code="OK"}}': "0+90x20",
                f'{_RPC}_count{{service="ingest",rpc_response_status_code="NOT_FOUND"}}': "0+9x20",
            },
        ),
        _http_slow("SensusHttpSlowP95", "0.95", "0.5", Severity.WARNING),
        _http_slow("SensusHttpSlowP99", "0.99", "1", Severity.WARNING),
        Rule(
            name="SensusRpcSlow",
            expr=(
                "histogram_quantile(0.99, sum by (service, le) "
                f'(rate({_RPC}_bucket{{rpc_method!~"{_STREAMS}"}}[5m]))) > 2.5'
            ),
            severity=Severity.WARNING,
            summary="One call in a hundred of {{ $labels.service }} takes longer than 2.5 s",
            labels={"service": "ingest"},
            fires={
                f'{_RPC}_bucket{{service="ingest",rpc_method="a/ListAlerts",le="2.5"}}': "0x20",
                f'{_RPC}_bucket{{service="ingest",rpc_method="a/ListAlerts",le="5"}}': "0+9x20",
                f'{_RPC}_bucket{{service="ingest",rpc_method="a/ListAlerts",le="+Inf"}}': "0+9x20",
            },
            quiet={
                f'{_RPC}_bucket{{service="ingest",rpc_method="a/WriteSamples",le="5"}}': "0x20",
                f'{_RPC}_bucket{{service="ingest",rpc_method="a/WriteSamples",le="+Inf"}}': (
                    "0+9x20"
                ),
            },
        ),
        Rule(
            name="SensusWritesSlow",
            expr=(
                "histogram_quantile(0.99, sum by (kind, le) "
                "(rate(sensus_processing_duration_seconds_bucket[5m]))) > 1"
            ),
            severity=Severity.WARNING,
            summary="One write of {{ $labels.kind }} in a hundred is acknowledged after 1 s",
            labels={"kind": "samples"},
            fires={
                'sensus_processing_duration_seconds_bucket{kind="samples",le="1"}': "0x20",
                'sensus_processing_duration_seconds_bucket{kind="samples",le="2.5"}': "0+9x20",
                'sensus_processing_duration_seconds_bucket{kind="samples",le="+Inf"}': "0+9x20",
            },
            quiet={
                'sensus_processing_duration_seconds_bucket{kind="samples",le="1"}': "0+9x20",
                'sensus_processing_duration_seconds_bucket{kind="samples",le="+Inf"}': "0+9x20",
            },
        ),
        Rule(
            name="SensusQueriesSlow",
            expr=(
                "histogram_quantile(0.95, sum by (service, le) "
                "(rate(sensus_postgres_query_duration_seconds_bucket[5m]))) > 0.5"
            ),
            lasts="10m",
            severity=Severity.WARNING,
            summary="PostgreSQL answers {{ $labels.service }} slowly: p95 above 0.5 s",
            labels={"service": "explainer"},
            fires={
                'sensus_postgres_query_duration_seconds_bucket{service="explainer",le="0.5"}': (
                    "0x20"
                ),
                'sensus_postgres_query_duration_seconds_bucket{service="explainer",le="1"}': (
                    "0+9x20"
                ),
                'sensus_postgres_query_duration_seconds_bucket{service="explainer",le="+Inf"}': (
                    "0+9x20"
                ),
            },
            quiet={
                'sensus_postgres_query_duration_seconds_bucket{service="explainer",le="0.5"}': (
                    "0+9x20"
                ),
                'sensus_postgres_query_duration_seconds_bucket{service="explainer",le="+Inf"}': (
                    "0+9x20"
                ),
            },
        ),
        Rule(
            name="SensusAlertVolumeHigh",
            expr=(
                'sum(increase(sensus_alerts_received_total{outcome="stored"}[1h])) > 500 and '
                'sum(increase(sensus_alerts_received_total{outcome="stored"}[1h])) > 5 * '
                'sum(increase(sensus_alerts_received_total{outcome="stored"}[1d])) / 24'
            ),
            severity=Severity.WARNING,
            summary="Far more alerts come in than on the last day",
            lasts="0m",
            fires={'sensus_alerts_received_total{outcome="stored"}': "0+30x48 1500+6000x4"},
            quiet={'sensus_alerts_received_total{outcome="stored"}': "0+6000x52"},
            every="30m",
            after="25h",
        ),
        Rule(
            name="SensusNoAlerts",
            expr=(
                "sum(increase(sensus_alerts_received_total[1d])) == 0 and "
                "sum(sensus_alerts_received_total) > 0"
            ),
            lasts="1h",
            severity=Severity.INFO,
            summary="No alert has come in for a day, and some came before",
            fires={'sensus_alerts_received_total{outcome="stored"}': "5x60"},
            quiet={'sensus_alerts_received_total{outcome="stored"}': "5x20 6x40"},
            every="30m",
            after="26h",
        ),
        Rule(
            name="SensusMetricVolumeHigh",
            expr=(
                "sum(rate(sensus_metrics_received_total[1h])) > 1000 and "
                "sum(rate(sensus_metrics_received_total[1h])) > "
                "3 * sum(rate(sensus_metrics_received_total[1d]))"
            ),
            severity=Severity.WARNING,
            summary="More than three times as many samples come in as on the last day",
            lasts="0m",
            fires={"sensus_metrics_received_total": "0+1800x48 88200+18000000x4"},
            quiet={"sensus_metrics_received_total": "0+18000000x52"},
            every="30m",
            after="25h",
        ),
        Rule(
            name="SensusNoMetrics",
            expr=(
                "sum(rate(sensus_metrics_received_total[10m])) == 0 and "
                "sum(sensus_metrics_received_total) > 0"
            ),
            lasts="10m",
            severity=Severity.CRITICAL,
            summary="No sample has come in for twenty minutes, and some came before",
            fires={"sensus_metrics_received_total": "0+60x5 300x40"},
            quiet={"sensus_metrics_received_total": "0+60x45"},
            after="40m",
        ),
        Rule(
            name="SensusSamplesRefused",
            expr=(
                "sum by (reason) (rate(sensus_samples_refused_total[5m])) > "
                "0.01 * scalar(sum(rate(sensus_metrics_received_total[5m]))) + 1"
            ),
            severity=Severity.WARNING,
            summary="Many samples are refused: {{ $labels.reason }}",
            labels={"reason": "SAMPLE_TOO_NEW"},
            fires={
                'sensus_samples_refused_total{reason="SAMPLE_TOO_NEW"}': "0+6000x20",
                "sensus_metrics_received_total": "0+6000x20",
            },
            quiet={
                'sensus_samples_refused_total{reason="SAMPLE_TOO_NEW"}': "0+6x20",
                "sensus_metrics_received_total": "0+6000x20",
            },
        ),
    ),
)
