"""What a body of traces or logs says: rows, their names, and what was refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Events, Example, Instance, Names, hash32, hash64
from services.ingest.otlp.event_columns import MOST_RECORDS, Columns, counted
from services.ingest.otlp.resources import Resources
from services.ingest.wire.fields import MOST_MESSAGES, Spans

FUTURE_NS: Final = 300_000_000_000
_SHOWN: Final = 3
_UNREADABLE: Final = ((1 << 64) - 1, 0, 0, 0)
"""Instead of `Origin.told`: its number is -1."""
_MOST_NUMBERED: Final = 50_000
_TOO_MANY: Final = f"the body has more than {MOST_RECORDS} records: send it in parts"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBody:
    """Rows of what was taken; how many records were refused, and the first reasons."""

    rows: Events
    names: Names
    examples: Sequence[Example]
    rejected: int
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sent some records: ids and names of a service and of its running copy.

    Attributes:
        service_id: Of the service as such, without an operation.
    """

    number: int
    instance_id: int
    service_id: int
    instance: Instance

    @property
    def row(self) -> tuple[int, int, int, int]:
        """A row of `Records.owners`."""
        return self.number, self.instance_id, self.service_id, 0

    @property
    def service(self) -> str:
        """Name of the service."""
        return self.instance.service


@dataclass(frozen=True, slots=True)
class Records:
    """Where the records of a body lie, and who sent them.

    Attributes:
        rows: Begin and end of each record, and the place of its resource.
        origins: Of each resource; None of one that cannot be read.
        owners: Of each resource its number, -1 where it cannot be read, the ids of its instance and
            of its service, and 0; the kernels say there whether a record of it was taken.
    """

    rows: NDArray[np.int64]
    origins: Sequence[Origin | None]
    owners: NDArray[np.int64]

    def origin(self, place: int) -> Origin:
        """A resource of which a record was taken."""
        found = self.origins[place]
        if found is None:
            raise AssertionError("records of a resource that cannot be read are refused")
        return found

    def taken(self) -> list[Origin]:
        """Of whom records were taken."""
        marked = zip(self.origins, self.owners[:, 3].tolist(), strict=True)
        return [each for each, is_taken in marked if is_taken and each is not None]


class Origins:
    """Resources by number: the same resource has the same one, none is given twice."""

    def __init__(self) -> None:
        """Knows none."""
        self._known: dict[bytes, Origin | None] = {}
        self._next = 0

    def records(self, body: bytes, columns: Columns) -> Records:
        """The records of a body of traces or logs; both lie at the same depth.

        Raises:
            InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
        """
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire import event_kernels

        resources = columns.rows("resources", MOST_MESSAGES, 2)
        rows = columns.rows("records", MOST_RECORDS, 3)
        held, found, _ = counted(
            event_kernels.list_records(  # type: ignore[no-untyped-call]
                np.frombuffer(body, np.uint8), resources, rows
            ),
            _TOO_MANY,
        )
        origins = [self._origin(body, *each) for each in resources[:held].tolist()]
        owners = [_UNREADABLE if each is None else each.row for each in origins]
        table = np.array(owners, np.uint64).view(np.int64).reshape(held, 4)
        return Records(rows[:found], origins, table)

    def _origin(self, body: bytes, first: int, last: int) -> Origin | None:
        digest = blake2b(body[first:last], digest_size=16).digest()
        if digest not in self._known:
            span = Spans(*(np.array([each], np.int64) for each in (0, first, last)))
            said = Resources(body, span).identity(0)
            if len(self._known) >= _MOST_NUMBERED:
                self._known.clear()
            self._next += 1
            self._known[digest] = None if said is None else _origin(self._next, said)
        return self._known[digest]


def _origin(number: int, said: Instance) -> Origin:
    return Origin(number, hash32(*instance_parts(said)), hash64(said.service, ""), said)


def instance_parts(instance: Instance) -> tuple[str, str, str, str]:
    """What makes an instance what it is."""
    return instance.service, instance.version, instance.instance, instance.environment


def refusals(counts: NDArray[np.int64], reasons: Sequence[str]) -> tuple[int, list[str]]:
    """How many records are refused, and the first reasons; `counts` by reason, from 1."""
    of_each = counts.tolist()[1:]
    said = [reason for reason, count in zip(reasons, of_each, strict=True) if count]
    return sum(of_each), said[:_SHOWN]
