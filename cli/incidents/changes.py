"""Incidents that ask which change was to blame, or whether none was.

`alert.json.gz` names service, metric and time; `metrics.csv.gz` holds timestamp, service,
metric, value; `context_commits`, `context_deploys` and `context_flags` list what people did,
`patterns` how log lines changed. A commit counts from its deploy on; one that was never
deployed took no effect.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from cli.incidents.incident import Incident
from cli.incidents.table import read_rows
from services.explainer.model.case import Case, Change, LogPattern, Subject
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import symptom_of

MARKER = "alert.json.gz"
BEFORE_ALERT_MS = 15 * 60_000
"""A symptom is looked for from this long before its alert on."""


def read(folder: Path) -> Iterator[Incident]:
    """The one incident of `folder`."""
    alert = _load(folder, "alert")
    fired_ms = _ms(alert["fired_at"])
    subject = Subject(
        id=folder.name,
        metric=alert["metric"],
        service=alert["service"],
        started_ms=fired_ms,
        symptom=symptom_of(alert["metric"]),
    )
    case = Case(
        subject=subject,
        series=tuple(_series(folder, fired_ms)),
        changes=tuple(_changes(folder)),
        log_patterns=tuple(_patterns(folder)),
    )
    name = folder.parents[1].name
    yield Incident(id=folder.name, collection=name, case=case, answers="change")


def _series(folder: Path, fired_ms: int) -> Iterator[SeriesWindow]:
    groups: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in read_rows(folder / "metrics.csv.gz"):
        key = row["service"], row["metric"]
        groups[key].append((_ms(row["timestamp"]), float(row["value"] or "nan")))
    for (service, metric), samples in sorted(groups.items()):
        samples.sort()
        yield SeriesWindow(
            evidence_id=f"{service}|{metric}",
            metric=metric,
            service=service,
            timestamps_ms=np.array([at for at, _ in samples], dtype=np.int64),
            values=np.array([value for _, value in samples], dtype=np.float64),
            observed_start_ms=fired_ms - BEFORE_ALERT_MS,
            observed_end_ms=samples[-1][0],
        )


def _changes(folder: Path) -> Iterator[Change]:
    deploys = {d["commit_sha"]: d for d in _load(folder, "context_deploys")}
    for commit in _load(folder, "context_commits"):
        deploy = deploys.get(commit["sha"])
        yield Change(
            evidence_id=f"commit|{commit['sha']}",
            id=commit["sha"],
            kind="deploy" if deploy else "commit",
            service=deploy["service"] if deploy else "",
            at_ms=_ms(deploy["timestamp"] if deploy else commit["timestamp"]),
            text=commit["message"],
            files=tuple(commit["files_changed"]),
            diff=commit["diff"] or "",
        )
    for flag in _load(folder, "context_flags"):
        yield Change(
            evidence_id=f"flag|{flag['flag']}",
            id=flag["flag"],
            kind="flag",
            service=flag["service"],
            at_ms=_ms(flag["timestamp"]),
            text=flag["flag"],
        )


def _patterns(folder: Path) -> Iterator[LogPattern]:
    for number, pattern in enumerate(_load(folder, "patterns")):
        yield LogPattern(
            evidence_id=f"log|{number}",
            service=pattern["service"],
            text=pattern["signature"],
            count=float(pattern["count"]),
            delta=float(pattern["delta_vs_baseline"]),
            negative=pattern["sentiment"] == "negative",
        )


def _load(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt") as text:
        return json.load(text)


def _ms(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)
