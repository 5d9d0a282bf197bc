"""Memory, CPU, event loops, and errors that nobody caught."""

from typing import Final

from observability.limits import limits
from observability.rules.rule import Group, Rule, Severity

_SHARE: Final = 0.8
_MEMORY: Final = 'process_resident_memory_bytes{{job="sensus",service="{}"}}'
_CPU: Final = 'process_cpu_seconds_total{{job="sensus",service="{}"}}'


def _memory_high() -> Rule:
    """Limits differ by service: they are those of the Kubernetes manifests."""
    limit = limits()["ingest"].memory_bytes
    return Rule(
        name="SensusMemoryHigh",
        expr=" or ".join(
            f"{_MEMORY.format(name)} > {_SHARE} * {limit.memory_bytes}"
            for name, limit in limits().items()
        ),
        lasts="10m",
        severity=Severity.WARNING,
        summary="{{ $labels.service }} uses more than 80 % of its memory limit",
        labels={"job": "sensus", "service": "ingest"},
        fires={_MEMORY.format("ingest"): f"{int(0.9 * limit)}x20"},
        quiet={_MEMORY.format("ingest"): f"{int(0.7 * limit)}x20"},
    )


def _cpu_high() -> Rule:
    limit = limits()["ingest"].cpus
    return Rule(
        name="SensusCpuHigh",
        expr=" or ".join(
            f"rate({_CPU.format(name)}[5m]) > {_SHARE} * {limit.cpus:g}"
            for name, limit in limits().items()
        ),
        lasts="15m",
        severity=Severity.WARNING,
        summary="{{ $labels.service }} uses more than 80 % of its CPU limit",
        labels={"job": "sensus", "service": "ingest"},
        fires={_CPU.format("ingest"): f"0+{int(60 * 0.9 * limit)}x30"},
        quiet={_CPU.format("ingest"): f"0+{int(60 * 0.7 * limit)}x30"},
        after="30m",
    )


def _must_stay_zero(name: str, metric: str, label: str, example: str, summary: str) -> Rule:
    series = f'{metric}{{service="gateway",{label}="{example}"}}'
    return Rule(
        name=name,
        expr=f"sum by (service, {label}) (increase({metric}[15m])) > 0",
        lasts="0m",
        severity=Severity.WARNING,
        summary=summary,
        labels={"service": "gateway", label: example},
        fires={series: "0x10 1x10"},
        quiet={series: "2x20"},
    )


GROUP: Final = Group(
    name="sensus-resources",
    rules=(
        _memory_high(),
        _cpu_high(),
        Rule(
            name="SensusFileDescriptorsHigh",
            expr='process_open_fds{job="sensus"} > 0.8 * process_max_fds{job="sensus"}',
            severity=Severity.WARNING,
            summary="{{ $labels.service }} has nearly no file descriptors left",
            labels={"job": "sensus", "service": "gateway"},
            fires={
                'process_open_fds{job="sensus",service="gateway"}': "900x20",
                'process_max_fds{job="sensus",service="gateway"}': "1024x20",
            },
            quiet={
                'process_open_fds{job="sensus",service="gateway"}': "90x20",
                'process_max_fds{job="sensus",service="gateway"}': "1024x20",
            },
        ),
        Rule(
            name="SensusEventLoopLag",
            expr=(
                "histogram_quantile(0.99, sum by (service, le) "
                "(rate(sensus_event_loop_lag_seconds_bucket[5m]))) > 0.25"
            ),
            severity=Severity.WARNING,
            summary="The event loop of {{ $labels.service }} is held up",
            labels={"service": "ingest"},
            fires={
                'sensus_event_loop_lag_seconds_bucket{service="ingest",le="0.25"}': "0x20",
                'sensus_event_loop_lag_seconds_bucket{service="ingest",le="0.5"}': "0+240x20",
                'sensus_event_loop_lag_seconds_bucket{service="ingest",le="+Inf"}': "0+240x20",
            },
            quiet={
                'sensus_event_loop_lag_seconds_bucket{service="ingest",le="0.25"}': "0+240x20",
                'sensus_event_loop_lag_seconds_bucket{service="ingest",le="+Inf"}': "0+240x20",
            },
        ),
        _must_stay_zero(
            "SensusUnhandledErrors",
            "sensus_unhandled_errors_total",
            "where",
            "task",
            "An error of {{ $labels.service }} was caught by nobody",
        ),
        _must_stay_zero(
            "SensusInternalErrors",
            "sensus_internal_errors_total",
            "rpc_method",
            "sensus.ingest.v1.IngestService/WriteBatch",
            "{{ $labels.rpc_method }} of {{ $labels.service }} ended with an unforeseen error",
        ),
        Rule(
            name="SensusCompactionBehind",
            expr=(
                "max(sensus_compaction_behind_batches) > 10000 and "
                "max(delta(sensus_compaction_behind_batches[1h])) > 0"
            ),
            lasts="2h",
            severity=Severity.WARNING,
            summary="Compaction does not keep up: queries get slower",
            fires={"sensus_compaction_behind_batches": "0+500x240"},
            quiet={"sensus_compaction_behind_batches": "0+500x30 15000-500x30 0x180"},
            after="4h",
        ),
        Rule(
            name="SensusRateLimited",
            expr="sum by (kind) (rate(sensus_http_rate_limited_total[10m])) > 1",
            lasts="10m",
            severity=Severity.INFO,
            summary="A caller keeps running into its limit of {{ $labels.kind }}",
            labels={"kind": "metrics"},
            fires={'sensus_http_rate_limited_total{kind="metrics"}': "0+120x30"},
            quiet={'sensus_http_rate_limited_total{kind="metrics"}': "0+5x30"},
            after="30m",
        ),
        Rule(
            name="SensusLoginsLocked",
            expr='sum(increase(sensus_logins_total{result=~"refused|locked"}[10m])) > 100',
            lasts="0m",
            severity=Severity.WARNING,
            summary="Somebody tries passwords",
            fires={'sensus_logins_total{result="refused"}': "0+20x20"},
            quiet={'sensus_logins_total{result="refused"}': "0+1x20"},
        ),
    ),
)
