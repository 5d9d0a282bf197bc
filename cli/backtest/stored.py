"""Stored series through one version of the model, or through two and compared."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.backtest.output import Output
from cli.backtest.picture import Picture, draw
from cli.clients.connection import DETECTOR, INGEST, connect
from cli.clients.rescoring import ReplayedScores, StoredSeries, rescored, stored_series
from cli.problem import Problem
from cli.product.directory import DataDirectory

_SERIES_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is scored, and by what.

    Attributes:
        versions: one version of the model, or two to compare; 0 is the active one.
    """

    selector: str
    days: float
    versions: Sequence[int]
    alerts_per_week: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionComparison:
    """Alarms of one series under each version, and those at the same sample under both."""

    labels: str
    samples: int
    alarms: Sequence[int]
    common: int


async def backtest_stored(
    directory: DataDirectory, question: Question, output: Output, console: Console
) -> int:
    """Writes a CSV for every series, named by its id, and prints what differs; how many there were.

    Raises:
        Problem: No series matches, none has samples, or the output cannot be written.
    """
    end = datetime.now(UTC)
    start = end - timedelta(days=question.days)
    async with connect(directory, INGEST) as ingest, connect(directory, DETECTOR) as detector:
        series = await stored_series(ingest, question.selector, start, end)
        if not series:
            raise Problem(f"--selector {question.selector}: no samples in {question.days:g} days")
        compared = []
        for each in track(series, "scoring", console=console, transient=True):
            scores = [
                await rescored(detector, each, version, question.alerts_per_week)
                for version in question.versions
            ]
            try:
                _write(output, each, question, scores)
                if output.png:
                    _draw(output.out, each, question, scores)
            except OSError as error:
                raise Problem(f"--out {output.out}: {error}") from error
            compared.append(_compare(each, scores))
    console.print(_table(question, compared))
    return len(series)


def _compare(series: StoredSeries, scores: Sequence[ReplayedScores]) -> VersionComparison:
    alarms = [each.alert > 0 for each in scores]
    return VersionComparison(
        labels=series.labels,
        samples=len(series.values),
        alarms=[int(each.sum()) for each in alarms],
        common=int(np.logical_and.reduce(alarms).sum()),
    )


def _write(
    output: Output, series: StoredSeries, question: Question, scores: Sequence[ReplayedScores]
) -> None:
    output.out.mkdir(parents=True, exist_ok=True)
    columns = [output.column(each) for each in scores]
    with (output.out / f"{series.series_id}.csv").open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(("timestamp", "value", *_names(question)))
        for n, time_ms in enumerate(series.times_ms.tolist()):
            time = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat()
            figures = [repr(float(column[n])) for column in columns]
            rows.writerow((time, repr(float(series.values[n])), *figures))


def _draw(
    out: Path, series: StoredSeries, question: Question, scores: Sequence[ReplayedScores]
) -> None:
    named = [f"alarms {_named(version)}" for version in question.versions]
    picture = Picture(
        title=series.labels,
        times_ms=series.times_ms,
        values=series.values,
        scores=list(zip(named, scores, strict=True)),
    )
    draw(picture, out / f"{series.series_id}.png")


def _names(question: Question) -> list[str]:
    if len(question.versions) == 1:
        return ["anomaly_score"]
    return [f"anomaly_score_{_named(version)}" for version in question.versions]


def _named(version: int) -> str:
    return f"v{version}" if version else "active"


def _table(question: Question, compared: Sequence[VersionComparison]) -> Table:
    table = Table("series", "samples", box=None)
    for version in question.versions:
        table.add_column(f"alarms {_named(version)}", justify="right")
    if len(question.versions) > 1:
        table.add_column("in both", justify="right")
    loudest = sorted(compared, key=lambda each: -max(each.alarms))
    for each in loudest[:_SERIES_SHOWN]:
        both = [str(each.common)] if len(question.versions) > 1 else []
        table.add_row(each.labels, str(each.samples), *map(str, each.alarms), *both)
    return table
