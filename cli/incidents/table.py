"""Comma-separated tables as numpy columns."""

import csv
import gzip
from pathlib import Path

import numpy as np

from services.explainer.model.windows import Values


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a gzipped table by column name; none when the file is missing."""
    if not path.is_file():
        return []
    with gzip.open(path, "rt", newline="") as lines:
        return list(csv.DictReader(lines))


def read_columns(path: Path) -> dict[str, Values]:
    """Columns of a gzipped table of numbers, empty cells as NaN; none when the file is missing."""
    if not path.is_file():
        return {}
    with gzip.open(path, "rt", newline="") as lines:
        header, *rows = list(csv.reader(lines))
    table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype=np.float64)
    return dict(zip(header, table.reshape(len(rows), len(header)).T, strict=True))
