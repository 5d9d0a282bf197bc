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
>>> met, usual = np.zeros(1, novelty.MET)[0], Sample(value=1, last=1)
>>> for _ in range(99):
...     meet(state, usual, found, met)
...     learn(state, usual, met)
>>> bool(found.any())
False
>>> meet(state, Sample(value=90, last=1, change=89, offset=89), found, met)
>>> [name for name, new in zip(FEATURES, found) if new > 1]
['change', 'offset', 'daytime', 'weekend', 'sequence', 'pattern']
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors import novelty, run, tables
from services.detector.detectors.grid import WIDTHS
from services.detector.detectors.jit import kernel
from services.detector.detectors.novelty import X, Y, Z, beyond, look, part
from services.detector.detectors.sample import Sample
from services.detector.detectors.tables import (
    CHANGE,
    DAYTIME,
    OFFSET,
    PATTERN,
    RUN,
    SEQUENCE,
    TABLES,
    WEEKEND,
    WORDS,
    Ages,
    Words,
)

FEATURES: Final = tuple(tables.SIZES)
ENOUGH: Final = 6
"""Visits before a part of the calendar counts as known; one hardly visited surprises no one."""
STATE: Final = np.dtype(
    [
        ("known", np.uint32, (WORDS,)),
        ("age", np.uint16, (TABLES,)),
        ("run", np.uint8, (WIDTHS,)),
        ("quarters", np.uint8, (4,)),
        ("weekends", np.uint8, (2,)),
    ]
)
"""Of each table its known cells and the samples met; lengths of the run; visits to the calendar."""


@kernel
def meet(state: np.void, sample: Sample, found: npt.NDArray[np.float32], met: np.void) -> None:
    """Writes how surprising each context is, at least 0, and for `learn` where it is new."""
    known, age, lengths = state["known"][:], state["age"][:], state["run"][:]
    met["rarity"][:] = 1.0
    for place in range(_look_up(known, lengths, sample, met)):
        table, share = int(met["table"][place]), novelty.share(known, age, met, place)
        if share < 1.0 and not (table >= RUN and _is_usual_run(age, lengths, sample, table)):
            met["rarity"][table // WIDTHS] *= share
    if state["quarters"][sample.quarter] < ENOUGH:
        met["rarity"][DAYTIME // WIDTHS] = 1.0
    if state["weekends"][sample.weekend] < ENOUGH:
        met["rarity"][WEEKEND // WIDTHS] = 1.0
    for context in range(len(FEATURES)):
        found[context] = novelty.surprise(met["rarity"][context])


@kernel
def _look_up(known: Words, lengths: run.Lengths, sample: Sample, met: np.void) -> int:
    """Looks the sample up in all tables; how many have not known it."""
    value, values, last, before = sample.value, sample.values, sample.last, sample.before
    quarter, weekend = part(sample.quarter, Y), part(sample.weekend, Y)
    size = 0
    for width in range(WIDTHS):
        x, y, far = part(value >> width, X), part(last >> width, Y), beyond(value, values, width)
        key = part(sample.change >> width, X)
        size = look(
            known, CHANGE + width, key, beyond(sample.change, sample.changes, width), met, size
        )
        key = part(sample.offset >> width, X)
        size = look(
            known, OFFSET + width, key, beyond(sample.offset, sample.offsets, width), met, size
        )
        size = look(known, DAYTIME + width, x + quarter, far, met, size)
        size = look(known, WEEKEND + width, x + weekend, far, met, size)
        size = look(known, SEQUENCE + width, x + y, far, met, size)
        key = part(run.classify(run.so_far(lengths, sample, width)), Y)
        size = look(known, RUN + width, x + key, far, met, size)
        key = (
            part(value >> width + 1, X) + part(last >> width + 1, Y) + part(before >> width + 1, Z)
        )
        size = look(known, PATTERN + width, key, beyond(value, values, width + 1), met, size)
    met["size"] = size
    return size


@kernel
def _is_usual_run(age: Ages, lengths: run.Lengths, sample: Sample, table: int) -> bool:
    """Whether the run fills more than half of what was seen."""
    return 2 * run.so_far(lengths, sample, table - RUN) > int(age[table])


@kernel
def learn(state: np.void, sample: Sample, met: np.void) -> None:
    """Learns the sample that was met last; `met` as `meet` wrote it."""
    novelty.learn(state["known"][:], state["age"][:], met)
    run.learn(state["run"][:], sample)
    if state["quarters"][sample.quarter] < ENOUGH:
        state["quarters"][sample.quarter] += 1
    if state["weekends"][sample.weekend] < ENOUGH:
        state["weekends"][sample.weekend] += 1


@kernel
def rescale_values(state: np.void, steps: int) -> None:
    """Follows the grid of values when its cells became 2**steps times as wide."""
    for context in range(DAYTIME, TABLES, WIDTHS):
        tables.rescale(state["known"][:], state["age"][:], context, steps)
    run.rescale(state["run"][:], steps)


@kernel
def rescale_changes(state: np.void, steps: int) -> None:
    """Follows the grid of changes."""
    tables.rescale(state["known"][:], state["age"][:], CHANGE, steps)


@kernel
def rescale_offsets(state: np.void, steps: int) -> None:
    """Follows the grid of offsets."""
    tables.rescale(state["known"][:], state["age"][:], OFFSET, steps)
