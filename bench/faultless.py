"""Windows without a fault, cut from what recorded incidents say is normal."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cli.rank.incidents.callgraphs import Columns, alerting_nodes, read_graph, series_of
from cli.rank.incidents.files import read_columns
from cli.rank.incidents.traces import MARKER as DAY
from cli.rank.incidents.traces import case_at, read_day
from services.explainer.model.case import Case, Subject
from services.explainer.rankers.measures import symptom_of

SYMPTOMS = ("latency", "availability")
STEPS, APART = 5, 23
"""Steps in a window as in an incident's, and between the beginnings of two windows."""

QUIET_MS, APART_MS = 3_600_000, 17 * 60_000
"""How long after the last fault of a day it counts as over, and between two windows."""


def faultless_cases(directory: Path) -> Iterator[tuple[str, Case]]:
    """Every fault-free window below `directory` with the name of its collection."""
    for path in sorted(directory.rglob("normal.csv.gz")):
        yield from ((path.parents[1].name, case) for case in _from_normal_run(path))
    for path in sorted(directory.rglob(DAY)):
        yield from ((path.parents[1].name, case) for case in _after_last_fault(path.parent))


def _from_normal_run(path: Path) -> Iterator[Case]:
    """Windows of a normal run, the alert of a real incident claimed for each."""
    columns = read_columns(path)
    alerting = alerting_nodes(path.parents[1] / "incidents")
    graph = read_graph(path.parent / "graph.json", alerting=alerting)
    starts = range(APART, columns["time"].size - APART, APART)
    for number, start in enumerate(starts):
        metric = SYMPTOMS[number % len(SYMPTOMS)]
        alert_ms = int(columns["time"][start + 2]) * 1000 - 60_000
        subject = Subject(
            id=f"{path.parent.name}-{start}",
            metric=metric,
            service=alerting[0],
            started_ms=alert_ms,
            symptom=symptom_of(metric),
        )
        series = series_of(*_cut(columns, start), alert_ms)
        yield Case(subject=subject, graph=graph, series=series)


def _cut(columns: Columns, start: int) -> tuple[Columns, Columns]:
    """The rest as the normal run, and one window."""
    inside = np.zeros(columns["time"].size, dtype=bool)
    inside[start : start + STEPS] = True
    rest = {name: values[~inside] for name, values in columns.items()}
    return rest, {name: values[inside] for name, values in columns.items()}


def _after_last_fault(folder: Path) -> Iterator[Case]:
    """Windows from an hour after the last fault of the day to its end; no traces reach there."""
    begun = [i["inject_time"] * 1000 for i in json.loads((folder / DAY).read_text())["incidents"]]
    timelines, graph = read_day(folder)
    last_ms = max(int(t.timestamps_ms[-1]) for t in timelines if not t.bucketed)
    for at_ms in range(max(begun) + QUIET_MS, last_ms - APART_MS, APART_MS):
        yield case_at(timelines, graph, id=f"{folder.name}-{at_ms}", begun_ms=at_ms)
