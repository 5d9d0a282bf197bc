"""Incidents that ask which change was to blame, or whether none was.

`alert.json.gz` names service, metric and time; `metrics.csv.gz` holds timestamp, service,
metric, value; `context_commits`, `context_deploys` and `context_flags` list what people did,
`patterns` how log lines changed. A commit counts from its deploy on; one that was never
deployed took no effect.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from cli.rank.incidents.files import read_document, read_rows, reading
from cli.rank.incidents.incident import Incident
from cli.timestamps import milliseconds
from services.explainer.model.case import Case, Change, LogPattern, Subject
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import symptom_of

MARKER = "alert.json.gz"
BEFORE_ALERT_MS = 15 * 60_000
"""A symptom is looked for from this long before its alert on."""


T = TypeVar("T")


class _Alert(msgspec.Struct):
    service: str
    metric: str
    fired_at: str


class _Deploy(msgspec.Struct):
    commit_sha: str
    timestamp: str
    service: str | None = None


class _Commit(msgspec.Struct):
    sha: str
    timestamp: str
    message: str | None = None
    files_changed: list[str] | None = None
    diff: str | None = None


class _FlagChange(msgspec.Struct):
    flag: str
    timestamp: str
    service: str | None = None


class _Pattern(msgspec.Struct):
    signature: str
    service: str | None = None
    count: float | str = 0.0
    delta_vs_baseline: float | str = 0.0
    sentiment: str | None = None


def read(folder: Path) -> Iterator[Incident]:
    """The one incident of `folder`.

    Raises:
        Problem: A file that is damaged.
    """
    alert = read_document(folder / MARKER, _Alert)
    with reading(folder / MARKER):
        fired_ms = milliseconds(alert.fired_at)
    subject = Subject(
        id=folder.name,
        metric=alert.metric,
        service=alert.service,
        started_ms=fired_ms,
        symptom=symptom_of(alert.metric),
    )
    case = Case(
        subject=subject,
        series=tuple(_series(folder, fired_ms)),
        changes=tuple(_changes(folder)),
        log_patterns=tuple(_patterns(folder)),
    )
    name = folder.parents[1].name
    yield Incident(
        id=folder.name, collection=name, place=folder / MARKER, case=case, answers="change"
    )


def _series(folder: Path, fired_ms: int) -> Iterator[SeriesWindow]:
    path = folder / "metrics.csv.gz"
    groups: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    with reading(path):
        for row in read_rows(path):
            key = row["service"], row["metric"]
            groups[key].append((milliseconds(row["timestamp"]), float(row["value"] or "nan")))
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
    deploys = {each.commit_sha: each for each in _listed(folder, "context_deploys", _Deploy)}
    with reading(folder / _file("context_commits")):
        for commit in _listed(folder, "context_commits", _Commit):
            deploy = deploys.get(commit.sha)
            yield Change(
                evidence_id=f"commit|{commit.sha}",
                id=commit.sha,
                kind="deploy" if deploy else "commit",
                service=(deploy.service or "") if deploy else "",
                at_ms=milliseconds((deploy or commit).timestamp),
                text=commit.message or "",
                files=tuple(commit.files_changed or ()),
                diff=commit.diff or "",
            )
    with reading(folder / _file("context_flags")):
        for flag in _listed(folder, "context_flags", _FlagChange):
            yield Change(
                evidence_id=f"flag|{flag.flag}",
                id=flag.flag,
                kind="flag",
                service=flag.service or "",
                at_ms=milliseconds(flag.timestamp),
                text=flag.flag,
            )


def _patterns(folder: Path) -> Iterator[LogPattern]:
    with reading(folder / _file("patterns")):
        for number, pattern in enumerate(_listed(folder, "patterns", _Pattern)):
            yield LogPattern(
                evidence_id=f"log|{number}",
                service=pattern.service or "",
                text=pattern.signature,
                count=float(pattern.count),
                delta=float(pattern.delta_vs_baseline),
                negative=pattern.sentiment == "negative",
            )


def _listed(folder: Path, name: str, kind: type[T]) -> list[T]:
    path = folder / _file(name)
    return read_document(path, list[kind]) if path.is_file() else []  # type: ignore[valid-type]


def _file(name: str) -> str:
    return f"{name}.json.gz"
