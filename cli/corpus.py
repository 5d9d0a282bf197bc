"""A corpus of series on disk: `<corpus>/data/<group>/<name>.csv` with `timestamp,value`."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cli.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One series as its file tells it.

    Attributes:
        place: where it lies below `data`, as `<group>/<name>.csv`.
        cells: timestamp and value of each row, as written.
        times_ms: int64[n], milliseconds since the epoch; a time without zone is UTC.
        values: float64[n], NaN where the value is empty.
    """

    place: Path
    cells: Sequence[tuple[str, str]]
    times_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def find_recordings(corpus: Path) -> list[Path]:
    """The files of a corpus, in the order of their names."""
    files = sorted((corpus / "data").glob("*/*.csv"))
    if not files:
        raise Problem(f"--corpus {corpus}: no file like data/<group>/<name>.csv in it")
    return files


def read_recording(corpus: Path, file: Path) -> Recording:
    """Reads one file.

    Raises:
        Problem: a row that is no time and value; names the line.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        if not {"timestamp", "value"} <= set(rows.fieldnames or ()):
            raise Problem(f"{file}: the first line must name the columns timestamp and value")
        cells = [(row["timestamp"] or "", row["value"] or "") for row in rows]
    parsed = list(_parse(file, cells))
    return Recording(
        place=file.relative_to(corpus / "data"),
        cells=cells,
        times_ms=np.array([time_ms for time_ms, _ in parsed], dtype=np.int64),
        values=np.array([value for _, value in parsed], dtype=np.float64),
    )


def write_scores(out: Path, recording: Recording, scores: npt.NDArray[np.float64]) -> None:
    """Writes `<out>/<group>/<name>.csv` with `timestamp,value,anomaly_score`."""
    target = out / recording.place
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines, lineterminator="\n")
        rows.writerow(("timestamp", "value", "anomaly_score"))
        rows.writerows(
            (*cells, repr(score))
            for cells, score in zip(recording.cells, scores.tolist(), strict=True)
        )


def _parse(file: Path, cells: Sequence[tuple[str, str]]) -> Iterator[tuple[int, float]]:
    for line, (time, value) in enumerate(cells, start=2):
        try:
            yield milliseconds(time), float(value) if value.strip() else float("nan")
        except (ValueError, OverflowError) as error:
            raise Problem(f"{file}, line {line}: {error}") from error


def milliseconds(text: str) -> int:
    """Unix milliseconds of an ISO 8601 time; without a zone it is UTC.

    Raises:
        ValueError: It is no such time.
    """
    time = datetime.fromisoformat(text.strip())
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return round(time.timestamp() * 1000)
