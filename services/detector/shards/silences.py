"""Series of one shard that stopped sending. CPU work without I/O and clock, as in `scoring`.

How long a silence may be follows from what a series did before, see `detectors.absence`. It is told
once, as soon as it lasts too long, or at the latest when the series sends again. Of a job whose
series fall silent together the first few are told one by one, and when the ten minutes are over
one more anomaly tells how many others there were.

All of it follows from the log, whoever held the shard: silences are taken in the order in which
they became too long, and what was told moves with the shard.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Scores
from services.detector.model.anomalies import Contribution, Finding, Kind, Severity, anomaly_id
from services.detector.model.checkpoints import Episode
from services.detector.model.samples import Labels

SOURCE: Final = "absence"
JOB_SOURCE: Final = "absence of job "
PER_JOB: Final = 3
TOGETHER_MS: Final = 600_000
RETURN_MS: Final = 300_000.0
"""After a break in what is known series get at least so long to send again."""
HISTORY_MS: Final = 3_600_000.0
"""A sample that was older on its arrival is history: its series sends at no rhythm."""
SCORE: Final = 0.8
RAW_SCORE: Final = 0.99999

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class Silence(NamedTuple):
    """A silence that lasted too long.

    Attributes:
        due_ms: Since when.
        from_ms: When the last sample had arrived.
        patience_ms: How long it may be.
        usual_ms: How long it often is.
    """

    due_ms: float
    series_id: int
    row: int
    from_ms: float
    patience_ms: float
    usual_ms: float


@dataclass(slots=True)
class Together:
    """Series of one job that fell silent within the same ten minutes.

    Attributes:
        slot: Which ten minutes since the epoch.
        first_id: The first of them.
    """

    slot: int
    first_id: int
    count: int = 0


class ShardSilences:
    """Which series are silent, and what was told of it."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        """Silences that were told already are taken up when their series are added."""
        self._ids: list[int] = []
        self._labels: list[Labels] = []
        self._due_ms = np.zeros(0, dtype=np.int64)
        self._stored_ms = np.zeros(0, dtype=np.int64)
        self._open, self._jobs = dict[int, int](), dict[str, Together]()
        for each in episodes:
            if each.source == SOURCE:
                self._open[each.series_id] = each.since_warning_ms or 1
            else:
                job = each.source.removeprefix(JOB_SOURCE)
                slot, count = (each.since_warning_ms or 0), (each.since_critical_ms or 0)
                self._jobs[job] = Together(slot // TOGETHER_MS, each.series_id, count)
        self._stored_jobs = self._job_episodes()

    def add(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        """Watches the next rows too."""
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        due = np.array([self._open.get(each, 0) for each in series_ids], dtype=np.int64)
        self._due_ms = np.concatenate([self._due_ms, due])
        self._stored_ms = np.concatenate([self._stored_ms, due])

    def heard(
        self, rows: I32, arrived_ms: I64, scores: Scores, fresh: Flags, since_ms: int
    ) -> list[Silence]:
        """Takes a batch: what ended with it, lasted too long, and was not told yet.

        Only time after `since_ms` counts as silence.
        """
        quiet_ms, patience_ms, usual_ms, delay_ms = scores.silence_ms.T
        from_ms = arrived_ms - quiet_ms
        due_ms = _due(from_ms, patience_ms, since_ms)
        late = np.isfinite(scores.expected_low) & (due_ms < arrived_ms) & (delay_ms < HISTORY_MS)
        late &= ~self._is_told(rows, fresh)
        self._due_ms[rows[fresh]] = 0
        return [
            self._silence(int(rows[i]), due_ms[i], from_ms[i], patience_ms[i], usual_ms[i])
            for i in np.flatnonzero(late).tolist()
        ]

    def lasting(self, engine: Engine, warm: Flags, now_ms: int, since_ms: int) -> list[Silence]:
        """What lasts too long by `now_ms` and was not told.

        Of series in warm-up and of history it is only noted.
        """
        from_ms, patience_ms = engine.arrivals_ms(), engine.patience_ms()
        due_ms = _due(from_ms, patience_ms, since_ms)
        silent = (self._due_ms == 0) & (due_ms < now_ms)
        told = silent & warm & (engine.delays_ms() < HISTORY_MS)
        noted = silent & ~told
        self._due_ms[noted] = np.maximum(due_ms[noted], 1.0).astype(np.int64)
        usual_ms = engine.pauses_ms()
        return [
            self._silence(row, due_ms[row], from_ms[row], patience_ms[row], usual_ms[row])
            for row in np.flatnonzero(told).tolist()
        ]

    def tell(
        self, ended: Sequence[Silence], lasting: Sequence[Silence], now_ms: int
    ) -> Iterator[Finding]:
        """Anomalies of these, in the order in which they became too long, and of jobs by now."""
        for each in lasting:
            self._due_ms[each.row] = int(each.due_ms)
        for each in sorted([*ended, *lasting]):
            job = self._labels[each.row].get("job", "")
            slot = int(each.due_ms) // TOGETHER_MS
            yield from self._others({job}, slot * TOGETHER_MS)
            together = self._jobs.setdefault(job, Together(slot, each.series_id))
            together.count += 1
            if together.count <= PER_JOB:
                yield self._finding(each)
        yield from self._others(set(self._jobs), now_ms)

    def changes(self) -> tuple[list[Episode], list[tuple[str, int]]]:
        """Silences that began since `committed`, and those that ended."""
        changed = self._due_ms != self._stored_ms
        began = np.flatnonzero(changed & (self._due_ms > 0)).tolist()
        ended = np.flatnonzero(changed & (self._due_ms == 0)).tolist()
        jobs = self._job_episodes()
        open_jobs = {(each.source, each.series_id) for each in jobs}
        closed = [
            key
            for each in self._stored_jobs
            if (key := (each.source, each.series_id)) not in open_jobs
        ]
        return (
            [_episode(SOURCE, self._ids[row], int(self._due_ms[row])) for row in began]
            + [each for each in jobs if each not in self._stored_jobs]
        ), [(SOURCE, self._ids[row]) for row in ended] + closed

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._stored_ms = self._due_ms.copy()
        self._stored_jobs = self._job_episodes()

    def _job_episodes(self) -> list[Episode]:
        return [
            _episode(JOB_SOURCE + job, each.first_id, each.slot * TOGETHER_MS, each.count)
            for job, each in sorted(self._jobs.items())
        ]

    def _is_told(self, rows: I32, fresh: Flags) -> Flags:
        """Which samples are the first of a series since its silence was told."""
        told = np.zeros(len(rows), dtype=np.bool_)
        again, first = np.unique(rows[fresh], return_index=True)
        told[np.flatnonzero(fresh)[first]] = self._due_ms[again] > 0
        return told

    def _silence(
        self, row: int, due_ms: float, from_ms: float, patience_ms: float, usual_ms: float
    ) -> Silence:
        return Silence(
            due_ms=float(due_ms),
            series_id=self._ids[row],
            row=row,
            from_ms=float(from_ms),
            patience_ms=float(patience_ms),
            usual_ms=float(usual_ms),
        )

    def _others(self, jobs: Iterable[str], now_ms: int) -> Iterator[Finding]:
        """How many more there were in ten minutes that are over."""
        for job in sorted(jobs):
            together = self._jobs.get(job)
            if together is not None and (together.slot + 1) * TOGETHER_MS <= now_ms:
                del self._jobs[job]
                if together.count > PER_JOB:
                    yield self._finding_of_others(together)

    def _finding(self, silence: Silence) -> Finding:
        first_due_ms = int(silence.from_ms + silence.patience_ms)
        return self._anomaly(
            row=silence.row,
            anomaly=anomaly_id(silence.series_id, first_due_ms, Kind.ABSENCE),
            event_ms=int(silence.due_ms),
            value=silence.patience_ms / 1000,
            high=silence.usual_ms / 1000,
            said=Contribution(
                feature="silence_seconds", value=silence.patience_ms / 1000, share=1.0
            ),
        )

    def _finding_of_others(self, together: Together) -> Finding:
        end_ms = (together.slot + 1) * TOGETHER_MS
        others = float(together.count - PER_JOB)
        return self._anomaly(
            row=self._ids.index(together.first_id),
            anomaly=anomaly_id(together.first_id, end_ms, Kind.ABSENCE, JOB_SOURCE),
            event_ms=end_ms,
            value=TOGETHER_MS / 1000,
            high=TOGETHER_MS / 1000,
            said=Contribution(feature="silent_series", value=others, share=1.0),
        )

    def _anomaly(
        self, *, row: int, anomaly: str, event_ms: int, value: float, high: float,
        said: Contribution,
    ) -> Finding:  # fmt: skip
        return Finding(
            anomaly_id=anomaly,
            series_id=self._ids[row],
            labels=self._labels[row],
            kind=Kind.ABSENCE,
            severity=Severity.of_score(SCORE),
            event_ms=event_ms,
            value=value,
            raw_score=RAW_SCORE,
            alert_score=SCORE,
            expected_low=0.0,
            expected_high=high,
            contributions=(said,),
            model_version=0,
        )


def is_of_silences(source: str) -> bool:
    """Whether an episode is kept here."""
    return source == SOURCE or source.startswith(JOB_SOURCE)


def _due(from_ms: F64, patience_ms: F64, since_ms: int) -> F64:
    """Since when a silence is too long; of one that began before a break, a while after it."""
    after_break = since_ms + np.maximum(patience_ms, RETURN_MS)
    return np.where(from_ms >= since_ms, from_ms + patience_ms, after_break)


def _episode(source: str, series_id: int, since_ms: int, count: int | None = None) -> Episode:
    return Episode(
        source=source,
        series_id=series_id,
        since_warning_ms=since_ms,
        since_critical_ms=count,
        said=0 if count else 1,
    )
