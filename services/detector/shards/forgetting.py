"""Series that are gone for good: a shard that is taken up leaves them behind.

Where what is monitored comes and goes (pods, jobs), most series of a shard would be dead ones soon.
A forgotten series that comes back is a new one.
"""

import dataclasses
from typing import Final

from services.detector.model.anomalies import EndReason, EpisodeEnd, Kind
from services.detector.model.checkpoints import Checkpoint, Episode
from services.detector.shards.silences import SOURCE

FORGOTTEN_AFTER_MS: Final = 60 * 86_400_000
"""After its silence was noted. Twice what the noise budget remembers, and eight weeks."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenRows:
    """Rows and open episodes, as source and series, that are to be deleted, and what ends so."""

    row_numbers: list[int]
    episodes: list[tuple[str, int]]
    ends: list[EpisodeEnd]


NOTHING: Final = ForgottenRows(row_numbers=[], episodes=[], ends=[])


def without_forgotten(checkpoint: Checkpoint) -> tuple[Checkpoint, ForgottenRows]:
    """The checkpoint without series that have been silent for long, by the clock of ingest."""
    if checkpoint.watched is None:
        return checkpoint, NOTHING
    oldest_ms = checkpoint.watched.until_ms - FORGOTTEN_AFTER_MS
    gone = {
        each.series_id
        for each in checkpoint.episodes
        if each.source == SOURCE and (each.since_warning_ms or 0) < oldest_ms
    }
    dropped = [each for each in checkpoint.episodes if each.series_id in gone]
    until_ms = checkpoint.watched.until_ms
    return dataclasses.replace(
        checkpoint,
        series=[each for each in checkpoint.series if each.series_id not in gone],
        episodes=[each for each in checkpoint.episodes if each.series_id not in gone],
    ), ForgottenRows(
        row_numbers=[each.row_number for each in checkpoint.series if each.series_id in gone],
        episodes=[(each.source, each.series_id) for each in dropped],
        ends=[
            *(forgotten(series_id, Kind.VALUE, until_ms) for series_id in sorted(gone)),
            *(_end_of(each, until_ms) for each in dropped),
        ],
    )


def forgotten(series_id: int, kind: Kind, end_ms: int, source: str = "") -> EpisodeEnd:
    """The end of what nobody knows any more."""
    return EpisodeEnd(
        series_id=series_id, end_ms=end_ms, reason=EndReason.FORGOTTEN, kind=kind, source=source
    )


def _end_of(episode: Episode, end_ms: int) -> EpisodeEnd:
    if episode.source == SOURCE:
        return forgotten(episode.series_id, Kind.ABSENCE, end_ms)
    return forgotten(episode.series_id, Kind.THRESHOLD, end_ms, episode.source)
