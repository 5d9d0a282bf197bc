"""The series dictionary of one sender: its own numbers to ours, looked up by whole columns."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from mesh.errors import InvalidInput
from services.ingest.model.labels import LabelsRefused, SeriesKey
from services.ingest.model.samples import Int32s, Int64s, UInt32s
from services.ingest.model.writes import Definition

UNKNOWN_SLOT: Final = -1
UNRESOLVED: Final = 0
REFUSED: Final = -1


class SeriesTable:
    """Label sets by slot. A slot never changes its meaning; redefining a ref gives it another.

    Attributes:
        ids: int64 per slot: series_id, UNRESOLVED before the first commit, REFUSED for a bad set.
        shards: int16 per slot, valid where ids > 0.
    """

    def __init__(self, max_series: int) -> None:
        """At most `max_series` different definitions are taken."""
        self._max_series = max_series
        self._slot_by_ref: dict[int, int] = {}
        self._slot_by_digest: dict[bytes, int] = {}
        self._definitions: list[Definition] = []
        self._refs = np.empty(0, np.uint32)
        self._slots = np.empty(0, np.int32)
        self.ids: Int64s = np.zeros(16, np.int64)
        self.shards = np.zeros(16, np.int16)

    def define(self, ref: int, definition: Definition) -> None:
        """Gives `ref` a meaning for the batches that follow.

        Raises:
            InvalidInput: TOO_MANY_SERIES.
        """
        self._slot_by_ref[ref] = self.add(definition)
        self._refs = np.empty(0, np.uint32)

    def add(self, definition: Definition) -> int:
        """The slot of a definition, the same one for the same label set.

        Raises:
            InvalidInput: TOO_MANY_SERIES.
        """
        digest = definition.digest if isinstance(definition, SeriesKey) else b""
        slot = self._slot_by_digest.get(digest)
        if slot is not None:
            return slot
        slot = self._append(definition)
        if digest:
            self._slot_by_digest[digest] = slot
        return slot

    def add_all(self, definitions: Sequence[Definition]) -> Int32s:
        """Like `add`, the slot of each; of a whole body at once, if its label sets are different.

        Raises:
            InvalidInput: TOO_MANY_SERIES.
        """
        if not self._definitions and len(definitions) <= self._max_series:
            slots = {
                each.digest: slot
                for slot, each in enumerate(definitions)
                if isinstance(each, SeriesKey)
            }
            if len(slots) == len(definitions):
                self._definitions, self._slot_by_digest = [*definitions], slots
                self.ids = np.zeros(max(16, len(slots)), np.int64)
                self.shards = np.zeros(len(self.ids), np.int16)
                return np.arange(len(slots), dtype=np.int32)
        return np.array([*map(self.add, definitions)], np.int32)

    def slots(self, refs: UInt32s) -> Int32s:
        """The slot of each ref; UNKNOWN_SLOT where it has no definition."""
        if not self._slot_by_ref:
            return np.full(len(refs), UNKNOWN_SLOT, np.int32)
        if not len(self._refs):
            self._sort()
        places = np.searchsorted(self._refs, refs)
        places[places == len(self._refs)] = 0
        known = self._refs[places] == refs
        slots = self._slots[places]
        return slots if known.all() else np.where(known, slots, UNKNOWN_SLOT)

    def key(self, slot: int) -> SeriesKey:
        """The label set of a slot that was not refused."""
        definition = self._definitions[slot]
        if isinstance(definition, LabelsRefused):
            raise definition
        return definition

    def refusal(self, slot: int) -> str:
        """Why the label set of a slot was refused."""
        return str(self._definitions[slot])

    def digests(self, slots: Iterable[int]) -> list[bytes]:
        """The identity of each slot; none of them was refused."""
        definitions: list[Any] = self._definitions
        return [definitions[slot].digest for slot in slots]

    def resolve(self, known: Iterable[tuple[int, int, int]]) -> None:
        """Notes committed identities: slot, series_id and shard of each."""
        columns = [[*each] for each in zip(*known, strict=True)]
        if columns:
            slots, series_ids, shards = columns
            self.ids[slots] = series_ids
            self.shards[slots] = shards

    def unresolved(self, slots: Int32s) -> list[int]:
        """The distinct slots among `slots` that have no identity yet."""
        waiting = self.ids[slots] == UNRESOLVED
        if not waiting.any():
            return []
        found: list[int] = np.unique(slots[waiting]).tolist()
        return found

    def _append(self, definition: Definition) -> int:
        slot = len(self._definitions)
        if slot >= self._max_series:
            raise InvalidInput(
                f"more than {self._max_series} series definitions: open another stream",
                reason="TOO_MANY_SERIES",
            )
        if slot == len(self.ids):
            self.ids = np.concatenate([self.ids, np.zeros_like(self.ids)])
            self.shards = np.concatenate([self.shards, np.zeros_like(self.shards)])
        self._definitions.append(definition)
        if isinstance(definition, LabelsRefused):
            self.ids[slot] = REFUSED
        return slot

    def _sort(self) -> None:
        refs = np.fromiter(self._slot_by_ref.keys(), np.uint32, len(self._slot_by_ref))
        slots = np.fromiter(self._slot_by_ref.values(), np.int32, len(self._slot_by_ref))
        order = np.argsort(refs)
        self._refs, self._slots = refs[order], slots[order]
