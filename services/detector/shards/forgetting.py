"""Series that are gone for good: a shard that is taken up leaves them behind.

Where what is monitored comes and goes (pods, jobs), most series of a shard would be dead ones soon.
A forgotten series that comes back is a new one.
"""

import dataclasses
from typing import Final

import numpy as np

from services.detector.detectors.engine import Engine
from services.detector.model.checkpoints import Checkpoint
from services.detector.shards.states import import_states

FORGOTTEN_AFTER_MS: Final = 60 * 86_400_000
"""Twice what the noise budget remembers, and eight weeks of the week a series has learnt."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """Rows and open episodes, as source and series, that are to be deleted."""

    row_numbers: list[int]
    episodes: list[tuple[str, int]]


NOTHING: Final = Forgotten(row_numbers=[], episodes=[])


def without_forgotten(checkpoint: Checkpoint) -> tuple[Checkpoint, Forgotten]:
    """The checkpoint without series of which nothing had arrived for long when it was made."""
    if checkpoint.watched is None:
        return checkpoint, NOTHING
    engine = Engine(forest=None)
    engine.add_series(len(checkpoint.series))
    import_states(engine, checkpoint.series)
    oldest_ms = checkpoint.watched.until_ms - FORGOTTEN_AFTER_MS
    gone = (engine.sample_counts() > 0) & (engine.arrivals_ms() < oldest_ms)
    dead = [checkpoint.series[at] for at in np.flatnonzero(gone).tolist()]
    ids = {each.series_id for each in dead}
    return dataclasses.replace(
        checkpoint,
        series=[checkpoint.series[at] for at in np.flatnonzero(~gone).tolist()],
        episodes=[each for each in checkpoint.episodes if each.series_id not in ids],
    ), Forgotten(
        row_numbers=[each.row_number for each in dead],
        episodes=[(e.source, e.series_id) for e in checkpoint.episodes if e.series_id in ids],
    )
