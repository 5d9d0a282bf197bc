"""What a file of samples is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sensus_client


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(sensus_client.Sample):
    """One value of one series.

    Attributes:
        place: where it stood in the file, for messages: `line 3`, or `item 3` of an array.
    """

    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadSample:
    """A line that is no sample, and why."""

    place: str
    message: str


def checked_labels(labels: Mapping[Any, Any]) -> sensus_client.Labels:
    """A label set in order.

    Raises:
        ValueError: A name or a value is no text, or they cannot be sent.
    """
    if not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ValueError("labels must be an object of texts")
    ordered = tuple(sorted(labels.items()))
    sensus_client.check_labels(ordered)
    return ordered


def checked_value(value: Any) -> float:
    """A number as Prometheus writes it: also NaN, +Inf and -Inf.

    Raises:
        ValueError: It is none.
    """
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{value!r:.80} is no number") from None
