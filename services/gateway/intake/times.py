"""Times as senders of alerts write them: RFC 3339 and what is near it, or numbers since 1970."""

import calendar
import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from mesh.epoch import epoch_ms

_DATE_TIME: Final = re.compile(
    r"(?P<year>\d{4,6})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[Tt ]\s*(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?"
    r"(?:\s.*)?"  # Go prints `+0000 UTC m=+0.1` behind it
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_YEARS: Final = (2, 9999)
"""0001-01-01 is how Go writes that there is no time."""


def time_ms(sent: str | float) -> int | None:
    """Milliseconds since 1970; None for a zero time.

    >>> time_ms("9999-12-31T23:59:59-01:00"), time_ms("0001-01-01T00:00:00Z"), time_ms(1795844358)
    (253402304399000, None, 1795844358000)

    Raises:
        ValueError: It is no time.
    """
    if not isinstance(sent, str):
        return epoch_ms(sent) or None
    try:
        moment = datetime.fromisoformat(sent)
        if moment.tzinfo is not None and moment.year >= _YEARS[0]:
            return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        pass  # most times are RFC 3339; what follows is slower and reads the others too
    text = sent.strip()
    if found := _DATE_TIME.fullmatch(text):
        return _of_parts(found)
    try:
        return epoch_ms(float(text)) or None
    except (ValueError, OverflowError):
        return math.floor(parsedate_to_datetime(text).timestamp() * 1000)


def _of_parts(found: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (
        int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "second")
    )
    if year < _YEARS[0]:
        return None
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour <= 24 and minute < 60 and second <= 60):
        raise ValueError("is no time of the calendar")
    at = calendar.timegm((min(year, _YEARS[1]), month, day, hour, minute, second))
    milliseconds = int((found["fraction"] or "0").ljust(3, "0")[:3])
    return (at - _offset_s(found["zone"] or "Z")) * 1000 + milliseconds


def _offset_s(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    return (1 if zone[0] == "+" else -1) * (hours * 3600 + minutes * 60)
