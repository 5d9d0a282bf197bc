"""Incidents with an alert, per-node metrics of the window and of a normal run, and a call graph.

`<id>/incident.json` names the alerting node, metric and time, and where the normal run and the
graph lie; columns are `node|metric|aggregate` in steps of some minutes. The normal run was
recorded at another time, so all of it is baseline; so are the samples of the window before the
alert.
"""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from cli.problem import Problem
from cli.rank.incidents.files import LAST_S, read_columns, read_document
from cli.rank.incidents.incident import Incident
from services.explainer.model.case import Case, ServiceGraph, Subject
from services.explainer.model.windows import SeriesWindow, Values
from services.explainer.rankers.measures import symptom_of

MARKER = "incident.json"
Columns = dict[str, Values]


class _Alert(msgspec.Struct):
    node: str
    metric: str
    timestamp: Annotated[float, msgspec.Meta(ge=0, le=LAST_S)]


class _Manifest(msgspec.Struct):
    id: str
    alert: _Alert
    normal: str
    window: str
    graph: str


class _Graph(msgspec.Struct):
    edges_cause_to_effect: list[tuple[str, str]]


def read(folder: Path) -> Iterator[Incident]:
    """The one incident of `folder`.

    Raises:
        Problem: A file that is missing or damaged.
    """
    about = read_document(folder / MARKER, _Manifest)
    normal = _normal_run(_above(folder, about.normal))
    window = read_columns(folder / about.window)
    if not window["time"].size:
        raise Problem(f"{folder / about.window}: no samples in it")
    subject = Subject(
        id=about.id,
        metric=about.alert.metric,
        service=about.alert.node,
        started_ms=int(about.alert.timestamp) * 1000,
        symptom=symptom_of(about.alert.metric),
    )
    graph = read_graph(_above(folder, about.graph), alerting=alerting_nodes(folder.parent))
    case = Case(subject=subject, graph=graph, series=series_of(normal, window, subject.started_ms))
    yield Incident(id=about.id, collection=_collection(folder), place=folder / MARKER, case=case)


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
            metric=name.partition("|")[2].partition("|")[0],
            service=name.partition("|")[0],
            timestamps_ms=times[order],
            values=np.concatenate([values, normal.get(name, nothing)])[order],
            observed_start_ms=alert_ms - step_ms + 1,
            observed_end_ms=int(window_ms.max()),
        )
        for name, values in window.items()
        if name != "time"
    )


def alerting_nodes(incidents: Path) -> tuple[str, ...]:
    """The nodes that alert in the incidents of a collection, one per incident that can be read."""
    found = []
    for path in sorted(incidents.glob(f"*/{MARKER}")):
        with suppress(Problem):
            found.append(read_document(path, _Manifest).alert.node)
    return tuple(found)


@cache
def read_graph(path: Path, *, alerting: tuple[str, ...]) -> ServiceGraph:
    """Calls, caller first, whichever way the file lists them.

    Symptoms are explained by what the alerting nodes depend on, so the way round is taken in which
    those of the whole collection together reach more of the graph.
    """
    pairs = read_document(path, _Graph).edges_cause_to_effect
    as_listed = ServiceGraph(edges=frozenset((a, b) for a, b in pairs))
    turned = ServiceGraph(edges=frozenset((b, a) for a, b in pairs))
    return max(as_listed, turned, key=lambda g: sum(len(g.distances(node)) for node in alerting))


@cache
def _normal_run(path: Path) -> Columns:
    return read_columns(path)


def _above(folder: Path, relative: str) -> Path:
    for parent in folder.parents:
        if (parent / relative).is_file():
            return parent / relative
    raise Problem(f"{folder / MARKER}: names {relative}, which is nowhere above it")


def _collection(folder: Path) -> str:
    return folder.parents[1].name
