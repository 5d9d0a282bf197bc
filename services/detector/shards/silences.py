"""Series of one shard that stopped sending. CPU work without I/O and clock, as in `scoring`.

How long a silence may be follows from the series' own intervals: improbable to `IMPROBABLE`, at
least `TIMES_LONGEST` the longest interval seen, and at least `SHORTEST_MS`. It is told once. When
many series of one job fall silent together, one anomaly speaks for those beyond the first few.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine
from services.detector.model.anomalies import Contribution, Finding, Kind, Severity, anomaly_id
from services.detector.model.checkpoints import Episode
from services.detector.model.samples import Labels

SOURCE: Final = "absence"
IMPROBABLE: Final = 1e-5
TIMES_LONGEST: Final = 3.0
SHORTEST_MS: Final = 60_000.0
PER_JOB: Final = 3
TOGETHER_MS: Final = 600_000.0
"""Absences of a job in one shard that are told one by one within this time."""
SCORE: Final = 0.8

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class ShardSilences:
    """Which series are silent, and what was told of it. Cost: 10 bytes per series."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        """Silences that were told already are taken up when their series are added."""
        self._open_ids = {each.series_id for each in episodes}
        self._ids: list[int] = []
        self._labels: list[Labels] = []
        self._silent = np.zeros(0, dtype=np.bool_)
        self._stored = np.zeros(0, dtype=np.bool_)
        self._worst_ms = np.zeros(0)
        self._fallen_ms = np.zeros(0)

    def add(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        """Watches the next rows too."""
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        known = np.array([each in self._open_ids for each in series_ids], dtype=np.bool_)
        self._silent = np.concatenate([self._silent, known])
        self._stored = np.concatenate([self._stored, known])
        self._worst_ms = np.concatenate([self._worst_ms, np.zeros(len(series_ids))])
        self._fallen_ms = np.concatenate([self._fallen_ms, np.zeros(len(series_ids))])

    def heard(self, rows: I32, newest_before_ms: I64, now_ms: int | None) -> None:
        """These rows sent something; how long they seemed silent before is remembered.

        `now_ms` is None while the shard is catching up: then nothing is remembered.
        """
        self._silent[rows] = False
        if now_ms is not None:
            before = newest_before_ms[rows]
            seemed = np.where(before > 0, now_ms - before, 0).astype(np.float64)
            np.maximum.at(self._worst_ms, rows, seemed)

    def sweep(self, engine: Engine, warm: Flags, now_ms: int, since_ms: int) -> list[Finding]:
        """What fell silent by `now_ms`; only time after `since_ms` counts as silence."""
        newest_ms, allowed_ms = engine.newest_ms(), self._allowed_ms(engine)
        gap_ms = now_ms - np.maximum(newest_ms, since_ms).astype(np.float64)
        patience_ms = np.maximum(allowed_ms, TIMES_LONGEST * self._worst_ms)
        fallen = np.flatnonzero(warm & ~self._silent & (gap_ms > patience_ms))
        told = self._chosen(fallen, now_ms)
        self._silent[fallen] = True
        self._fallen_ms[fallen] = now_ms
        longest_ms = engine.longest_interval_ms()
        raw = engine.silence(np.array([row for row, _ in told], dtype=np.int32), now_ms)
        return [
            self._finding(row, together, int(newest_ms[row] + allowed_ms[row]),
                          float(allowed_ms[row]), float(longest_ms[row]), float(raw[n]))
            for n, (row, together) in enumerate(told)
        ]  # fmt: skip

    def changes(self) -> tuple[list[Episode], list[tuple[str, int]]]:
        """Silences that began since `committed`, and those that ended."""
        began = np.flatnonzero(self._silent & ~self._stored).tolist()
        ended = np.flatnonzero(self._stored & ~self._silent).tolist()
        return [
            Episode(
                source=SOURCE,
                series_id=self._ids[row],
                since_warning_ms=None,
                since_critical_ms=None,
                said=1,
            )
            for row in began
        ], [(SOURCE, self._ids[row]) for row in ended]

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._stored = self._silent.copy()

    def _allowed_ms(self, engine: Engine) -> F64:
        """By the tail of `detectors.absence`, from what is checkpointed alone."""
        longest_ms, count = engine.longest_interval_ms(), engine.sample_counts()
        rare = longest_ms / np.sqrt((count + 1.0) * IMPROBABLE)
        allowed: F64 = np.maximum(np.maximum(rare, TIMES_LONGEST * longest_ms), SHORTEST_MS)
        return allowed

    def _chosen(self, fallen: npt.NDArray[np.intp], now_ms: int) -> list[tuple[int, int]]:
        """Rows that are told of, and for how many series each speaks."""
        rows_of_job: dict[str, list[int]] = {}
        for row in fallen.tolist():
            rows_of_job.setdefault(self._labels[row].get("job", ""), []).append(row)
        return [
            each for job, rows in rows_of_job.items() for each in self._spoken(job, rows, now_ms)
        ]

    def _spoken(self, job: str, rows: list[int], now_ms: int) -> list[tuple[int, int]]:
        lately = self._silent & (self._fallen_ms > now_ms - TOGETHER_MS)
        silent = np.flatnonzero(lately).tolist()
        free = PER_JOB - sum(self._labels[row].get("job", "") == job for row in silent)
        if len(rows) <= free:
            return [(row, 1) for row in rows]
        return [(min(rows, key=lambda row: self._ids[row]), len(rows))] if free > 0 else []

    def _finding(
        self, row: int, together: int, event_ms: int, allowed_ms: float, longest_ms: float,
        raw_score: float,
    ) -> Finding:  # fmt: skip
        parts = [Contribution(feature="silence_seconds", value=allowed_ms / 1000, share=1.0)]
        if together > 1:
            parts.append(Contribution(feature="silent_series", value=float(together), share=0.0))
        return Finding(
            anomaly_id=anomaly_id(self._ids[row], event_ms, Kind.ABSENCE),
            series_id=self._ids[row],
            labels=self._labels[row],
            kind=Kind.ABSENCE,
            severity=Severity.of_score(SCORE),
            event_ms=event_ms,
            value=allowed_ms / 1000,
            raw_score=raw_score if math.isfinite(raw_score) else 0.0,
            alert_score=SCORE,
            expected_low=0.0,
            expected_high=longest_ms / 1000,
            contributions=tuple(parts),
            model_version=0,
        )
