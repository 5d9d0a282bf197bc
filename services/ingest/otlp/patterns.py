"""Log lines as patterns: the words that do not vary. Pure.

A compiled loop takes out what has digits, quotes and the like; what it has met before is known by
the bytes that are left. Only for new ones the rest is done here, and words that vary without any
sign of it are learned from them.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Names
from services.ingest.model.samples import Int64s
from services.ingest.otlp.event_columns import MOST_NAMES, NAMES_BYTES, Columns
from services.ingest.otlp.masking import MASK, masked
from services.ingest.otlp.variants import SLOT, Placed, Variants
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered

_LONGEST_BYTES: Final = 1024
_SECRET: Final = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|passwd|pwd|token|secret|key|credentials?|authorization|bearer"
    r"|basic|cookie)[\"':=]*)\s+(?!<\*>)\S+"
)
_NUMBER_BYTES: Final = 8
_RUNS: Final = re.compile(r"<\*>(?:\s*<\*>)+")


class Patterns:
    """Gives each line its pattern. For one thread."""

    def __init__(self, columns: Columns) -> None:
        """Knows none."""
        self._remembered = Remembered(MOST_NAMES, object, NAMES_BYTES)
        self._columns = columns
        self._variants = Variants()

    def of(
        self,
        body: bytes,
        spans: Spans,
        numbers: Int64s,
        service: Callable[[int], str],
        names: Names,
    ) -> tuple[NDArray[np.uint64], Int64s]:
        """Ids of patterns, which are noted among the names, and which of them is that of each text.

        Args:
            body: The bytes in which the texts lie.
            spans: Where each lies; no byte is part of two.
            numbers: Of each text, the number of its resource.
            service: Says the name of the service of a text.
            names: Get the patterns.
        """
        arena, keys = self._masked(body, spans, numbers)
        read = partial(self._all_placed, arena, keys, service)
        known, which = self._remembered.different(arena, keys, read)
        placed = [each.latest() for each in known.tolist()]
        names.patterns.update((each.pattern_id, each.pattern) for each in placed)
        return np.array([each.pattern_id for each in placed], np.uint64), which

    def _masked(
        self, body: bytes, spans: Spans, numbers: Int64s
    ) -> tuple[NDArray[np.uint8], Spans]:
        """What is left of each text, behind the number of its resource."""
        # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
        from services.ingest.wire import patterns

        most = 2 * min(len(body), _LONGEST_BYTES * len(spans)) + 16 * len(spans) + 64
        arena = self._columns.column("left", most, np.uint8)
        keys = self._columns.rows("keys", 2, len(spans))
        patterns.mask_texts(  # type: ignore[no-untyped-call]
            np.frombuffer(body, np.uint8), spans.starts, spans.ends, numbers, arena, keys
        )
        return arena, Spans(keys[0], keys[0], keys[1])

    def _all_placed(
        self,
        arena: NDArray[np.uint8],
        keys: Spans,
        service: Callable[[int], str],
        places: Sequence[int],
    ) -> list[Placed]:
        return [
            self._placed(service(each), keys.one(arena, each)[_NUMBER_BYTES:].tobytes())
            for each in places
        ]

    def _placed(self, service: str, left: bytes) -> Placed:
        return self._variants.placed(service, pattern_text(left))


def pattern_text(left: bytes) -> str:
    """The text of a pattern from what the loop has left of a line."""
    text = left.decode(errors="replace").replace("\x02", SLOT)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = _SECRET.sub(rf"\1 {SLOT}", text)
    text = masked(text).replace(MASK, SLOT)
    text = _RUNS.sub(SLOT, text).strip()
    return text.encode(errors="replace")[:_LONGEST_BYTES].decode(errors="ignore") or "(no text)"
