"""The dashboard of one service: a panel for each metric that it declares."""

from collections.abc import Iterator
from typing import Final

from observability.catalogue import Metric, metrics
from observability.dashboards.dashboard import Dashboard
from observability.dashboards.panel import Panel, Query
from observability.services import Service

_QUANTILES: Final = ("0.5", "0.95", "0.99")
_UNITS: Final = {"_seconds": "s", "_bytes": "bytes", "_ratio": "percentunit"}


def of_service(service: Service) -> Dashboard:
    """What it declares, then what every process says of itself."""
    own = [_panel(metric) for metric in metrics() if metric.owner == service.name]
    return Dashboard(
        name=service.name,
        title=service.name,
        panels=[*own, *_process(service.name), *_runtime(service.name)],
    )


def _panel(metric: Metric, where: str = "") -> Panel:
    return Panel(
        title=_title(metric),
        queries=list(_queries(metric, where)),
        unit=_unit(metric),
        description=metric.meaning,
    )


def _queries(metric: Metric, where: str) -> Iterator[Query]:
    labels = ", ".join(metric.labels)
    by = f" by ({labels})" if labels else ""
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels)
    if metric.kind == "histogram":
        for quantile in _QUANTILES:
            rate = f"sum by (le) (rate({metric.name}_bucket{where}[$__rate_interval]))"
            yield Query(expr=f"histogram_quantile({quantile}, {rate})", legend=f"p{quantile[2:]}")
    elif metric.kind == "summary":
        rates = [f"sum{by}(rate({metric.name}_{each}{where}[$__rate_interval]))"
                 for each in ("sum", "count")]  # fmt: skip
        yield Query(expr=f"{rates[0]} / ({rates[1]} > 0)", legend=legend)
    elif metric.kind == "counter":
        yield Query(
            expr=f"sum{by}(rate({metric.name}_total{where}[$__rate_interval]))", legend=legend
        )
    else:
        yield Query(expr=f"sum{by}({metric.name}{where})", legend=legend)


def _runtime(service: str) -> list[Panel]:
    """The metrics of the runtime, of this service alone."""
    return [
        _panel(metric, f'{{service="{service}"}}') for metric in metrics() if metric.owner == "mesh"
    ]


def _process(service: str) -> list[Panel]:
    of = f'{{job="sensus",service="{service}"}}'
    return [
        Panel(
            title="CPU",
            queries=[Query(expr=f"rate(process_cpu_seconds_total{of}[$__rate_interval])")],
            description="Cores in use, of each process.",
        ),
        Panel(
            title="Memory",
            queries=[Query(expr=f"process_resident_memory_bytes{of}")],
            unit="bytes",
            description="Resident memory of each process.",
        ),
    ]


def _title(metric: Metric) -> str:
    words = metric.name.removeprefix("sensus_").split("_")
    while words[-1] in ("seconds", "bytes", "ratio"):
        words.pop()
    title = " ".join(words).capitalize()
    return f"{title} per second" if metric.kind == "counter" else title


def _unit(metric: Metric) -> str:
    return next((unit for end, unit in _UNITS.items() if metric.name.endswith(end)), "short")
