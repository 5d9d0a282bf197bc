"""Incidents with an alert, per-node metrics of the window and of a normal run, and a call graph.

`<id>/incident.json` names the alerting node, metric and time, and where the normal run and the
graph lie; columns are `node|metric|aggregate` in steps of some minutes. The normal run was
recorded at another time, so all of it is baseline; so are the samples of the window before the
alert.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from cli.incidents.incident import Incident
from cli.incidents.table import read_columns
from services.explainer.model.case import Case, ServiceGraph, Subject
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.measures import symptom_of

MARKER = "incident.json"
Columns = dict[str, Values]


def read(folder: Path) -> Iterator[Incident]:
    """The one incident of `folder`."""
    about = json.loads((folder / MARKER).read_text())
    normal = _normal_run(_above(folder, about["normal"]))
    window = read_columns(folder / about["window"])
    alert = about["alert"]
    subject = Subject(
        id=about["id"],
        metric=alert["metric"],
        service=alert["node"],
        started_ms=int(alert["timestamp"]) * 1000,
        symptom=symptom_of(alert["metric"]),
    )
    graph = read_graph(_above(folder, about["graph"]), alerting=alerting_nodes(folder.parent))
    case = Case(subject=subject, graph=graph, series=series_of(normal, window, subject.started_ms))
    yield Incident(id=about["id"], collection=_collection(folder), case=case)


def series_of(normal: Columns, window: Columns, alert_ms: int) -> tuple[SeriesWindow, ...]:
    """One series per column of the window; observed from the step that holds the alert."""
    window_ms = (window["time"] * 1000).astype(np.int64)
    step_ms = int(np.diff(window_ms).min()) if window_ms.size > 1 else 1
    times = np.concatenate([window_ms, (normal["time"] * 1000).astype(np.int64)])
    order = np.argsort(times, kind="stable")
    nothing = np.full(normal["time"].size, np.nan)
    return tuple(
        SeriesWindow(
            evidence_id=name,
            labels={"aggregate": name.rpartition("|")[2]},
            metric=name.split("|")[1],
            service=name.split("|")[0],
            timestamps_ms=times[order],
            values=np.concatenate([values, normal.get(name, nothing)])[order],
            observed_start_ms=alert_ms - step_ms + 1,
            observed_end_ms=int(window_ms.max()),
        )
        for name, values in window.items()
        if name != "time"
    )


def alerting_nodes(incidents: Path) -> tuple[str, ...]:
    """The nodes that alert in the incidents of a collection, one per incident."""
    files = sorted(incidents.glob(f"*/{MARKER}"))
    return tuple(json.loads(path.read_text())["alert"]["node"] for path in files)


@cache
def read_graph(path: Path, *, alerting: tuple[str, ...]) -> ServiceGraph:
    """Calls, caller first, whichever way the file lists them.

    Symptoms are explained by what the alerting nodes depend on, so the way round is taken in which
    those of the whole collection together reach more of the graph.
    """
    pairs = json.loads(path.read_text())["edges_cause_to_effect"]
    as_listed = ServiceGraph(edges=frozenset((a, b) for a, b in pairs))
    turned = ServiceGraph(edges=frozenset((b, a) for a, b in pairs))
    return max(as_listed, turned, key=lambda g: sum(len(g.distances(node)) for node in alerting))


@cache
def _normal_run(path: Path) -> Columns:
    return read_columns(path)


def _above(folder: Path, relative: str) -> Path:
    return next(p / relative for p in folder.parents if (p / relative).is_file())


def _collection(folder: Path) -> str:
    return folder.parents[1].name
