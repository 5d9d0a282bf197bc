"""A corpus of series on disk: every CSV below `<corpus>/data`, with `timestamp,value`."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cli.problem import Problem
from cli.timestamps import milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One series as its file tells it.

    Attributes:
        place: where it lies below `data`, usually as `<group>/<name>.csv`.
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
    files = sorted((corpus / "data").rglob("*.csv"))
    if not files:
        raise Problem(f"--corpus {corpus}: no file like data/<group>/<name>.csv in it")
    return files


def read_recording(corpus: Path, file: Path) -> Recording:
    """Reads one file.

    Raises:
        Problem: a file that is no CSV, or a row that is no time and value; names the line.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(_rows(file, csv.DictReader(lines)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Problem(f"{file}: {error}") from error
    parsed = [_parse(file, *row) for row in rows]
    return Recording(
        place=file.relative_to(corpus / "data"),
        cells=[(time, value) for _, time, value in rows],
        times_ms=np.array([time_ms for time_ms, _ in parsed], dtype=np.int64),
        values=np.array([value for _, value in parsed], dtype=np.float64),
    )


def write_scores(out: Path, recording: Recording, scores: npt.NDArray[np.float64]) -> None:
    """Writes `<out>/<group>/<name>.csv` with `timestamp,value,anomaly_score`.

    Raises:
        Problem: It cannot be written.
    """
    target = out / recording.place
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", newline="", encoding="utf-8") as lines:
            rows = csv.writer(lines, lineterminator="\n")
            rows.writerow(("timestamp", "value", "anomaly_score"))
            rows.writerows(
                (*cells, repr(score))
                for cells, score in zip(recording.cells, scores.tolist(), strict=True)
            )
    except OSError as error:
        raise Problem(f"--out {out}: {error}") from error


def _rows(file: Path, rows: "csv.DictReader[str]") -> Iterator[tuple[int, str, str]]:
    """Line, timestamp and value of each row that is not blank."""
    if not {"timestamp", "value"} <= set(rows.fieldnames or ()):
        raise Problem(f"{file}: the first line must name the columns timestamp and value")
    for row in rows:
        yield rows.line_num, row["timestamp"] or "", row["value"] or ""


def _parse(file: Path, line: int, time: str, value: str) -> tuple[int, float]:
    try:
        return milliseconds(time), float(value) if value.strip() else float("nan")
    except (ValueError, OverflowError) as error:
        raise Problem(f"{file}, line {line}: {error}") from error
