"""Samples from an answer of Prometheus' HTTP API: `/api/v1/query` and `/api/v1/query_range`."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from cli.problem import Problem
from cli.send.sample import BadSample, Sample, checked_labels, checked_value
from mesh.epoch import epoch_ms

_BEGINS: Final = re.compile(r'\s*\{\s*($|"(status|data|resultType|result|warnings|infos)"\s*:)')


def is_api_answer(line: str) -> bool:
    """Whether a text that begins with this line is an answer, and not lines of JSON."""
    return bool(_BEGINS.match(line))


def from_api_answer(text: str) -> Iterator[Sample | BadSample]:
    """The samples of a matrix or a vector; read whole.

    Raises:
        Problem: It is no such answer, or Prometheus answered with an error.
    """
    for number, series in enumerate(_result(text), start=1):
        place = f"series {number}"
        try:
            yield from _samples(place, series)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            yield BadSample(place=place, message=f"not a series of an answer: {error}")


def _result(text: str) -> list[Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem(f"not JSON: {error}") from None
    if answer.get("status") == "error":
        raise Problem(f"the answer of Prometheus is an error: {answer.get('error')}")
    data = answer.get("data", answer)
    kind = data.get("resultType") if isinstance(data, dict) else None
    if kind not in ("matrix", "vector") or not isinstance(data.get("result"), list):
        raise Problem(
            f"an answer of Prometheus with resultType {kind}: send one of query_range, which has "
            "the resultType matrix, or of a query for a vector"
        )
    return list(data["result"])


def _samples(place: str, series: dict[str, Any]) -> Iterator[Sample | BadSample]:
    labels = checked_labels(series.get("metric", {}))
    if not dict(labels).get("__name__"):
        message = (
            "its metric has no __name__: query a metric, or give the result one (label_replace)"
        )
        yield BadSample(place=place, message=message)
        return
    if "histogram" in series or "histograms" in series:
        yield BadSample(place=place, message="native histograms cannot be sent from a file")
    points = (
        series["values"] if "values" in series else [series[k] for k in ("value",) if k in series]
    )
    for number, point in enumerate(points, start=1):
        at = f"{place}, value {number}"
        try:
            stamp, value = point
            yield Sample(
                place=at,
                labels=labels,
                timestamp_ms=epoch_ms(float(stamp)),
                value=checked_value(value),
            )
        except (TypeError, ValueError) as error:
            yield BadSample(place=at, message=f"not a pair of time and value: {error}")
