"""The clock on the wall of an installation: days and weeks begin by its time zone.

Cost: nothing in UTC; otherwise a search per sample and one look-up per hour that samples come from.

>>> import numpy as np
>>> berlin = Calendar("Europe/Berlin")
>>> noon = 1_780_315_200_000  # 12:00 UTC on 1 June 2026, summer time
>>> (berlin.local_ms(np.array([noon, noon + 183 * 86_400_000])) - noon) // 3_600_000
array([   2, 4393])
"""

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

HOUR_MS: Final = 3_600_000
_FIRST_HOUR: Final = -17_000_000
_LAST_HOUR: Final = 70_000_000
"""Years from 30 to 9955: beyond them there is no summer time."""
_KEPT: Final = 20_000


class Calendar:
    """Local times of one zone."""

    def __init__(self, time_zone: str) -> None:
        """The zone of an IANA name; "UTC" for none.

        Raises:
            ValueError: no such zone is known here.
        """
        try:
            self._zone = None if time_zone == "UTC" else ZoneInfo(time_zone)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"no time zone {time_zone!r} is known here: {error}") from error
        self._offset_ms_by_hour = dict[int, int]()

    def local_ms(self, times_ms: I64) -> I64:
        """Milliseconds since the epoch as if the clock on the wall were UTC."""
        if self._zone is None:
            return times_ms
        hours, places = np.unique(times_ms // HOUR_MS, return_inverse=True)
        offsets = np.array([self._offset_ms(hour) for hour in hours.tolist()], dtype=np.int64)
        return times_ms + offsets[places] if len(times_ms) else times_ms

    def _offset_ms(self, hour: int) -> int:
        if not _FIRST_HOUR < hour < _LAST_HOUR:
            return 0
        known = self._offset_ms_by_hour.get(hour)
        if known is None:
            if len(self._offset_ms_by_hour) >= _KEPT:
                self._offset_ms_by_hour.clear()
            moment = datetime.fromtimestamp(hour * 3600, UTC).astimezone(self._zone)
            offset = moment.utcoffset()
            known = 0 if offset is None else round(offset.total_seconds() * 1000)
            self._offset_ms_by_hour[hour] = known
        return known
