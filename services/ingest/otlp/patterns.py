"""Log lines as patterns: the words that do not vary. Pure.

A compiled loop takes out what has digits, quotes and the like; what it has met before is known by
the bytes that are left. Only for new ones the rest is done here.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Names, Pattern, hash64
from services.ingest.otlp.event_columns import MOST_NAMES, NAMES_BYTES, Columns
from services.ingest.otlp.masking import MASK, masked
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered, present

_SLOT: Final = "<*>"
_LONGEST_BYTES: Final = 1024
_VERSION: Final = "1"
"""Of the masks: another one gives every pattern another id, instead of mixing both."""
_SECRET: Final = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|passwd|pwd|token|secret|key|credentials?|authorization|bearer"
    r"|basic|cookie)[\"':=]*)\s+(?!<\*>)\S+"
)
_NUMBER_BYTES: Final = 8
_RUNS: Final = re.compile(r"<\*>(?:\s*<\*>)+")


_PATTERNED: Final = np.dtype([("pattern", "<u8"), ("place", object)])


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A pattern and its id; the id also depends on the service."""

    pattern_id: int
    pattern: Pattern


class Patterns:
    """Gives each line its pattern. For one thread."""

    def __init__(self, columns: Columns) -> None:
        """Knows none."""
        self._remembered = Remembered(MOST_NAMES, _PATTERNED, NAMES_BYTES)
        self._columns = columns

    def of(
        self,
        body: bytes,
        spans: Spans,
        numbers: NDArray[np.int64],
        service: Callable[[int], str],
        names: Names,
    ) -> NDArray[np.uint64]:
        """The id of the pattern of each text, which is noted among the names.

        Args:
            body: The bytes in which the texts lie.
            spans: Where each lies.
            numbers: Of each text, the number of its resource.
            service: Says the name of the service of a text.
            names: Get the patterns.
        """
        arena, keys = self._masked(body, spans, numbers)

        read = partial(_all_placed, arena, keys, service)
        known, places = self._remembered.placed(arena, keys, read)
        for each in known["place"][present(places)].tolist():
            names.patterns[each.pattern_id] = each.pattern
        ids: NDArray[np.uint64] = known["pattern"][places]
        return ids

    def _masked(
        self, body: bytes, spans: Spans, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], Spans]:
        """What is left of each text, behind the number of its resource."""
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire import patterns

        sizes = np.minimum(spans.ends - spans.starts, _LONGEST_BYTES)
        arena = self._columns.column("left", 2 * int(sizes.sum()) + 16 * len(spans) + 64, np.uint8)
        ends = np.zeros(len(spans), np.int64)
        patterns.mask_texts(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8), spans.starts, spans.ends, numbers, arena, ends
        )
        starts = np.zeros(len(ends), np.int64)
        starts[1:] = ends[:-1]
        return arena, Spans(ends, starts, ends)


def pattern_text(left: bytes) -> str:
    """The text of a pattern from what the loop has left of a line."""
    text = left.decode(errors="replace").replace("\x02", _SLOT)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = _SECRET.sub(rf"\1 {_SLOT}", text)
    text = masked(text).replace(MASK, _SLOT)
    text = _RUNS.sub(_SLOT, text).strip()
    return text.encode(errors="replace")[:_LONGEST_BYTES].decode(errors="ignore") or "(no text)"


def _all_placed(
    arena: NDArray[np.uint8], keys: Spans, service: Callable[[int], str], places: Sequence[int]
) -> NDArray[np.void]:
    placed = [
        _placed(service(each), keys.one(arena, each)[_NUMBER_BYTES:].tobytes()) for each in places
    ]
    return np.array([(each.pattern_id, each) for each in placed], _PATTERNED)


def _placed(service: str, left: bytes) -> Placed:
    text = pattern_text(left)
    return Placed(hash64(_VERSION, service, text), Pattern(service, text))
