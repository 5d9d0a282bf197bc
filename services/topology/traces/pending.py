"""Spans that wait for the rest of their trace. Pure: the clock is that of the log, in seconds."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.topology.model.events import EVENT, RECORD, Events

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_REMEMBERED_S: Final = 60


class Pending:
    """The traces of one shard that are not settled.

    A trace settles when nothing of it was committed for `quiet_s`, or `longest_s` after its first
    row. What comes later is late: it waits for the end of its second, so that nothing depends on
    how deliveries are cut. Settled traces and their spans are remembered for a minute.
    """

    def __init__(self, *, quiet_s: int = 10, longest_s: int = 60) -> None:
        """Holds nothing."""
        self._quiet_s = quiet_s
        self._longest_s = longest_s
        self._waiting = _Rows.none()
        self._late = _Rows.none()
        self._settled = _RecentKeys()
        self._counted = _RecentKeys()

    def __len__(self) -> int:
        """Rows that wait."""
        return len(self._waiting) + len(self._late)

    def add(self, rows: Events, now_s: int) -> None:
        """Takes rows of one second; `settle` was called for it before."""
        traced = rows.compress((rows["trace_hi"] != 0) | (rows["trace_lo"] != 0))
        keys = trace_keys(traced)
        is_late = self._settled.holds(keys)
        self._waiting = self._waiting.with_more(traced.compress(~is_late), now_s)
        self._late = self._late.with_more(traced.compress(is_late), now_s)

    def settle(self, now_s: int) -> tuple[Events, Events]:
        """Takes out the rows of traces that are settled now, and rows that came late."""
        late = self._late.rows
        late = late.compress(~self._counted.holds(_span_keys(late)))
        # only now: late rows came when these were remembered
        self._settled.forget(now_s - _REMEMBERED_S)
        self._counted.forget(now_s - _REMEMBERED_S)
        self._late = _Rows.none()
        settled = self._due(now_s)
        self._counted.add(now_s, _span_keys(np.concatenate([settled, late])))
        return settled, late

    def state(self) -> dict[str, Any]:
        """All that decides what comes, as numbers and bytes."""
        return {
            "waiting": self._waiting.state(),
            "late": self._late.state(),
            "settled": self._settled.state(),
            "counted": self._counted.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """As `state` gave it."""
        self._waiting = _Rows.of(state["waiting"])
        self._late = _Rows.of(state["late"])
        self._settled.restore(state["settled"])
        self._counted.restore(state["counted"])

    def _due(self, now_s: int) -> Events:
        waiting = self._waiting
        if not len(waiting):
            return waiting.rows
        keys = trace_keys(waiting.rows)
        # rows wait in the order in which they came, and stay so within their trace
        order = np.argsort(keys, kind="stable")
        begins = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
        ends = np.r_[begins[1:], len(order)]
        first, last = waiting.at_s[order[begins]], waiting.at_s[order[ends - 1]]
        is_due = (last <= now_s - self._quiet_s) | (first <= now_s - self._longest_s)
        self._settled.add(now_s, keys[order[begins[is_due]]])
        taken = np.zeros(len(order), np.bool_)
        taken[order] = np.repeat(is_due, ends - begins)
        self._waiting = _Rows(waiting.rows.compress(~taken), waiting.at_s[~taken])
        settled: Events = waiting.rows.compress(taken)
        return settled


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows, and when each was committed."""

    rows: Events
    at_s: NDArray[np.int64]

    @classmethod
    def none(cls) -> "_Rows":
        return cls(np.empty(0, EVENT), np.empty(0, np.int64))

    @classmethod
    def of(cls, state: tuple[bytes, bytes]) -> "_Rows":
        return cls(np.frombuffer(state[0], EVENT), np.frombuffer(state[1], np.int64))

    def __len__(self) -> int:
        return len(self.rows)

    def with_more(self, rows: Events, now_s: int) -> "_Rows":
        at_s = np.concatenate([self.at_s, np.full(len(rows), now_s, np.int64)])
        return _Rows(np.concatenate([self.rows, rows]), at_s)

    def state(self) -> tuple[bytes, bytes]:
        return self.rows.tobytes(), self.at_s.tobytes()


class _RecentKeys:
    """Keys by the second in which they came."""

    def __init__(self) -> None:
        self._by_second: dict[int, NDArray[np.uint64]] = {}
        self._sorted: NDArray[np.uint64] | None = None

    def holds(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these are remembered. They are sorted once a second, so to ask costs little."""
        if self._sorted is None:
            self._sorted = np.concatenate([np.empty(0, np.uint64), *self._by_second.values()])
            self._sorted.sort()
        known = self._sorted
        if not len(known):
            return np.zeros(len(keys), np.bool_)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        held: NDArray[np.bool_] = known[places] == keys
        return held

    def add(self, at_s: int, keys: NDArray[np.uint64]) -> None:
        if len(keys):
            self._by_second[at_s] = keys
            self._sorted = None

    def forget(self, before_s: int) -> None:
        old = [at_s for at_s in self._by_second if at_s < before_s]
        for at_s in old:
            del self._by_second[at_s]
            self._sorted = None

    def state(self) -> dict[int, bytes]:
        return {at_s: keys.tobytes() for at_s, keys in self._by_second.items()}

    def restore(self, state: dict[int, bytes]) -> None:
        self._by_second = {at: np.frombuffer(keys, np.uint64) for at, keys in state.items()}
        self._sorted = None


def trace_keys(rows: Events) -> NDArray[np.uint64]:
    """One number for each trace: two that share one settle together, and are still told apart."""
    mixed: NDArray[np.uint64] = (rows["trace_hi"] * _MIX) ^ rows["trace_lo"]
    return mixed


def _span_keys(rows: Events) -> NDArray[np.uint64]:
    """One number for each span, and for each record."""
    mixed: NDArray[np.uint64] = (trace_keys(rows) + rows["span_id"]) * _MIX
    is_span = rows["kind"] < RECORD
    return np.where(is_span, mixed, mixed ^ (rows["start_ns"] * _MIX) ^ rows["parent"])
