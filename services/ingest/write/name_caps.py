"""How many different names one caller may bring a day: what a bomb of names costs all who count."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from mesh.clock import Clock
from services.ingest.model import events as model
from services.ingest.model.events import Events, Names, Operation, Pattern, hash64
from services.ingest.otlp.event_body import EventBody

MOST_SERVICES: Final = 500
MOST_OPERATIONS: Final = 5_000
MOST_PATTERNS: Final = 5_000
OTHER: Final = "(other)"
"""In place of the name of an operation or a pattern beyond these; one for each service."""
_CALLERS: Final = 128
_DAY_MS: Final = 86_400_000
_TOO_MANY: Final = f"more than {MOST_SERVICES} services a day: send under fewer names"


@dataclass(slots=True)
class _Known:
    """The names of a caller that have a place today."""

    day: int
    services: set[str] = field(default_factory=set)
    operations: set[int] = field(default_factory=set)
    patterns: set[int] = field(default_factory=set)


class NameCaps:
    """Keeps names of operations and patterns few, and refuses services beyond a bound."""

    def __init__(self, clock: Clock) -> None:
        """Days are those of `clock`, in UTC."""
        self._clock = clock
        self._known: LRUCache[str, _Known] = LRUCache(_CALLERS)

    def capped(self, caller: str, found: EventBody) -> EventBody:
        """A body without the services, operations and patterns for which there is no place."""
        today = self._clock.now_ms() // _DAY_MS
        known = self._known.get(caller)
        if known is None or known.day != today:
            known = self._known[caller] = _Known(today)
        names = found.names
        services = {each.service for each in names.operations.values()}
        refused = services - _placed(known.services, services, MOST_SERVICES)
        if refused:
            found = _without(found, refused)
        operations = _folds(known.operations, found.names.operations, MOST_OPERATIONS, Operation)
        patterns = _folds(known.patterns, found.names.patterns, MOST_PATTERNS, Pattern)
        return _folded(found, operations, patterns) if operations or patterns else found


def _placed(known: set[Any], asked: set[Any], most: int) -> set[Any]:
    """Those of `asked` that have a place, which new ones are given while there is one."""
    new = sorted(asked - known)
    known.update(new[: max(0, most - len(known))])
    return asked & known


def _folds(known: set[int], names: Mapping[int, Any], most: int, made: Any) -> dict[int, Any]:
    """What stands for each name that has no place: the other names of its service."""
    beyond = names.keys() - _placed(known, set(names), most)
    return {each: made(names[each].service, OTHER) for each in beyond}


def _without(found: EventBody, services: set[str]) -> EventBody:
    """A body without some services, whose records count as rejected."""
    ids = {key for key, each in found.names.operations.items() if each.service in services}
    gone = np.isin(found.rows["operation"], np.array([*ids], np.uint64))
    rows = found.rows[~gone]
    return EventBody(
        rows=rows,
        names=found.names.of(rows),
        examples=[each for each in found.examples if each.operation not in ids],
        rejected=found.rejected + _records(found.rows[gone]),
        reasons=[*found.reasons, _TOO_MANY],
    )


def _records(rows: Events) -> int:
    """How many spans and log records some rows stand for."""
    is_count = rows["kind"] == model.LINES
    is_own = ~is_count & (rows["flags"] & model.SPAN_EXCEPTION == 0)
    return int(is_own.sum()) + int(rows["end_ns"][is_count].sum())


def _folded(
    found: EventBody, operations: Mapping[int, Operation], patterns: Mapping[int, Pattern]
) -> EventBody:
    rows, names = found.rows.copy(), Names({}, {}, {}, {}, {})
    names.add(found.names)
    renamed = {key: hash64(each.service, each.name) for key, each in operations.items()}
    repatterned = {key: hash64(each.service, each.text) for key, each in patterns.items()}
    rows["operation"] = _replaced(rows["operation"], renamed)
    is_record = rows["kind"] == model.RECORD
    rows["parent"][is_record] = _replaced(rows["parent"][is_record], repatterned)
    names.operations.update({renamed[key]: each for key, each in operations.items()})
    names.patterns.update({repatterned[key]: each for key, each in patterns.items()})
    return EventBody(
        rows=rows,
        names=names.of(rows),
        examples=[
            each
            for each in found.examples
            if each.operation not in operations and each.pattern not in patterns
        ],
        rejected=found.rejected,
        reasons=found.reasons,
    )


def _replaced(ids: NDArray[np.uint64], by: Mapping[int, int]) -> NDArray[np.uint64]:
    kept = ids.copy()
    places = np.flatnonzero(np.isin(ids, np.array([*by], np.uint64)))
    kept[places] = [by[each] for each in ids[places].tolist()]
    return kept
