"""What a shard keeps, and what changed since it was kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from services.detector.model.anomalies import EpisodeEnd, Finding
from services.detector.model.samples import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """A series of a shard; `state` is None until its first sample was taken."""

    row_number: int
    series_id: int
    labels: Labels
    state: bytes | None
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An open episode of a series that no anomaly score keeps.

    Attributes:
        source: What opened it: a rule's id, or that of `shards.silences`.
        since_warning_ms, since_critical_ms: Since when it has been beyond, or silent too long;
            None when it is not.
        said: 0 before anything was announced, 1 after a warning, 2 after a critical one.
    """

    source: str
    series_id: int
    since_warning_ms: int | None
    since_critical_ms: int | None
    said: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """Time without a break in the signs of life of ingest, on its clock."""

    since_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """Everything a shard needs to go on after `cursor`; series in the order of their rows."""

    shard: int
    epoch: int
    cursor: int = 0
    processed_samples: int = 0
    collected_samples: int = 0
    series: Sequence[StoredSeries] = ()
    episodes: Sequence[Episode] = ()
    training_rows: npt.NDArray[np.float32] | None = None
    watched: Watched | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSeries:
    """A series that is not in the checkpoint yet."""

    row_number: int
    series_id: int
    labels: Labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """What a shard did since its last checkpoint; totals are of the whole shard.

    Attributes:
        row_numbers, states, warm: One entry for each series whose state changed.
        ends: Of episodes, in the order of the log of samples.
        episodes: Open ones that are new or changed.
        ended_episodes: Source and series of those that are not open any more.
        forgotten_rows: Row numbers of series that are to be deleted.
        training_rows: Replaces what is stored; None to leave that as it is.
        watched: None before the first sign of life.
    """

    shard: int
    epoch: int
    from_cursor: int
    to_cursor: int
    processed_samples: int
    collected_samples: int
    series_count: int
    warm_series_count: int
    new_series: Sequence[NewSeries]
    row_numbers: Sequence[int]
    states: Sequence[bytes]
    warm: Sequence[bool]
    findings: Sequence[Finding]
    ends: Sequence[EpisodeEnd] = ()
    episodes: Sequence[Episode] = ()
    ended_episodes: Sequence[tuple[str, int]] = ()
    forgotten_rows: Sequence[int] = ()
    training_rows: npt.NDArray[np.float32] | None = None
    watched: Watched | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """Where a shard stands."""

    shard: int
    holder: str
    cursor: int
    checkpoint_time: datetime | None
