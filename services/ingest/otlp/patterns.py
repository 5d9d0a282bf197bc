"""Log lines as patterns: the words that do not vary. Pure.

A compiled loop takes out what has digits, quotes and the like; what it has met before is known by
the bytes that are left. Only for new ones the rest is done here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.ingest.model.events import Pattern, hash64
from services.ingest.otlp.event_attributes import MOST_NAMES, NAMES_BYTES
from services.ingest.otlp.masking import MASK, masked
from services.ingest.wire.fields import Spans
from services.ingest.wire.texts import Remembered

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

    def __init__(self) -> None:
        """Knows none."""
        self._remembered = Remembered(MOST_NAMES, _PATTERNED, NAMES_BYTES)

    def of(
        self, body: bytes, spans: Spans, numbers: NDArray[np.int64], services: Sequence[str]
    ) -> NDArray[np.void]:
        """The pattern of each text: its id as `pattern`, and all of it as `place`.

        Args:
            body: The bytes in which the texts lie.
            spans: Where each lies.
            numbers: Of each text, the number of its resource.
            services: Of each text, the name of its service.
        """
        arena, keys = _masked(body, spans, numbers)

        def read(places: Sequence[int]) -> NDArray[np.void]:
            placed = [
                _placed(services[each], keys.one(arena, each)[_NUMBER_BYTES:]) for each in places
            ]
            return np.array([(each.pattern_id, each) for each in placed], _PATTERNED)

        found: NDArray[np.void] = self._remembered.of(arena, keys, read)
        return found


def _masked(body: bytes, spans: Spans, numbers: NDArray[np.int64]) -> tuple[bytes, Spans]:
    """What is left of each text, behind the number of its resource."""
    # numba takes a second and a hundred megabytes: only who reads such bodies pays for it
    from services.ingest.wire import patterns

    sizes = np.minimum(spans.ends - spans.starts, _LONGEST_BYTES)
    arena = np.empty(2 * int(sizes.sum()) + 16 * len(spans) + 64, np.uint8)
    ends = np.zeros(len(spans), np.int64)
    patterns.mask_texts(  # type: ignore[no-untyped-call]
        np.frombuffer(body, np.uint8),
        np.ascontiguousarray(spans.starts),
        np.ascontiguousarray(spans.ends),
        np.ascontiguousarray(numbers),
        arena,
        ends,
    )
    left = arena[: ends[-1] if len(ends) else 0].tobytes()
    return left, Spans(np.arange(len(ends)), np.append(0, ends[:-1])[: len(ends)], ends)


def pattern_text(left: bytes) -> str:
    """The text of a pattern from what the loop has left of a line."""
    text = left.decode(errors="replace").replace("\x02", _SLOT)
    text = "".join(c if c.isprintable() else " " for c in text)
    text = _SECRET.sub(rf"\1 {_SLOT}", text)
    text = masked(text).replace(MASK, _SLOT)
    text = _RUNS.sub(_SLOT, text).strip()
    return text.encode(errors="replace")[:_LONGEST_BYTES].decode(errors="ignore") or "(no text)"


def _placed(service: str, left: bytes) -> Placed:
    text = pattern_text(left)
    return Placed(hash64(_VERSION, service, text), Pattern(service, text))
