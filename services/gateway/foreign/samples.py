"""`{"metric_name", "metric_value", "labels", "timestamp"?}`, one or an array of them."""

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import msgspec

from mesh.errors import InvalidInput, Violation
from services.gateway.http.bodies import decode
from services.gateway.model import Refusal, SentSample

_SPECIAL: Final = {
    "NaN": math.nan,
    "Inf": math.inf,
    "+Inf": math.inf,
    "-Inf": -math.inf,
}
_NAME: Final = "__name__"
_LARGEST_S: Final = 1e13
"""Far beyond any date; keeps milliseconds within 64 bits."""


class SentItem(msgspec.Struct, kw_only=True):
    """One sample as it is sent."""

    metric_name: str
    metric_value: float | str
    labels: dict[str, str] = {}
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)] | int | float | None = None


def read_samples(body: bytes, now_ms: int) -> Iterator[SentSample | Refusal]:
    """The samples of a body, each ready or with the reason why it is not.

    Raises:
        InvalidInput: JSON_BROKEN or INVALID_FIELD, about the whole body.
    """
    for index, raw in enumerate(_items(body)):
        try:
            yield _sample(decode(raw, SentItem), now_ms)
        except InvalidInput as error:
            yield Refusal(index=index, reason=_reason(error), message=error.message)


def _items(body: bytes) -> list[msgspec.Raw]:
    if body.lstrip()[:1] == b"{":
        return [decode(body, msgspec.Raw)]
    return decode(body, list[msgspec.Raw])


def _sample(item: SentItem, now_ms: int) -> SentSample:
    if item.labels.get(_NAME, item.metric_name) != item.metric_name:
        raise _refused(f"labels.{_NAME}", "is not metric_name: leave it out")
    return SentSample(
        labels=item.labels | {_NAME: item.metric_name},
        timestamp_ms=_timestamp_ms(item.timestamp, now_ms),
        value=_value(item.metric_value),
    )


def _value(sent: float | str) -> float:
    if isinstance(sent, str):
        if sent not in _SPECIAL:
            raise _refused("metric_value", "must be a number, or one of NaN, +Inf, -Inf")
        return _SPECIAL[sent]
    return sent


def _timestamp_ms(sent: datetime | float | None, now_ms: int) -> int:
    if sent is None:
        return now_ms
    if isinstance(sent, datetime):
        return math.floor(sent.timestamp() * 1000)
    if abs(sent) > _LARGEST_S:
        raise _refused("timestamp", "must be RFC 3339 or seconds since 1970")
    return math.floor(sent * 1000)


def _refused(field: str, told: str) -> InvalidInput:
    return InvalidInput(f"{field} {told}", violations=[Violation(field, told)])


def _reason(error: InvalidInput) -> str:
    field = error.violations[0].field if error.violations else ""
    if field.startswith("metric_value"):
        return "INVALID_VALUE"
    return "INVALID_TIMESTAMP" if field.startswith("timestamp") else "INVALID_LABELS"
