"""The files of an incident: what is wrong with one is a problem that names it."""

import csv
import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from cli.problem import Problem
from cli.timestamps import YEAR_10000_S
from services.explainer.model.windows import Values

T = TypeVar("T")
Row = dict[str, str]

LAST_S = YEAR_10000_S - 1

_DAMAGED = (
    msgspec.MsgspecError,
    OSError,
    EOFError,
    zlib.error,
    csv.Error,
    ValueError,
    OverflowError,
)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, the content of `path` is read and understood.

    Raises:
        Problem: It cannot be, with the reason.
    """
    try:
        yield
    except KeyError as error:
        raise Problem(f"{path}: no column {error}") from error
    except _DAMAGED as error:
        raise Problem(f"{path}: {error}") from error


def read_document(path: Path, kind: type[T]) -> T:
    """JSON of the shape `kind`, gzipped by the name's ending.

    Raises:
        Problem: It is missing, or something else.
    """
    with reading(path):
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        return msgspec.json.decode(text.removeprefix(BOM_UTF8), type=kind, strict=False)


def read_rows(path: Path) -> list[Row]:
    """Rows of a gzipped table by column name; none when the file is missing.

    Raises:
        Problem: It is no such table.
    """
    if not path.is_file():
        return []
    with reading(path), gzip.open(path, "rt", newline="", encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines, restval=""))


def read_columns(path: Path) -> dict[str, Values]:
    """Columns of a gzipped table of numbers, `time` among them; empty cells as NaN.

    Raises:
        Problem: It is missing, or no such table.
    """
    with reading(path), gzip.open(path, "rt", newline="", encoding="utf-8-sig") as lines:
        header, *rows = [row for row in csv.reader(lines) if row] or [[]]
        if "time" not in header:
            raise ValueError("no column 'time'")
        cells = [_numbers(line, row, len(header)) for line, row in enumerate(rows, start=2)]
        table = np.array(cells, dtype=np.float64).reshape(len(rows), len(header))
        columns = dict(zip(header, table.T, strict=True))
        if not np.isfinite(columns["time"]).all() or (abs(columns["time"]) > LAST_S).any():
            raise ValueError("a time is missing, or not in Unix seconds")
        return columns


def _numbers(line: int, row: list[str], width: int) -> list[float]:
    if len(row) != width:
        raise ValueError(f"line {line} has {len(row)} cells, the header {width}")
    try:
        return [float(cell or "nan") for cell in row]
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from error
