"""Samples from a file, whose format shows in how the text begins."""

import csv
import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TextIO

from cli.problem import Problem
from cli.send.exposition import from_exposition, is_exposition
from cli.send.prometheus_api import from_api_answer, is_api_answer
from cli.send.sample import BadSample, Sample, checked_labels
from mesh.epoch import epoch_ms

_SPECIAL_VALUES = ("NaN", "+Inf", "-Inf")  # JSON has no numbers for them
_CSV_COLUMNS = ("metric_name", "metric_value", "timestamp", "labels")


def read_samples(file: TextIO) -> Iterator[Sample | BadSample]:
    """Reads line by line as they come, except an array and an answer of Prometheus' API.

    A JSON array, JSON lines, CSV, Prometheus text, OpenMetrics, or an answer of Prometheus' HTTP
    API. CSV needs a header with metric_name and metric_value; timestamp and labels (a JSON object)
    may be there, every other column is a label. A timestamp is RFC 3339 text or a number of Unix
    seconds, milliseconds, microseconds or nanoseconds; without one a sample is of now.

    Raises:
        Problem: the text is none of these, or not UTF-8.
    """
    lines = _lines(file)
    for number, line in lines:
        if line.strip():
            return _reader(line, chain([(number, line)], lines))
    return iter(())


def _lines(file: TextIO) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file, start=1)
    except UnicodeDecodeError as error:
        raise Problem(f"not UTF-8 text: {error.reason} at byte {error.start}") from None


def _reader(first: str, lines: Iterable[tuple[int, str]]) -> Iterator[Sample | BadSample]:
    text = first.lstrip("\ufeff \t")
    if text.startswith("["):
        return _from_array("".join(line for _, line in lines))
    if is_exposition(text):
        return from_exposition(lines)
    if is_api_answer(text):
        return from_api_answer("".join(line for _, line in lines).lstrip("\ufeff"))
    return _from_json_lines(lines) if text.startswith("{") else _from_csv(lines)


def _from_array(text: str) -> Iterator[Sample | BadSample]:
    try:
        items = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise Problem(f"not a JSON array: {error}") from None
    for number, item in enumerate(items, start=1):
        yield _sample(f"item {number}", item)


def _from_json_lines(lines: Iterable[tuple[int, str]]) -> Iterator[Sample | BadSample]:
    for number, line in lines:
        place = f"line {number}"
        if not line.strip():
            continue
        try:
            item = json.loads(line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            yield BadSample(place=place, message=f"not JSON: {error}")
        else:
            yield _sample(place, item)


def _from_csv(lines: Iterable[tuple[int, str]]) -> Iterator[Sample | BadSample]:
    rows = csv.DictReader(line.lstrip("\ufeff") for _, line in lines)
    try:
        missing = {"metric_name", "metric_value"} - set(rows.fieldnames or ())
    except csv.Error as error:
        raise Problem(f"not CSV, nor any other format that is known: {error}") from None
    if missing:
        raise Problem(f"CSV without the column {' and '.join(sorted(missing))} in its header")
    for row in _rows(rows):
        place = f"line {rows.line_num}"
        if isinstance(row, csv.Error):
            yield BadSample(place=place, message=str(row))
        elif None in row:
            yield BadSample(place=place, message="more fields than the header has columns")
        else:
            yield _from_row(place, row)


def _rows(rows: "csv.DictReader[str]") -> Iterator[dict[str, str | None] | csv.Error]:
    """A row that cannot be read ends nothing: the next one begins on the next line."""
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield error


def _from_row(place: str, row: dict[str, str | None]) -> Sample | BadSample:
    own = {name: value for name, value in row.items() if name not in _CSV_COLUMNS and value}
    try:
        labels = json.loads(row.get("labels") or "{}")
        value = float(row["metric_value"] or "")
    except (ValueError, RecursionError) as error:
        return BadSample(place=place, message=str(error))
    if not isinstance(labels, dict):
        return BadSample(place=place, message="labels must be a JSON object")
    stamp = row.get("timestamp") or None
    return _sample(
        place,
        {
            "metric_name": row["metric_name"],
            "metric_value": value,
            "labels": {**own, **labels},
            "timestamp": _number_or_text(stamp),
        },
    )


def _number_or_text(stamp: str | None) -> float | str | None:
    try:
        return float(stamp) if stamp is not None else None
    except ValueError:
        return stamp


def _sample(place: str, item: Any) -> Sample | BadSample:
    try:
        return Sample(
            place=place,
            labels=_labels(item),
            timestamp_ms=_timestamp_ms(item.get("timestamp")),
            value=_value(item.get("metric_value")),
        )
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        what = str(error) if isinstance(item, dict) else "must be an object"
        return BadSample(place=place, message=what)


def _labels(item: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    name, labels = item.get("metric_name"), item.get("labels") or {}
    if not isinstance(name, str) or not name:
        raise ValueError("metric_name must be a text")
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise ValueError("labels must be an object of texts")
    return checked_labels({**labels, "__name__": name})


def _value(value: Any) -> float:
    if value in _SPECIAL_VALUES:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("metric_value must be a number")
    return float(value)


def _timestamp_ms(stamp: Any) -> int:
    if stamp is None:
        return time.time_ns() // 1_000_000
    if isinstance(stamp, str):
        moment = datetime.fromisoformat(stamp)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise ValueError("timestamp must be RFC 3339 text or a number")
    return epoch_ms(stamp)
