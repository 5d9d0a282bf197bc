"""A day of incidents of one system: per-minute metrics, statistics of trace spans, log counts.

`incidents.json` gives the time at which each fault began; nobody alerts, so the subject is the
service that the outside calls. Minutes in which another fault was active are part of the
baseline: it is robust, and nothing tells them apart. Minutes marked `normal` come from a run
without faults.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from cli.rank.incidents.files import LAST_S, read_columns, read_document
from cli.rank.incidents.incident import Incident
from cli.rank.incidents.spans import entry_of, read_log_counts, read_spans
from cli.rank.incidents.timelines import Timeline, metric_timelines
from services.explainer.model.case import Case, ServiceGraph, Subject

MARKER = "incidents.json"
DAY_S = 86_400
WATCHED_MS = 4 * 60_000
"""How long after its beginning a fault is looked at."""


class _DayEntry(msgspec.Struct):
    id: str
    inject_time: Annotated[float, msgspec.Meta(ge=0, le=LAST_S)]


class _Day(msgspec.Struct):
    incidents: list[_DayEntry]


def read(folder: Path) -> Iterator[Incident]:
    """Every incident of the day.

    Raises:
        Problem: A file that is missing or damaged.
    """
    about = read_document(folder / MARKER, _Day)
    if not about.incidents:
        return
    timelines, graph = read_day(folder)
    for listed in about.incidents:
        case = case_at(timelines, graph, id=listed.id, begun_ms=int(listed.inject_time) * 1000)
        yield Incident(
            id=listed.id, collection=folder.parent.name, place=folder / MARKER, case=case
        )


def read_day(folder: Path) -> tuple[list[Timeline], ServiceGraph]:
    """All series of the day and the calls seen in its traces."""
    about = read_document(folder / MARKER, _Day)
    day_ms = int(min(listed.inject_time for listed in about.incidents)) // DAY_S * DAY_S * 1000
    metrics_file = folder / "metrics_full.csv.gz"
    columns = read_columns(metrics_file) if metrics_file.is_file() else {}
    spans, graph = read_spans(folder / "trace_edges.csv.gz", day_ms)
    logs = read_log_counts(folder / "log_counts.csv.gz", day_ms)
    metrics, calls = metric_timelines(columns)
    return metrics + spans + logs, ServiceGraph(edges=graph.edges | calls)


def case_at(timelines: list[Timeline], graph: ServiceGraph, *, id: str, begun_ms: int) -> Case:
    """The case of a fault that began at `begun_ms`."""
    series = tuple(t.around(begun_ms, begun_ms + WATCHED_MS) for t in timelines)
    subject = Subject(id=id, service=entry_of(timelines), started_ms=begun_ms)
    return Case(subject=subject, series=series, graph=graph)
