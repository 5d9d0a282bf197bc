"""The exceptions that spans have recorded as events."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Events, Example, Names, hash32
from services.ingest.otlp.event_attributes import Attributes
from services.ingest.otlp.examples import ExampleQuota
from services.ingest.otlp.masking import frames, masked

_NAME: Final = b"exception"
_NO_TYPE: Final = re.compile(r"[^A-Za-z0-9_.$:<>/\\-]")
"""What stands in no name of a type, in any language."""
_LONGEST: Final = 128
UNTYPED: Final = "exception"


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Events by the name `exception`: the span and time of each, and its attributes."""

    spans: NDArray[np.int64]
    times_ns: NDArray[np.uint64]
    attributes: Attributes

    @classmethod
    def of(
        cls, body: bytes, events: NDArray[np.int64], attributes: NDArray[np.int64]
    ) -> "Exceptions":
        """Those among the events of `event_kernels.read_spans`.

        Raises:
            InvalidInput: BODY_BROKEN.
        """
        is_one = np.zeros(len(events), np.bool_)
        for event in np.flatnonzero(events[:, 3] - events[:, 2] == len(_NAME)).tolist():
            is_one[event] = body[events[event, 2] : events[event, 3]] == _NAME
        kept = np.flatnonzero(is_one)
        place = np.full(len(events), -1, np.int64)
        place[kept] = np.arange(len(kept))
        owners = place[attributes[:, 0]]
        inside = attributes[owners >= 0]
        inside[:, 0] = owners[owners >= 0]
        found = Attributes.read(body, len(kept), inside)
        return cls(events[kept, 0], events[kept, 1].view(np.uint64), found)

    def named(self, event: int, names: Names) -> int:
        """The id of an exception's type, which is noted among the names."""
        return exception_id(self.attributes, event, names)

    def examples(self, quota: ExampleQuota, kept: NDArray[np.intp], rows: Events) -> list[Example]:
        """Examples among the exceptions `kept`, of which `rows` are the rows."""
        found = []
        for place in quota.chosen(rows):
            event = int(kept[place])
            message = self.attributes.text(event, "exception.message")
            found.append(example(rows[place], message, self.attributes, event))
        return found


def exception_id(attributes: Attributes, row: int, names: Names) -> int:
    """The id of the type that a row says, which is noted among the names."""
    known = _NO_TYPE.sub("", attributes.text(row, "exception.type")[:_LONGEST]) or UNTYPED
    number = hash32(known)
    names.exceptions[number] = known
    return number


def example(row: "np.void", message: str, attributes: Attributes, place: int) -> Example:
    """One error, masked. The row is that of its record."""
    trace_id, span_id = bytes(row["trace_id"]), bytes(row["span_id"])
    return Example(
        trace_id=trace_id if any(trace_id) else b"",
        span_id=span_id if any(span_id) else b"",
        time_ns=int(row["start_ns"]),
        operation=int(row["operation"]),
        pattern=int(row["parent"]),
        exception=int(row["peer"]),
        message=masked(message),
        frames=frames(attributes.text(place, "exception.stacktrace")),
    )
