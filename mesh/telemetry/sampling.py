"""The same line again and again: the first ones are written, the rest are counted.

Whoever may call can make a process write a line per call. What is logged of a kind in a minute is
bounded, and so is the number of kinds.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from typing import Final

_PERIOD_S: Final = 60.0
_MOST_OF_A_KIND: Final = 20
_MOST_KINDS: Final = 256
_KIND_TEXT: Final = 120
_DISTINGUISHED_BY: Final = ("rpc_method", "code", "route", "status", "worker", "component")
_OTHER: Final = ("other",)

logger = logging.getLogger("sensus.log")


class Sampling(logging.Filter):
    """Lets the first records of a kind pass in each minute; a kind is a logger, a level, a text.

    Lines of this module pass always: one for each kind that was cut, by `report`.
    """

    def __init__(
        self, most: int = _MOST_OF_A_KIND, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`most` records of a kind pass in a minute."""
        super().__init__()
        self._most = most
        self._clock = clock
        self._began_s = clock()
        self._seen: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name == logger.name:
            return True
        kind = kind_of(record.name, record.levelname, str(record.msg), record.__dict__)
        with self._lock:
            if kind not in self._seen and len(self._seen) >= _MOST_KINDS:
                kind = _OTHER
            self._seen[kind] += 1
            return self._seen[kind] <= self._most

    def left_out(self, kind: Hashable) -> bool:
        """Whether a line of that kind would only be counted, which is then done.

        For lines of every request: to make a record takes twenty times as long.
        """
        with self._lock:
            if self._seen[kind] < self._most:
                return False
            self._seen[kind] += 1
            return True

    def report(self, *, now: bool = False) -> None:
        """Says what was not written in the minute that is over, or so far; call it often."""
        with self._lock:
            if not now and self._clock() - self._began_s < _PERIOD_S:
                return
            seen, self._seen, self._began_s = self._seen, Counter(), self._clock()
        for kind, count in seen.items():
            if count > self._most:
                note = {"kind": list(kind) if isinstance(kind, tuple) else kind}
                logger.warning("lines left out", extra=note | {"count": count - self._most})


def kind_of(name: str, level: str, text: str, details: Mapping[str, object]) -> Hashable:
    """The kind of a line of the logger `name`; `details` are what it carries beside its text."""
    parts = (str(details.get(each, ""))[:_KIND_TEXT] for each in _DISTINGUISHED_BY)
    return (name, level, text[:_KIND_TEXT], *(part for part in parts if part))


def left_out(kind: Hashable) -> bool:
    """Whether this process would only count a line of that kind, which is then done."""
    handlers = logging.getLogger().handlers
    bounds = [each for handler in handlers for each in handler.filters if type(each) is Sampling]
    return len(handlers) == len(bounds) == 1 and bounds[0].left_out(kind)
