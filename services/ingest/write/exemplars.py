"""Which exemplars are kept: of each family and minute the greatest, and of each caller a share."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from cachetools import LRUCache

from mesh.clock import Clock
from services.ingest.metrics import EXEMPLARS_KEPT, EXEMPLARS_SKIPPED
from services.ingest.model.exemplars import RETENTION_MS, Exemplar
from services.ingest.store.exemplars import ExemplarStore

MOST_OF_CALLER: Final = 1000
"""Written a minute for one caller, by one process; and for all of them:"""
MOST: Final = 5000
_KNOWN: Final = 50_000
_MINUTE_MS: Final = 60_000


class ExemplarWrites:
    """Keeps exemplars beside the samples of their body."""

    def __init__(self, store: ExemplarStore, clock: Clock, *, takes: bool, future_ms: int) -> None:
        """Keeps none unless `takes`; those more than `future_ms` ahead are left out."""
        self._store = store
        self._clock = clock
        self._takes = takes
        self._future_ms = future_ms
        self._known: LRUCache[tuple[bytes, int], float] = LRUCache(_KNOWN)
        self._minute = 0
        self._written: Counter[str] = Counter()

    async def keep(self, caller: str, sent: int, found: Sequence[Exemplar]) -> int:
        """How many of the `sent` ones are kept, or give way to a greater one of their minute.

        Raises:
            Unavailable: None was written; what is sent again is written once.
        """
        if not sent:
            return 0
        groups: dict[tuple[bytes, int], list[Exemplar]] = {}
        for each in found:
            if self._takes and self._is_timely(each):
                groups.setdefault((each.family, each.minute), []).append(each)
        best = {key: max(group, key=_value) for key, group in groups.items()}
        better = {
            key: each for key, each in best.items()
            if each.value > self._known.get(key, float("-inf"))
        }  # fmt: skip
        taken = dict([*better.items()][: self._room(caller)])
        if taken:
            await self._store.save(_one_a_slot(taken.values()))
            self._written[caller] += len(taken)
            self._known.update({key: each.value for key, each in taken.items()})
        left_out = better.keys() - taken.keys()
        kept = sum(len(group) for key, group in groups.items() if key not in left_out)
        EXEMPLARS_KEPT.inc(kept)
        EXEMPLARS_SKIPPED.inc(sent - kept)
        return kept

    def _is_timely(self, each: Exemplar) -> bool:
        now_ms = self._clock.now_ms()
        return now_ms - RETENTION_MS <= each.time_ms <= now_ms + self._future_ms

    def _room(self, caller: str) -> int:
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._written.clear()
        of_caller = MOST_OF_CALLER - self._written[caller]
        return max(0, min(of_caller, MOST - self._written.total()))


def _one_a_slot(exemplars: Iterable[Exemplar]) -> Sequence[Exemplar]:
    """The newest of each family and slot."""
    newest: dict[tuple[bytes, int], Exemplar] = {}
    for each in exemplars:
        key = each.family, each.slot
        if key not in newest or each.minute > newest[key].minute:
            newest[key] = each
    return [*newest.values()]


def _value(each: Exemplar) -> float:
    return each.value
