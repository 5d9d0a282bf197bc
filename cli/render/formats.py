"""Text forms of series, numbers and times."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

_BAR_CELLS = 24
_EIGHTHS = " ▏▎▍▌▋▊▉"


class Label(Protocol):
    """A label of the contract."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> str: ...


def series_text(labels: Iterable[Label]) -> str:
    """A label set as Prometheus writes it: cpu_percent{core="0"}."""
    pairs = {label.name: label.value for label in labels}
    name = pairs.pop("__name__", "")
    inner = ", ".join(f'{key}="{value}"' for key, value in pairs.items())
    return f"{name}{{{inner}}}" if inner else name or "{}"


def number_text(value: float) -> str:
    """At most four significant digits, and thousands apart.

    >>> number_text(0.123456), number_text(1234567.0), number_text(12.0)
    ('0.1235', '1,234,567', '12')
    """
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def time_text(stamp: Timestamp) -> str:
    """Local time of day to the second, with the date."""
    moment = datetime.fromtimestamp(stamp.ToMilliseconds() / 1000).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def bar(share: float) -> str:
    """A bar for a share of 0 to 1, always of the same width.

    >>> bar(0.5)
    '████████████            '
    """
    eighths = round(min(max(share, 0.0), 1.0) * _BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(_BAR_CELLS)
