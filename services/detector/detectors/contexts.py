"""The contexts of the engine: in how many ways a sample may be new. One table, one pass.

Every context is an entry of `novelty`, which tells the measure, its source, cost and weakness.
None looks at the value alone: a value never reached is new to `weekend` and `daytime` as well, and
a third vote for it costs more false alarms than it finds faults (see the ablation).

    change     the change since the sample before: a jump never made
    offset     the distance from the recent level: off the curve, whatever the height
    daytime    the value in this quarter of the day: daily seasons
    weekend    the value, on working days and weekends apart: weekly seasons
    sequence   the value after the value before it: a step never taken from there
    pattern    three values in a row on cells twice as wide: a shape never drawn
    run        how long the value has stayed in its cell, see `run`

>>> state, found = np.zeros(1, STATE)[0], np.zeros(len(FEATURES), np.float32)
>>> places, usual = np.zeros(PLACES, np.int16), Sample(value=1, last=1)
>>> for _ in range(99):
...     meet(state, usual, found, places)
...     learn(state, usual, places)
>>> bool(found.any())
False
>>> meet(state, Sample(value=90, last=1, change=89, offset=89), found, places)
>>> [name for name, new in zip(FEATURES, found) if new > 1]
['change', 'offset', 'daytime', 'weekend', 'sequence', 'pattern']
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors import novelty, run
from services.detector.detectors.grid import WIDTHS
from services.detector.detectors.jit import kernel
from services.detector.detectors.sample import Reach, Sample

NARROW: Final = (5, 5, 5, 4, 4)
"""log2 of the bits kept per width, the finest first: enough for a value alone."""
DAYTIME: Final = (7, 7, 6, 6, 6)
WEEKEND: Final = (6, 6, 6, 5, 5)
WIDE: Final = (7, 7, 7, 7, 7)

STATE: Final = np.dtype(
    [
        ("change", novelty.table(NARROW)),
        ("offset", novelty.table(NARROW)),
        ("daytime", novelty.parted_table(DAYTIME, parts=4)),
        ("weekend", novelty.parted_table(WEEKEND, parts=2)),
        ("sequence", novelty.table(WIDE)),
        ("pattern", novelty.table(WIDE)),
        ("run", run.STATE),
    ],
    align=True,
)
FEATURES: Final = tuple(STATE.names or ())
PLACES: Final = len(FEATURES) * WIDTHS
"""Where something may be new about a sample."""


@kernel
def meet(
    state: np.void, sample: Sample, found: npt.NDArray[np.float32], places: novelty.Places
) -> None:
    """Writes how surprising each context is, at least 0, and for `learn` where it is new."""
    value, values, last, before = sample.value, sample.values, sample.last, sample.before
    halved = Reach(values.low >> 1, values.high >> 1)
    found[0] = novelty.meet(
        state["change"]["known"][:], state["change"]["age"][:], NARROW,
        sample.change, sample.changes, 0, 0, 0, places, 0,
    )  # fmt: skip
    found[1] = novelty.meet(
        state["offset"]["known"][:], state["offset"]["age"][:], NARROW,
        sample.offset, sample.offsets, 0, 0, 0, places, WIDTHS,
    )  # fmt: skip
    found[2] = novelty.meet_part(
        state["daytime"], DAYTIME, value, values, sample.quarter, places, 2 * WIDTHS
    )
    found[3] = novelty.meet_part(
        state["weekend"], WEEKEND, value, values, sample.weekend, places, 3 * WIDTHS
    )
    found[4] = novelty.meet(
        state["sequence"]["known"][:], state["sequence"]["age"][:], WIDE,
        value, values, last, 0, 0, places, 4 * WIDTHS,
    )  # fmt: skip
    found[5] = novelty.meet(
        state["pattern"]["known"][:], state["pattern"]["age"][:], WIDE,
        value >> 1, halved, last >> 1, before >> 1, 0, places, 5 * WIDTHS,
    )  # fmt: skip
    found[6] = run.meet(state["run"], sample, places, 6 * WIDTHS)


@kernel
def learn(state: np.void, sample: Sample, places: novelty.Places) -> None:
    """Learns the sample that was met last; `places` as `meet` wrote them."""
    change, offset = state["change"], state["offset"]
    sequence, pattern = state["sequence"], state["pattern"]
    novelty.learn(change["known"][:], change["age"][:], NARROW, places, 0)
    novelty.learn(offset["known"][:], offset["age"][:], NARROW, places, WIDTHS)
    novelty.learn_part(state["daytime"], DAYTIME, sample.quarter, places, 2 * WIDTHS)
    novelty.learn_part(state["weekend"], WEEKEND, sample.weekend, places, 3 * WIDTHS)
    novelty.learn(sequence["known"][:], sequence["age"][:], WIDE, places, 4 * WIDTHS)
    novelty.learn(pattern["known"][:], pattern["age"][:], WIDE, places, 5 * WIDTHS)
    run.learn(state["run"], sample, places, 6 * WIDTHS)


@kernel
def rescale_values(state: np.void, steps: int) -> None:
    """Follows the grid of values when its cells became 2**steps times as wide."""
    daytime, weekend = state["daytime"]["table"], state["weekend"]["table"]
    sequence, pattern = state["sequence"], state["pattern"]
    novelty.rescale(daytime["known"][:], daytime["age"][:], DAYTIME, steps)
    novelty.rescale(weekend["known"][:], weekend["age"][:], WEEKEND, steps)
    novelty.rescale(sequence["known"][:], sequence["age"][:], WIDE, steps)
    novelty.rescale(pattern["known"][:], pattern["age"][:], WIDE, steps)
    run.rescale(state["run"], steps)


@kernel
def rescale_changes(state: np.void, steps: int) -> None:
    """Follows the grid of changes."""
    novelty.rescale(state["change"]["known"][:], state["change"]["age"][:], NARROW, steps)


@kernel
def rescale_offsets(state: np.void, steps: int) -> None:
    """Follows the grid of offsets."""
    novelty.rescale(state["offset"]["known"][:], state["offset"]["age"][:], NARROW, steps)
