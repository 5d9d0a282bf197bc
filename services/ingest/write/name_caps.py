"""How many different names one caller may bring a day: what a bomb of names costs all who count."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from mesh.clock import Clock
from services.ingest.model import events as model
from services.ingest.model.events import Events, Names, Operation, Pattern, hash32, hash64
from services.ingest.otlp.event_body import EventBody

MOST_SERVICES: Final = 500
MOST_OPERATIONS: Final = 5_000
MOST_PATTERNS: Final = 5_000
MOST_ADDRESSES: Final = 5_000
MOST_EXCEPTIONS: Final = 1_000
MOST_INSTANCES: Final = 5_000
OTHER: Final = "(other)"
"""In place of a name beyond these; of operations and patterns one for each service."""
_CALLERS: Final = 128
_DAY_MS: Final = 86_400_000
_TOO_MANY: Final = f"more than {MOST_SERVICES} services a day: send under fewer names"


@dataclass(slots=True)
class _KnownNames:
    """The names of a caller that have a place today."""

    day: int
    services: set[str] = field(default_factory=set)
    operations: set[int] = field(default_factory=set)
    patterns: set[int] = field(default_factory=set)
    addresses: set[int] = field(default_factory=set)
    exceptions: set[int] = field(default_factory=set)
    instances: set[int] = field(default_factory=set)


class NameCaps:
    """Keeps names few, and refuses services beyond a bound."""

    def __init__(self, clock: Clock) -> None:
        """Days are those of `clock`, in UTC."""
        self._clock = clock
        self._known: LRUCache[str, _KnownNames] = LRUCache(_CALLERS)

    def capped(self, caller: str, found: EventBody) -> EventBody:
        """A body without the services and names for which there is no place."""
        today = self._clock.now_ms() // _DAY_MS
        known = self._known.get(caller)
        if known is None or known.day != today:
            known = self._known[caller] = _KnownNames(today)
        names = found.names
        services = {each.service for each in names.operations.values()}
        refused = services - _placed(known.services, services, MOST_SERVICES)
        if refused:
            found = _without(found, refused)
        names = found.names
        operations = _folds(known.operations, names.operations, MOST_OPERATIONS, Operation)
        patterns = _folds(known.patterns, names.patterns, MOST_PATTERNS, Pattern)
        if operations or patterns:
            found = _folded(found, operations, patterns)
        others = _OtherNames(
            addresses=_beyond(known.addresses, names.addresses, MOST_ADDRESSES),
            exceptions=_beyond(known.exceptions, names.exceptions, MOST_EXCEPTIONS),
            instances=_beyond(known.instances, names.instances, MOST_INSTANCES),
        )
        return others.left_out(found) if others else found


def _placed(known: set[Any], asked: set[Any], most: int) -> set[Any]:
    """Those of `asked` that have a place, which new ones are given while there is one."""
    new = sorted(asked - known)
    known.update(new[: max(0, most - len(known))])
    return asked & known


def _folds(known: set[int], names: Mapping[int, Any], most: int, made: Any) -> dict[int, Any]:
    """What stands for each name that has no place: the other names of its service."""
    beyond = _beyond(known, names, most)
    return {each: made(names[each].service, OTHER) for each in beyond}


def _beyond(known: set[int], names: Mapping[int, Any], most: int) -> frozenset[int]:
    """Names for which there is no place."""
    return frozenset(names.keys() - _placed(known, set(names), most))


@dataclass(frozen=True, slots=True)
class _OtherNames:
    """Names without a service that have no place: of addresses and exceptions all are one, and a
    copy of a service without a name is none.
    """

    addresses: frozenset[int]
    exceptions: frozenset[int]
    instances: frozenset[int]

    def __bool__(self) -> bool:
        return bool(self.addresses or self.exceptions or self.instances)

    def left_out(self, found: EventBody) -> EventBody:
        """A body without them."""
        rows, names, other = found.rows.copy(), Names({}, {}, {}, {}, {}), hash32(OTHER)
        names.add(found.names)
        is_span = rows["kind"] < model.RECORD
        for which, beyond in ((is_span, self.addresses), (~is_span, self.exceptions)):
            capped = which & np.isin(rows["peer"], np.array([*beyond], np.uint32))
            rows["peer"][capped] = other
        rows["instance"][np.isin(rows["instance"], np.array([*self.instances], np.uint32))] = 0
        names.addresses[other] = names.exceptions[other] = OTHER
        kept = [each for each in found.examples if each.exception not in self.exceptions]
        return replace(found, rows=rows, names=names.of(rows), examples=kept)


def _without(found: EventBody, services: set[str]) -> EventBody:
    """A body without some services, whose records count as rejected."""
    ids = {key for key, each in found.names.operations.items() if each.service in services}
    gone = np.isin(found.rows["operation"], np.array([*ids], np.uint64))
    rows = found.rows.compress(~gone)
    return EventBody(
        rows=rows,
        names=found.names.of(rows),
        examples=[each for each in found.examples if each.operation not in ids],
        rejected=found.rejected + _records(found.rows.compress(gone)),
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
