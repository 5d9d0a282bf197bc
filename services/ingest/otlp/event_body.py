"""What a body of traces or logs says: rows, their names, and what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Events, Example, Instance, Names, hash32, hash64
from services.ingest.otlp.resources import Resources
from services.ingest.wire.fields import Fields, Spans, chunk

FUTURE_NS: Final = 300_000_000_000
_SHOWN: Final = 3
_MOST_NUMBERED: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """Rows of what was taken; how many records were refused, and the first reasons."""

    rows: Events
    names: Names
    examples: Sequence[Example]
    rejected: int
    reasons: Sequence[str]


@dataclass(slots=True)
class Refusals:
    """Which records are refused; the first reason of each counts."""

    bad: NDArray[np.bool_]
    reasons: dict[str, None] = field(default_factory=dict)

    def add(self, applies: NDArray[np.bool_], reason: str) -> None:
        """Refuses some."""
        if (applies & ~self.bad).any():
            self.reasons[reason] = None
            self.bad |= applies

    @property
    def shown(self) -> list[str]:
        """The first reasons."""
        return [*self.reasons][:_SHOWN]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent some records: ids and names of a service and of its running copy."""

    number: int
    instance_id: int
    instance: Instance

    @property
    def service(self) -> str:
        """Name of the service."""
        return self.instance.service

    @property
    def service_id(self) -> int:
        """Of the service as such, without an operation."""
        return hash64(self.service, "")


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a body, and the place of the resource of each."""

    spans: Spans
    owners: NDArray[np.int64]
    origins: Sequence[Origin | None]

    def origin(self, record: int) -> Origin:
        """Who sent a record that is not refused."""
        found = self.origins[int(self.owners[record])]
        if found is None:
            raise AssertionError("records of a resource that cannot be read are refused")
        return found

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each record's resource; -1 of one that is refused."""
        numbers = [-1 if each is None else each.number for each in self.origins]
        return np.array([*numbers, -1], np.int64)[self.owners]


class Origins:
    """Resources by number: the same resource has the same one, none is given twice."""

    def __init__(self) -> None:
        """Knows none."""
        self._known: dict[bytes, Origin | None] = {}
        self._next = 0

    def records(self, body: bytes, most: int) -> Records:
        """The records of a body of traces or logs; both lie at the same depth.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        resources = Fields(body, Fields.of_body(body).spans(chunk(1)).few())
        scopes = resources.spans(chunk(2)).few()
        spans = Fields(body, scopes).spans(chunk(2)).few(most)
        found = Resources(body, resources.last(chunk(1)))
        origins = [self._origin(found, place) for place in range(len(found.digests))]
        return Records(spans, scopes.parents[spans.parents], origins)

    def _origin(self, resources: Resources, place: int) -> Origin | None:
        digest = resources.digests[place]
        if digest not in self._known:
            if len(self._known) >= _MOST_NUMBERED:
                self._known.clear()
            said = resources.identity(place)
            self._next += 1
            self._known[digest] = (
                None if said is None else Origin(self._next, hash32(*instance_parts(said)), said)
            )
        return self._known[digest]


def instance_parts(instance: Instance) -> tuple[str, str, str, str]:
    """What makes an instance what it is."""
    return instance.service, instance.version, instance.instance, instance.environment


def time_refusals(refusals: Refusals, times_ns: NDArray[np.uint64], now_ns: int, what: str) -> None:
    """Refuses times that are none, and those more than five minutes ahead."""
    refusals.add(times_ns == 0, f"{what} has no time")
    ahead = times_ns > np.uint64(now_ns + FUTURE_NS)
    refusals.add(ahead, f"{what} is more than 5 minutes ahead: set the sender's clock")
