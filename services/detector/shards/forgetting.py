"""Series that are gone for good: a shard that is taken up leaves them behind.

Where what is monitored comes and goes (pods, jobs), most series of a shard would be dead ones soon.
A forgotten series that comes back is a new one.
"""

import dataclasses
from typing import Final

from services.detector.model.checkpoints import Checkpoint
from services.detector.shards.silences import SOURCE

FORGOTTEN_AFTER_MS: Final = 60 * 86_400_000
"""After its silence was noted. Twice what the noise budget remembers, and eight weeks."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """Rows and open episodes, as source and series, that are to be deleted."""

    row_numbers: list[int]
    episodes: list[tuple[str, int]]


NOTHING: Final = Forgotten(row_numbers=[], episodes=[])


def without_forgotten(checkpoint: Checkpoint) -> tuple[Checkpoint, Forgotten]:
    """The checkpoint without series that have been silent for long, by the clock of ingest."""
    if checkpoint.watched is None:
        return checkpoint, NOTHING
    oldest_ms = checkpoint.watched.until_ms - FORGOTTEN_AFTER_MS
    gone = {
        each.series_id
        for each in checkpoint.episodes
        if each.source == SOURCE and (each.since_warning_ms or 0) < oldest_ms
    }
    return dataclasses.replace(
        checkpoint,
        series=[each for each in checkpoint.series if each.series_id not in gone],
        episodes=[each for each in checkpoint.episodes if each.series_id not in gone],
    ), Forgotten(
        row_numbers=[each.row_number for each in checkpoint.series if each.series_id in gone],
        episodes=[(e.source, e.series_id) for e in checkpoint.episodes if e.series_id in gone],
    )
