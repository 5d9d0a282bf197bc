"""Every metric that exists, read off its one declaration.

`mesh/metrics.py` and each `services/<name>/metrics.py` declare metrics as objects of
prometheus_client: name, unit, meaning, and what to do. Nothing is listed a second time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.metrics import MetricWrapperBase

from observability.services import services

_SUFFIXES: Final = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
    "gauge": ("",),
}
RUNTIME: Final = frozenset(
    {
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
    }
)
"""What prometheus_client says of every process by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric as it is declared.

    Attributes:
        name: of the family; a counter's without `_total`.
        kind: counter, gauge, histogram or summary.
        labels: names of its labels; empty for what a collector of its own makes.
        meaning: what it measures, then what to do when it moves.
        owner: `mesh`, for a metric of every service of the mesh, or the one service.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    owner: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which it is asked for."""
        return tuple(f"{self.name}{suffix}" for suffix in _SUFFIXES[self.kind])


@cache
def metrics() -> tuple[Metric, ...]:
    """All of them, by owner and in the order of their declaration."""
    modules = {"mesh": import_module("mesh.metrics")}
    modules |= {each.name: import_module(f"services.{each.name}.metrics") for each in services()}
    return tuple(metric for owner, module in modules.items() for metric in _declared(owner, module))


def series_names() -> frozenset[str]:
    """Every name that a query may use, those of each process included."""
    return RUNTIME | {name for metric in metrics() for name in metric.series}


def _declared(owner: str, module: ModuleType) -> Iterator[Metric]:
    for value in vars(module).values():
        for family in _families(value):
            labels = value._labelnames if isinstance(value, MetricWrapperBase) else ()
            yield Metric(
                name=family.name,
                kind=family.type,
                labels=tuple(labels),
                meaning=family.documentation,
                owner=owner,
            )


def _families(value: object) -> Iterable[Family]:
    """What a module's attribute declares; nothing when it is no metric."""
    if isinstance(value, MetricWrapperBase):
        return value.describe()
    if hasattr(value, "collect") and not isinstance(value, type | CollectorRegistry):
        return list(value.collect())
    return ()
