"""Time intervals as Alertmanager means them: within when every field that is given holds it."""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

Range = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpan:
    """One alternative of an interval. A field without ranges holds any time.

    Attributes:
        minutes: Of the day, the end excluded: 0 to 1440.
        weekdays: 0 is Sunday.
        days: Of the month, from 1; negative ones count from its end.
        months: From 1.
        years: As they are.
        zone: Whose clock is read.
    """

    minutes: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    zone: ZoneInfo | None = None

    def holds(self, time: datetime) -> bool:
        """Whether an aware time is within."""
        local = time.astimezone(self.zone or UTC)
        minute = 60 * local.hour + local.minute
        month_days = calendar.monthrange(local.year, local.month)[1]
        return (
            _within(minute, ((begin, end - 1) for begin, end in self.minutes))
            and _within(local.isoweekday() % 7, self.weekdays)
            and _within(local.day, _in_month(self.days, month_days))
            and _within(local.month, self.months)
            and _within(local.year, self.years)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeInterval:
    """A named interval: within when one of its alternatives is."""

    name: str
    spans: tuple[TimeSpan, ...] = ()

    def holds(self, time: datetime) -> bool:
        """Whether an aware time is within."""
        return any(span.holds(time) for span in self.spans)


def _within(value: int, ranges: Iterable[Range]) -> bool:
    found = list(ranges)
    return not found or any(begin <= value <= end for begin, end in found)


def _in_month(ranges: Iterable[Range], month_days: int) -> list[Range]:
    """Days from the end as days from the begin; what begins after the end holds no day of it."""
    found = []
    for begin, end in ranges:
        first = month_days + begin + 1 if begin < 0 else begin
        last = month_days + end + 1 if end < 0 else end
        found.append((first, min(last, month_days)) if first <= month_days else (1, 0))
    return found
