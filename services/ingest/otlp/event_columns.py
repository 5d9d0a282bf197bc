"""The columns into which the kernels read spans and log records."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidInput
from services.ingest.wire.fields import MOST_FIELDS

MOST_RECORDS: Final = 10_000
"""Spans or log records of one body; Collectors send 8192."""
MOST_NAMES: Final = 1 << 15
NAMES_BYTES: Final = 24 * 1024 * 1024
"""Of names that are remembered, twice; more than one body has."""
MOST_EVENTS: Final = 50_000
"""Exceptions of the spans of one body."""
_OK, _FULL = 0, 2
"""Verdicts of the kernels; importing these would load numba."""
_KEPT_BYTES: Final = 4 * 1024 * 1024
_BROKEN: Final = "the body is not the protobuf message that it should be"
_TOO_MANY: Final = (
    f"the body has more than {MOST_EVENTS} exceptions of spans, or {MOST_FIELDS} attributes:"
    " send it in parts"
)


class Columns:
    """Arrays that are written anew for each body.

    To get their memory from the system costs more than to fill it, so all but the largest are kept.
    """

    def __init__(self) -> None:
        """Keeps nothing yet."""
        self._kept: dict[str, NDArray[Any]] = {}

    def rows(self, name: str, count: int, width: int, dtype: Any = np.int64) -> NDArray[Any]:
        """Rows with anything in them; good until rows of this name are asked for again."""
        return self.column(name, count * width, dtype).reshape(count, width)

    def column(self, name: str, count: int, dtype: Any = np.int64) -> NDArray[Any]:
        """Like `rows`, in one dimension."""
        kept = self._kept.get(name)
        if kept is None or len(kept) < count:
            kept = np.empty(count, dtype)
            if kept.nbytes <= _KEPT_BYTES:
                self._kept[name] = kept
        return kept[:count]


def counted(found: Sequence[int], too_many: str = _TOO_MANY) -> Sequence[int]:
    """What a kernel has counted, without its verdict.

    Raises:
        InvalidInput: BODY_BROKEN or TOO_MANY_FIELDS.
    """
    verdict, *counts = found
    if verdict == _FULL:
        raise InvalidInput(too_many, reason="TOO_MANY_FIELDS")
    if verdict != _OK:
        raise InvalidInput(_BROKEN, reason="BODY_BROKEN")
    return counts
