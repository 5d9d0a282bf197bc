"""The times that evidence tells, found in a text in the ways that people write them."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.wording.facts import Facts

_YEARS_MS: Final = 253_402_300_799_999
_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"(?<![\w:.+-])"
    r"(?:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T](?P<at>[0-9]{2}(?::[0-9]{2}){1,2}))?"
    r"|(?P<alone>[0-9]{2}(?::[0-9]{2}){1,2}))(?: ?UTC|Z)?(?![\w:])"
)
_WITH_A_TIME: Final = frozenset(
    {
        EvidenceKind.CHANGE,
        EvidenceKind.ALERT,
        EvidenceKind.ANOMALY,
        EvidenceKind.THRESHOLD,
        EvidenceKind.PAST_INCIDENT,
    }
)
"""Kinds that begin and end when what they tell did; a series only when it was asked for."""


class Instants:
    """Moments, to the second, and whose they are; a text may leave the seconds or the day away."""

    def __init__(self, moments: Iterable[tuple[float, int]]) -> None:
        """Moments in ms since 1970 in UTC, each with a set of owners as bits."""
        self._days: defaultdict[int, int] = defaultdict(int)
        self._clocks: defaultdict[int, int] = defaultdict(int)
        self._seconds: defaultdict[int, int] = defaultdict(int)
        for milliseconds, owners in moments:
            if not math.isfinite(milliseconds):
                continue
            second = int(min(max(milliseconds, 0), _YEARS_MS) // 1000)
            clock = second % _DAY_S
            self._days[second // _DAY_S] |= owners
            self._clocks[clock] |= owners
            self._clocks[~(clock // 60)] |= owners
            self._seconds[second] |= owners
            self._seconds[~(second // 60)] |= owners

    def spans_in(self, text: str) -> dict[int, int]:
        """Where true times begin, and where they end.

        >>> instants = Instants([(1_700_000_000_000, 1)])
        >>> instants.spans_in("22:13, 22:13:21 or 2023-11-14 22:13:20 UTC")
        {0: 5, 19: 42}
        """
        return {found.start(): found.end() for found in _TIME.finditer(text) if self._of(found)}

    def owners(self, name: str) -> int:
        """Whose moment it is; 0 for what is no time.

        >>> Instants([(1_700_000_000_000, 4)]).owners("22:13:20 UTC")
        4
        """
        found = _TIME.fullmatch(name)
        return self._of(found) if found else 0

    def _of(self, found: re.Match[str]) -> int:
        if found["alone"]:
            return self._clocks.get(_clock(found["alone"], 0), 0)
        try:
            day = date.fromisoformat(found["date"]).toordinal() - _EPOCH
        except ValueError:
            return 0
        if found["at"]:
            return self._seconds.get(_clock(found["at"], day), 0)
        return self._days.get(day, 0)


def instants_of(facts: Facts) -> Instants:
    """When evidence was, each piece with the bit of its place; the event has the bit behind."""
    event = 1 << len(facts.evidence)
    moments: list[tuple[float, int]] = [(facts.subject.event_ms, event)]
    for place, piece in enumerate(facts.evidence):
        moments += ((each, 1 << place) for each in _moments(piece, facts.subject.event_ms))
    return Instants(moments)


def _moments(piece: Evidence, event_ms: int) -> Iterator[float]:
    if piece.kind in _WITH_A_TIME:
        yield from (piece.start_ms, piece.end_ms)
    for figure in piece.figures:
        if figure.name.endswith("before_event"):
            yield event_ms - figure.value * 1000
        elif figure.name.endswith("after_event"):
            yield event_ms + figure.value * 1000


def _clock(told: str, day: int) -> int:
    """Seconds since 1970; for a time without seconds the complement of the minutes."""
    hours, minutes, *seconds = map(int, told.split(":"))
    if hours > 23 or minutes > 59:
        return -(1 << 62)
    whole = day * _DAY_S + hours * 3600 + minutes * 60
    return whole + seconds[0] if seconds else ~(whole // 60)
