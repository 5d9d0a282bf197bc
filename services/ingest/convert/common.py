"""Parts that many messages share."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput, Violation
from mesh.selector import Selector, SelectorError, parse
from sensus.core.v1 import series_pb2
from services.ingest.model.labels import Labels
from services.ingest.model.samples import Series

MAX_PAGE_SIZE: Final = 1000

_DEFAULT_PAGE_SIZE: Final = 100
_NAMED: Final = re.compile(r"[a-zA-Z0-9._:/-]{1,128}")
_EARLIEST_S: Final = 0
_LATEST_S: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def named(field: str, value: str, reason: str) -> str:
    """A name of a producer or consumer.

    Raises:
        InvalidInput: `reason`.
    """
    if _NAMED.fullmatch(value):
        return value
    rule = "use 1 to 128 characters of [a-zA-Z0-9._:/-]"
    raise invalid(field, rule, reason)


def invalid(field: str, rule: str, reason: str) -> InvalidInput:
    """The error for one bad field; `rule` says what to change."""
    return InvalidInput(f"{field}: {rule}", reason=reason, violations=[Violation(field, rule)])


def pairs(labels: Iterable[series_pb2.Label]) -> list[tuple[str, str]]:
    """Name and value of each label, as sent."""
    return [(label.name, label.value) for label in labels]


def labels(known: Labels) -> list[series_pb2.Label]:
    """Labels for the wire."""
    return [series_pb2.Label(name=name, value=value) for name, value in known]


def series(known: Series) -> series_pb2.Series:
    """A series for the wire."""
    return series_pb2.Series(
        series_id=known.series_id, labels=labels(known.labels), shard=known.shard
    )


def selector(text: str, field: str = "selector") -> Selector:
    """A parsed selector.

    Raises:
        InvalidInput: INVALID_SELECTOR, with the place of the mistake; a NUL no label has.
    """
    try:
        found = parse(text)
    except SelectorError as error:
        raise invalid(field, str(error), "INVALID_SELECTOR") from error
    if any("\0" in part for each in found.matchers for part in (each.name, each.value)):
        raise invalid(field, "the NUL character is not allowed", "INVALID_SELECTOR")
    return found


def page_size(asked: int) -> int:
    """The size of a page.

    Raises:
        InvalidInput: INVALID_PAGE_SIZE.
    """
    if asked > MAX_PAGE_SIZE:
        raise invalid("page_size", f"ask for at most {MAX_PAGE_SIZE}", "INVALID_PAGE_SIZE")
    return asked or _DEFAULT_PAGE_SIZE


def is_time(stamp: Timestamp) -> bool:
    """Whether a timestamp lies between 1970 and 9999 and is well-formed."""
    return _EARLIEST_S <= stamp.seconds < _LATEST_S and 0 <= stamp.nanos < 1_000_000_000


def time_ms(stamp: Timestamp) -> int:
    """Milliseconds since the Unix epoch of a timestamp that `is_time`."""
    return stamp.seconds * 1000 + stamp.nanos // 1_000_000


def timestamp(time_ms: int) -> Timestamp:
    """A timestamp for the wire."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def duration(seconds: float) -> Duration:
    """A duration for the wire."""
    length = Duration()
    length.FromMilliseconds(round(seconds * 1000))
    return length
