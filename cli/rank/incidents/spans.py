"""Trace spans and log lines counted per minute, as series.

A span that a service opens around a call to another one is charged to the service called when
its operation is the same as one that service answers; it then measures the wait between the
two. A span named only after an HTTP method waits for a service unknown; it has no `peer`. The
other spans measure time spent inside the service.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cli.rank.incidents.files import Row, read_rows, reading
from cli.rank.incidents.timelines import MINUTE_MS, Timeline
from services.explainer.model.case import ServiceGraph

SPAN_COLUMNS = {
    "n": "span_count",
    "self_p50": "self_time_p50",
    "self_p95": "self_time_p95",
    "dur_p50": "span_duration_p50",
    "dur_p95": "span_duration_p95",
}
COUNT_COLUMNS = frozenset({"n", "lines", "err"})
ROOT = "root"
NORMAL = "normal"
"""Minutes marked so are from a run without faults."""


def read_spans(path: Path, day_ms: int) -> tuple[list[Timeline], ServiceGraph]:
    """Series of every (service, caller, operation) and the calls between services.

    Raises:
        Problem: A damaged file.
    """
    rows = read_rows(path)
    with reading(path):
        answered = {
            (r["parent_service"], _operation(r["op"])): r["service"]
            for r in rows
            if r["parent_service"] != r["service"]
        }
        groups: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        for row in rows:
            groups[row["service"], row["parent_service"], row["op"]].append(row)
        found = [t for key, g in sorted(groups.items()) for t in _series(key, g, answered, day_ms)]
    edges = {(caller, s) for s, caller, _ in groups if s != caller and caller != ROOT}
    return found, ServiceGraph(edges=frozenset(edges))


def entry_of(timelines: list[Timeline]) -> str:
    """The service that the outside calls; "" when the traces name none or several."""
    entries = {t.service for t in timelines if t.labels.get("peer") == ROOT}
    return entries.pop() if len(entries) == 1 else ""


def read_log_counts(path: Path, day_ms: int) -> list[Timeline]:
    """Lines and error lines of each service.

    Raises:
        Problem: A damaged file.
    """
    groups: dict[str, dict[str, Row]] = defaultdict(dict)
    with reading(path):
        for row in read_rows(path):
            groups[row["service"]][row["minute"]] = row
        minutes = dict.fromkeys(minute for rows in groups.values() for minute in rows)
        return [
            _timeline(metric, service, {}, _whole(rows, minutes), column, day_ms)
            for service, rows in sorted(groups.items())
            for column, metric in (("lines", "log_lines"), ("err", "log_errors"))
        ]


def _whole(rows: dict[str, Row], minutes: Iterable[str]) -> list[Row]:
    """A row for each minute in which anyone logged: who has none logged nothing."""
    return [rows.get(each, {"minute": each, "lines": "0", "err": "0"}) for each in minutes]


def _series(
    key: tuple[str, str, str], rows: list[Row], answered: dict[tuple[str, str], str], day_ms: int
) -> list[Timeline]:
    service, caller, op = key
    callee = answered.get((service, _operation(op))) if caller == service else None
    labels = {"operation": op, "peer": service if callee else caller}
    if callee:
        labels["span_kind"] = "client"
    elif caller != service:
        labels["span_kind"] = "server"
    elif op.startswith("HTTP "):
        labels = {"operation": op, "span_kind": "client"}
    else:
        labels["span_kind"] = "internal"
    return [
        _timeline(metric, callee or service, labels, rows, column, day_ms)
        for column, metric in SPAN_COLUMNS.items()
    ]


def _timeline(
    metric: str, service: str, labels: dict[str, str], rows: list[Row], column: str, day_ms: int
) -> Timeline:
    times = np.array([_minute_ms(row["minute"], day_ms) for row in rows], dtype=np.int64)
    order = np.argsort(times, kind="stable")
    return Timeline(
        metric=metric,
        service=service,
        labels=labels,
        timestamps_ms=times[order],
        values=np.array([float(row[column] or "nan") for row in rows], dtype=np.float64)[order],
        bucketed=True,
        counts=column in COUNT_COLUMNS,
        fault_free=_fault_free(rows)[order] if column in COUNT_COLUMNS else None,
    )


def _fault_free(rows: list[Row]) -> NDArray[np.bool_]:
    """Where counts tell what is usual; a spread takes more minutes than those to be seen."""
    return np.array([NORMAL in row["minute"] for row in rows], dtype=np.bool_)


def _minute_ms(minute: str, day_ms: int) -> int:
    hours, colon, minutes = minute[:5].partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal()):
        raise ValueError(f"{minute[:80]!r} is no minute of the day like 07:05")
    return day_ms + (int(hours) * 60 + int(minutes)) * MINUTE_MS


def _operation(name: str) -> str:
    """Package-free `Service/Method`, the same on both sides of a call."""
    return name.removeprefix("/").removeprefix("grpc.").rpartition(".")[2]
