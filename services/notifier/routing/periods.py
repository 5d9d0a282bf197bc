"""Time intervals as they are written: `monday:friday`, `09:00`, `-3:-1`, `january:march`."""

from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from services.notifier.routing.intervals import Range, TimeInterval, TimeSpan
from services.notifier.routing.text import Faults, convert

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)


class _Times(msgspec.Struct, forbid_unknown_fields=True):
    start_time: str
    end_time: str


class _Span(msgspec.Struct, forbid_unknown_fields=True):
    times: list[_Times] = []
    weekdays: list[str] = []
    days_of_month: list[str] = []
    months: list[str] = []
    years: list[str] = []
    location: str = ""


class _Interval(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    time_intervals: list[Any] = []


def intervals(top: dict[str, Any], faults: Faults) -> dict[str, TimeInterval]:
    """All named intervals of a document, those under their old key too."""
    found: dict[str, TimeInterval] = {}
    for key in ("time_intervals", "mute_time_intervals"):
        nodes = top.get(key) or []
        if not isinstance(nodes, list):
            faults.add(key, "be a list")
            continue
        for index, node in enumerate(nodes):
            path = f"{key}[{index}]"
            said = convert(node, _Interval, path, faults)
            if said is None:
                continue
            if not said.name or said.name in found:
                faults.add(f"{path}.name", "be a name that no other interval has")
            spans = [
                span
                for place, each in enumerate(said.time_intervals)
                if (span := _span(each, f"{path}.time_intervals[{place}]", faults)) is not None
            ]
            found[said.name] = TimeInterval(name=said.name, spans=tuple(spans))
    return found


def _span(node: Any, path: str, faults: Faults) -> TimeSpan | None:
    said = convert(node, _Span, path, faults)
    if said is None:
        return None
    try:
        return TimeSpan(
            minutes=tuple((_minute(t.start_time), _minute(t.end_time)) for t in said.times),
            weekdays=tuple(_range(each, _WEEKDAYS, 0, 6) for each in said.weekdays),
            days=tuple(_days(each) for each in said.days_of_month),
            months=tuple(_range(each, ("", *_MONTHS), 1, 12) for each in said.months),
            years=tuple(_range(each, (), 1, 9999) for each in said.years),
            zone=ZoneInfo(said.location) if said.location else None,
        )
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        faults.add(path, str(error) if isinstance(error, ValueError) else "name a time zone")
        return None


def _minute(text: str) -> int:
    hours, found, minutes = text.partition(":")
    if not (found and hours.isdecimal() and minutes.isdecimal() and len(text) <= 5):
        raise ValueError(f"be times such as 09:30, not {text!r}")
    minute = 60 * int(hours) + int(minutes)
    if minute > 1440 or int(minutes) > 59:
        raise ValueError(f"be times of a day, up to 24:00, not {text!r}")
    return minute


def _range(text: str, names: tuple[str, ...], least: int, most: int) -> Range:
    first, found, last = text.lower().partition(":")
    begin = _one(first, names)
    end = _one(last, names) if found else begin
    if not least <= begin <= end <= most:
        raise ValueError(f"be a range that goes up, from {least} to {most}, not {text!r}")
    return begin, end


def _days(text: str) -> Range:
    first, found, last = text.partition(":")
    begin = _one(first, ())
    end = _one(last, ()) if found else begin
    if not (1 <= abs(begin) <= 31 and 1 <= abs(end) <= 31) or (begin < 0 < end):
        raise ValueError(f"be days of a month, such as 1:5 or -3:-1, not {text!r}")
    if (begin < 0) == (end < 0) and begin > end:
        raise ValueError(f"be a range that goes up, not {text!r}")
    return begin, end


def _one(text: str, names: tuple[str, ...]) -> int:
    name = text.strip()
    if name in names:
        return names.index(name)
    if name.lstrip("-").isdecimal() and len(name) <= 5:
        return int(name)
    raise ValueError(f"be a number or a name, not {name[:40]!r}")
