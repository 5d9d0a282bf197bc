"""Series of one shard that stopped sending. CPU work without I/O and clock, as in `scoring`.

How long a silence may be follows from what a series did before, see `detectors.absence`. It is told
once, as soon as it lasts too long, or at the latest when the series sends again: what is told
follows from the log, however often the shard was lost and taken up. When many series of one job
fall silent together, one anomaly speaks for those beyond the first few.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors.absence import IMPROBABLE
from services.detector.detectors.engine import Engine, Scores
from services.detector.model.anomalies import Contribution, Finding, Kind, Severity, anomaly_id
from services.detector.model.checkpoints import Episode
from services.detector.model.samples import Labels

SOURCE: Final = "absence"
PER_JOB: Final = 3
TOGETHER_MS: Final = 600_000
"""Absences of a job in one shard that are told one by one within this time."""
SCORE: Final = 0.8

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class Silence(NamedTuple):
    """A silence that lasted too long.

    Attributes:
        from_ms: When the last sample arrived.
        patience_ms: How long it may be.
        longest_ms: The longest before.
    """

    row: int
    from_ms: float
    patience_ms: float
    longest_ms: float


class ShardSilences:
    """Which series are silent, and what was told of it. Cost: 16 bytes per series."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        """Silences that were told already are taken up when their series are added."""
        self._open = {each.series_id: each.since_warning_ms or 1 for each in episodes}
        self._ids: list[int] = []
        self._labels: list[Labels] = []
        self._fallen_ms = np.zeros(0, dtype=np.int64)
        self._stored_ms = np.zeros(0, dtype=np.int64)

    def add(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        """Watches the next rows too."""
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        told = np.array([self._open.get(each, 0) for each in series_ids], dtype=np.int64)
        self._fallen_ms = np.concatenate([self._fallen_ms, told])
        self._stored_ms = np.concatenate([self._stored_ms, told])

    def heard(
        self, rows: I32, arrived_ms: I64, scores: Scores, fresh: Flags, since_ms: int
    ) -> list[Finding]:
        """Takes a batch; what was silent too long before and was not told yet.

        Only time after `since_ms` counts as silence.
        """
        quiet_ms, patience_ms, longest_ms = scores.silence_ms.T
        watched_ms = np.minimum(quiet_ms, (arrived_ms - since_ms).astype(np.float64))
        long = np.isfinite(scores.expected_low) & (watched_ms > patience_ms)
        late = np.flatnonzero(long & ~self._is_told(rows, fresh))
        found = [
            each
            for now_ms, group in groupby(late.tolist(), key=lambda i: int(arrived_ms[i]))
            for each in self._told(
                [
                    Silence(
                        row=int(rows[i]),
                        from_ms=float(now_ms - quiet_ms[i]),
                        patience_ms=float(patience_ms[i]),
                        longest_ms=float(longest_ms[i]),
                    )
                    for i in group
                ],
                now_ms,
            )
        ]
        self._fallen_ms[rows[fresh]] = 0
        return found

    def sweep(self, engine: Engine, warm: Flags, now_ms: int, since_ms: int) -> list[Finding]:
        """What fell silent by `now_ms`; only time after `since_ms` counts as silence."""
        arrived_ms, patience_ms = engine.arrivals_ms(), engine.patience_ms()
        long = now_ms - np.maximum(arrived_ms, since_ms) > patience_ms
        rows = np.flatnonzero(warm & (self._fallen_ms == 0) & long)
        longest_ms = engine.longest_silence_ms()
        fallen = [
            Silence(row, float(arrived_ms[row]), float(patience_ms[row]), float(longest_ms[row]))
            for row in rows.tolist()
        ]
        return list(self._told(fallen, now_ms))

    def changes(self) -> tuple[list[Episode], list[tuple[str, int]]]:
        """Silences that began since `committed`, and those that ended."""
        changed = self._fallen_ms != self._stored_ms
        began = np.flatnonzero(changed & (self._fallen_ms > 0)).tolist()
        ended = np.flatnonzero(changed & (self._fallen_ms == 0)).tolist()
        return [
            Episode(
                source=SOURCE,
                series_id=self._ids[row],
                since_warning_ms=int(self._fallen_ms[row]),
                since_critical_ms=None,
                said=1,
            )
            for row in began
        ], [(SOURCE, self._ids[row]) for row in ended]

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._stored_ms = self._fallen_ms.copy()

    def _is_told(self, rows: I32, fresh: Flags) -> Flags:
        """Which samples are the first of a series since its silence was told."""
        told = np.zeros(len(rows), dtype=np.bool_)
        again, first = np.unique(rows[fresh], return_index=True)
        told[np.flatnonzero(fresh)[first]] = self._fallen_ms[again] > 0
        return told

    def _told(self, fallen: Sequence[Silence], now_ms: int) -> Iterator[Finding]:
        """Tells of these, which fell silent together, or of one for all."""
        by_job: dict[str, list[Silence]] = {}
        for each in fallen:
            by_job.setdefault(self._job(each.row), []).append(each)
        for job, silences in by_job.items():
            free = PER_JOB - self._told_lately(job, now_ms)
            self._fallen_ms[[each.row for each in silences]] = now_ms
            if len(silences) <= free:
                yield from (self._finding(each, 1) for each in silences)
            elif free > 0:
                first = min(silences, key=lambda each: self._ids[each.row])
                yield self._finding(first, len(silences))

    def _told_lately(self, job: str, now_ms: int) -> int:
        lately = np.flatnonzero(self._fallen_ms > max(now_ms - TOGETHER_MS, 0))
        return sum(self._job(row) == job for row in lately.tolist())

    def _job(self, row: int) -> str:
        return self._labels[row].get("job", "")

    def _finding(self, silence: Silence, together: int) -> Finding:
        patience_s, series_id = silence.patience_ms / 1000, self._ids[silence.row]
        parts = [Contribution(feature="silence_seconds", value=patience_s, share=1.0)]
        if together > 1:
            parts.append(Contribution(feature="silent_series", value=float(together), share=0.0))
        event_ms = int(silence.from_ms + silence.patience_ms)
        return Finding(
            anomaly_id=anomaly_id(series_id, event_ms, Kind.ABSENCE),
            series_id=series_id,
            labels=self._labels[silence.row],
            kind=Kind.ABSENCE,
            severity=Severity.of_score(SCORE),
            event_ms=event_ms,
            value=patience_s,
            raw_score=1.0 - IMPROBABLE,
            alert_score=SCORE,
            expected_low=0.0,
            expected_high=silence.longest_ms / 1000,
            contributions=tuple(parts),
            model_version=0,
        )
