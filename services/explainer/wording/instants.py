"""The times that evidence tells, found in a text in the ways that people write them."""

import math
import re
from collections.abc import Iterable
from datetime import date
from typing import Final

from services.explainer.wording.facts import Facts

_YEARS_MS: Final = 253_402_300_799_999
_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"(?<![\w:.+-])"
    r"(?:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T](?P<at>[0-9]{2}(?::[0-9]{2}){1,2}))?"
    r"|(?P<alone>[0-9]{2}(?::[0-9]{2}){1,2}))(?: ?UTC|Z)?(?![\w:])"
)


class Instants:
    """Moments, to the second; a text may leave the seconds or the day away."""

    def __init__(self, milliseconds: Iterable[float]) -> None:
        """Moments since 1970 in UTC."""
        seconds = {
            int(min(max(each, 0), _YEARS_MS) // 1000)
            for each in milliseconds
            if math.isfinite(each)
        }
        days = {each // _DAY_S for each in seconds}
        clocks = {each % _DAY_S for each in seconds}
        self._days = days
        self._clocks = clocks | {~(each // 60) for each in clocks}
        self._seconds = seconds | {~(each // 60) for each in seconds}

    def spans_in(self, text: str) -> dict[int, int]:
        """Where true times begin, and where they end.

        >>> Instants([1_700_000_000_000]).spans_in("22:13, 22:13:21 or 2023-11-14 22:13:20 UTC")
        {0: 5, 19: 42}
        """
        return {found.start(): found.end() for found in _TIME.finditer(text) if self._has(found)}

    def _has(self, found: re.Match[str]) -> bool:
        if found["alone"]:
            return _clock(found["alone"], 0) in self._clocks
        try:
            day = date.fromisoformat(found["date"]).toordinal() - _EPOCH
        except ValueError:
            return False
        return _clock(found["at"], day) in self._seconds if found["at"] else day in self._days


def instants_of(facts: Facts) -> Instants:
    """When the event was, when evidence begins and ends, and when what it shows took place."""
    event_ms = facts.subject.event_ms
    found: list[float] = [event_ms]
    for piece in facts.evidence:
        found += (piece.start_ms, piece.end_ms)
        for figure in piece.figures:
            if figure.name.endswith("before_event"):
                found.append(event_ms - figure.value * 1000)
            elif figure.name.endswith("after_event"):
                found.append(event_ms + figure.value * 1000)
    return Instants(found)


def _clock(told: str, day: int) -> int:
    """Seconds since 1970; for a time without seconds the complement of the minutes."""
    hours, minutes, *seconds = map(int, told.split(":"))
    if hours > 23 or minutes > 59:
        return -(1 << 62)
    whole = day * _DAY_S + hours * 3600 + minutes * 60
    return whole + seconds[0] if seconds else ~(whole // 60)
