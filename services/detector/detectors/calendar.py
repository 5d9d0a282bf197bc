"""The clock on the wall of an installation: days and weeks begin by its time zone.

A public holiday counts as the Sunday before it, at the same time of day.

Cost: nothing in UTC without holidays; otherwise a search per sample and one look-up per quarter of
an hour that samples come from.
Source: IANA's time zones; the package holidays for those of countries and their parts.

>>> import numpy as np
>>> berlin = Calendar("Europe/Berlin")
>>> noon = 1_780_315_200_000  # 12:00 UTC on 1 June 2026, summer time
>>> (berlin.local_ms(np.array([noon, noon + 183 * 86_400_000])) - noon) // 3_600_000
array([   2, 4393])
>>> bavaria = Calendar("Europe/Berlin", "DE-BY")
>>> corpus_christi = noon + 3 * 86_400_000  # a Thursday
>>> (bavaria.local_ms(np.array([corpus_christi])) - corpus_christi) // 3_600_000
array([-94])
"""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from holidays import HolidayBase

I64 = npt.NDArray[np.int64]

PART_MS: Final = 900_000
"""Offsets of time zones are whole numbers of this."""
_DAY_MS: Final = 86_400_000
_FIRST_PART: Final = -68_000_000
_LAST_PART: Final = 280_000_000
"""Years from 30 to 9955: beyond them there is no summer time."""
_HOLIDAYS_UNTIL: Final = 2100
_KEPT: Final = 20_000


class Calendar:
    """Local times of one zone, and of one place's holidays."""

    def __init__(self, time_zone: str, holidays: str = "") -> None:
        """The zone of an IANA name, and the holidays of an ISO 3166 code like `DE` or `DE-BY`.

        Raises:
            ValueError: no such zone is known here, or no such place.
        """
        try:
            self._zone = ZoneInfo(time_zone)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"no time zone {time_zone!r} is known here: {error}") from error
        self._holidays = _holidays_of(holidays)
        self._is_plain = time_zone == "UTC" and self._holidays is None
        self._offset_ms_by_part = dict[int, int]()

    def local_ms(self, times_ms: I64) -> I64:
        """Milliseconds since the epoch as if the clock on the wall were UTC."""
        if self._is_plain or not len(times_ms):
            return times_ms
        parts, places = np.unique(times_ms // PART_MS, return_inverse=True)
        offsets = np.array([self._offset_ms(part) for part in parts.tolist()], dtype=np.int64)
        return times_ms + offsets[places]

    def _offset_ms(self, part: int) -> int:
        if not _FIRST_PART < part < _LAST_PART:
            return 0
        known = self._offset_ms_by_part.get(part)
        if known is None:
            if len(self._offset_ms_by_part) >= _KEPT:
                self._offset_ms_by_part.clear()
            moment = datetime.fromtimestamp(part * PART_MS // 1000, UTC).astimezone(self._zone)
            offset = moment.utcoffset()
            known = 0 if offset is None else round(offset.total_seconds() * 1000)
            known -= self._days_since_sunday(moment.date()) * _DAY_MS
            self._offset_ms_by_part[part] = known
        return known

    def _days_since_sunday(self, day: date) -> int:
        """Of a holiday; 0 of any other day."""
        if self._holidays is None or not 1970 <= day.year <= _HOLIDAYS_UNTIL:
            return 0
        return day.isoweekday() % 7 if day in self._holidays else 0


def _holidays_of(place: str) -> "HolidayBase | None":
    if not place:
        return None
    from holidays import country_holidays

    country, dash, part = place.partition("-")
    if dash and not part:
        raise ValueError(f"no holidays of {place!r} are known here: no part is named after `-`")
    try:
        return country_holidays(country, subdiv=part or None)
    except NotImplementedError as error:
        raise ValueError(f"no holidays of {place!r} are known here: {error}") from error
