"""The page of all metrics, `docs/metrics.md`."""

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from observability.catalogue import Metric, metrics
from observability.services import services

_HEAD: Final = """# Metrics

Made by `make observability` from `mesh/metrics.py` and `services/*/metrics.py`; change those.
Names that count carry `_total`, histograms `_bucket`, `_sum` and `_count`. Buckets carry exemplars
with the trace, where the scraper asks for OpenMetrics.

| service | `/metrics` on port |
|---|---|
"""
_OWNERS: Final = {"mesh": "Every service but the agent"}


def page() -> str:
    """The page as Markdown."""
    ports = "".join(f"| {each.name} | {each.metrics_port} |\n" for each in services())
    tables = (
        "\n".join(_table(owner, owned)) for owner, owned in groupby(metrics(), lambda m: m.owner)
    )
    return _HEAD + ports + "\n" + "\n\n".join(tables) + "\n"


def _table(owner: str, owned: Iterator[Metric]) -> Iterator[str]:
    yield f"## {_OWNERS.get(owner, owner.capitalize())}"
    yield "| metric | kind | labels | what it is, and what to do |"
    yield "|---|---|---|---|"
    for metric in owned:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        yield f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |"
