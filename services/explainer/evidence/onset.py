"""Since when a series has been as it is at the event, and what was usual before. Pure.

The level at the event is followed back until the samples leave it. What is older and not at that
level tells what is usual: earlier outages of the same kind are left out of it. A rule that waits an
hour before it fires so changes nothing about the verdict.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.explainer.model.windows import Timestamps, Values
from services.explainer.rankers.deviation import median, quantile, widened

HISTORY_SAMPLES_MIN: Final = 4
"""Fewer samples from before tell nothing of what is usual."""

FAR_SIGMAS: Final = 3.0
_NOISE_SIGMAS: Final = 6.0
"""Samples within so many deviations of neighbours belong to the same level."""

_ANCHOR_SAMPLES: Final = 3
_NEIGHBOURS: Final = 12
_LEVEL_SHARE: Final = 0.15
"""Levels that differ by less than this share are one."""

_SPREAD_SHARE: Final = 0.05
_GAP: Final = 3
"""So many samples in a row outside end a level; fewer are gaps in it."""

_MAD: Final = 1.4826
_TAIL: Final = 0.05

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Onset:
    """When a series left its usual range.

    Attributes:
        at_ms: Time of the first sample beyond it.
        usual: True where a sample tells what was usual before; of the length of the samples.
    """

    at_ms: int
    usual: Mask


def onset_of(times: Timestamps, values: Values, event_ms: int) -> Onset | None:
    """The onset of what a series shows at `event_ms`, or None when it shows nothing unusual.

    Linear but for one sort. NaN means no sample.
    """
    kept = np.flatnonzero(np.isfinite(values))
    if kept.size <= HISTORY_SAMPLES_MIN:
        return None
    t, x = times[kept], values[kept]
    split = int(np.searchsorted(t, event_ms, side="right"))
    found = [_from(x, anchor) for anchor in _anchors(split, x.size)]
    far = [each for each in found if each is not None]
    if not far:
        return None
    start, usual, _ = max(far, key=lambda each: each[2])
    mask = np.zeros(values.size, dtype=np.bool_)
    mask[kept[usual]] = True
    return Onset(at_ms=int(t[start]), usual=mask)


def _anchors(split: int, size: int) -> list[slice]:
    """The last samples up to the event and the first after it: a rule may not wait at all."""
    before = slice(max(0, split - _ANCHOR_SAMPLES), split)
    after = slice(split, min(size, split + _ANCHOR_SAMPLES))
    return [each for each in (before, after) if each.stop - each.start == _ANCHOR_SAMPLES]


def _from(x: Values, anchor: slice) -> tuple[int, NDArray[np.int64], float] | None:
    """Where the level at the anchor begins, which samples are usual, and how far it is of them."""
    level = median(x[anchor])
    near = np.abs(x - level) <= _tolerance(x, anchor, level)
    start = _begin(near, anchor.stop)
    before = np.arange(start)
    middle = median(x[:start]) if start else level
    usual = before[np.abs(x[:start] - middle) <= np.abs(x[:start] - level)]
    if usual.size < HISTORY_SAMPLES_MIN:
        return None
    centre, spread = _centre_and_spread(x[usual], level)
    size = abs(level - centre) / spread
    if size < FAR_SIGMAS:
        return None
    beyond = (x - centre) * np.sign(level - centre) > FAR_SIGMAS * spread
    start = _begin(beyond, anchor.stop)
    usual = usual[usual < start]
    return (start, usual, size) if usual.size >= HISTORY_SAMPLES_MIN else None


def _tolerance(x: Values, anchor: slice, level: float) -> float:
    """How far samples of one level lie apart, by how far neighbours do."""
    close = np.abs(np.diff(x[max(0, anchor.stop - _NEIGHBOURS) : anchor.stop]))
    noise = max(median(np.abs(np.diff(x))), median(close) if close.size else 0)
    return max(_NOISE_SIGMAS * noise, _LEVEL_SHARE * abs(level))


def _begin(inside: Mask, stop: int) -> int:
    """First index of the stretch of `inside` that reaches up to `stop`, short gaps allowed."""
    out = ~inside[:stop]
    gap = out.copy()
    for shift in range(1, _GAP):
        gap[shift:] &= out[:-shift]
        gap[:shift] = False
    last = np.flatnonzero(gap)
    begin = int(last[-1]) + 1 if last.size else 0
    first = np.flatnonzero(inside[begin:stop])
    return begin + int(first[0]) if first.size else stop


def _centre_and_spread(usual: Values, level: float) -> tuple[float, float]:
    ordered = np.sort(usual)
    low, centre, high = (quantile(ordered, share) for share in (_TAIL, 0.5, 1.0 - _TAIL))
    tail = (high - centre if level > centre else centre - low) / 1.645
    mad = _MAD * median(np.abs(usual - centre))
    floor = max(_SPREAD_SHARE * abs(centre), abs(level) / 100) or 1.0
    return centre, widened(max(mad, tail, floor), usual.size)
