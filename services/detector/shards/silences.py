"""Series of one shard that stopped sending. CPU work without I/O and clock, as in `scoring`.

How long a silence may be follows from what a series did before, see `detectors.absence`. It is
announced once, as soon as it lasts too long, or at the latest when the series sends again; that
ends it. It ends what was abnormal of the values, which nobody sees any more.
Series of one sender that fall silent together become one anomaly when they are committed
(`model.groups`). Of those in one shard the first `LISTED` are kept by name, the others are counted.

All of it follows from the log, whoever held the shard: silences are taken in the order in which
they became too long, and what was announced moves with the shard.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Scores
from services.detector.model.anomalies import (
    LAST_SAMPLE,
    Contribution,
    EndReason,
    EpisodeEnd,
    Finding,
    Kind,
    Severity,
    anomaly_id,
)
from services.detector.model.checkpoints import Episode
from services.detector.model.groups import SharedLabel, sender_of
from services.detector.model.samples import Labels

SOURCE: Final = "absence"
LISTED: Final = 20
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
        last_ms: Its timestamp.
        alarmed: Whether its value was abnormal.
        patience_ms: How long it may be.
        usual_ms: How long it often is.
    """

    due_ms: float
    series_id: int
    row: int
    from_ms: float
    last_ms: float
    patience_ms: float
    usual_ms: float
    alarmed: bool


class SilenceChanges(NamedTuple):
    """What a batch says of silences: those not announced before it ended them, and all ends."""

    unannounced: list[Silence]
    ends: list[EpisodeEnd]


class ShardSilences:
    """Which series are silent, and what was announced of it."""

    def __init__(self, episodes: Iterable[Episode]) -> None:
        """Silences that were announced already are taken up when their series are added."""
        self._ids: list[int] = []
        self._labels: list[Labels] = []
        self._senders: list[SharedLabel] = []
        self._listed: list[bool] = []
        self._series_by_sender = Counter[SharedLabel]()
        self._due_ms = np.zeros(0, dtype=np.int64)
        self._stored_ms = np.zeros(0, dtype=np.int64)
        self._open = {each.series_id: each.since_warning_ms or 1 for each in episodes}

    def add(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        """Watches the next rows too."""
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        for each in labels:
            sender = sender_of(each, any_label=True)
            self._senders.append(sender)
            self._listed.append(self._series_by_sender[sender] < LISTED)
            self._series_by_sender[sender] += 1
        due = np.array([self._open.get(each, 0) for each in series_ids], dtype=np.int64)
        self._due_ms = np.concatenate([self._due_ms, due])
        self._stored_ms = np.concatenate([self._stored_ms, due])

    def process(
        self,
        rows: I32,
        arrived_ms: I64,
        scores: Scores,
        fresh: Flags,
        known: Flags,
        since_ms: int,
    ) -> SilenceChanges:
        """Takes a batch: the silences that end with it, whether its samples are scored or not.

        Only time after `since_ms` counts as silence, and only of series whose warm-up was over
        before the sample: those are `known`.
        """
        quiet_ms, patience_ms, usual_ms, delay_ms = scores.silence_ms.T
        from_ms = arrived_ms - quiet_ms
        due_ms = _due(from_ms, patience_ms, since_ms)
        announced = self._was_announced(rows, fresh)
        counted = known & (delay_ms < HISTORY_MS)
        late = counted & (due_ms < arrived_ms) & ~announced
        self._due_ms[rows[fresh]] = 0
        columns = (rows, due_ms, from_ms, from_ms - delay_ms, patience_ms, usual_ms, scores.alarmed)
        unannounced = self._silences(np.flatnonzero(late), *columns)
        over = np.flatnonzero(late | (announced & counted)).tolist()
        return SilenceChanges(
            unannounced, [self._end(int(rows[i]), int(arrived_ms[i])) for i in over]
        )

    def lasting(self, engine: Engine, warm: Flags, now_ms: int, since_ms: int) -> list[Silence]:
        """What lasts too long by `now_ms` and was not announced.

        Of series in warm-up and of history it is only noted.
        """
        from_ms, patience_ms = engine.arrivals_ms(), engine.patience_ms()
        due_ms = _due(from_ms, patience_ms, since_ms)
        silent = (self._due_ms == 0) & (due_ms < now_ms)
        announced = silent & warm & (engine.delays_ms() < HISTORY_MS)
        self._due_ms[silent] = np.maximum(due_ms[silent], 1.0).astype(np.int64)
        rows = np.arange(len(announced), dtype=np.int32)
        last_ms = from_ms - engine.delays_ms()
        columns = (rows, due_ms, from_ms, last_ms, patience_ms, engine.pauses_ms())
        return self._silences(np.flatnonzero(announced), *columns, engine.alarmed())

    def findings(self, silences: Iterable[Silence]) -> list[Finding]:
        """Anomalies of these, in the order in which they became too long."""
        return [self._finding(each) for each in sorted(silences)]

    def value_ends(self, silences: Iterable[Silence]) -> list[EpisodeEnd]:
        """Ends of what was abnormal of the values of these."""
        return [
            EpisodeEnd(
                series_id=each.series_id,
                end_ms=int(max(each.due_ms, each.last_ms)),
                reason=EndReason.FORGOTTEN,
            )
            for each in sorted(silences)
            if each.alarmed
        ]

    def changes(self) -> tuple[list[Episode], list[tuple[str, int]]]:
        """Silences that began since `committed`, and those that ended."""
        changed = self._due_ms != self._stored_ms
        began = np.flatnonzero(changed & (self._due_ms > 0)).tolist()
        ended = np.flatnonzero(changed & (self._due_ms == 0)).tolist()
        return (
            [_episode(self._ids[row], int(self._due_ms[row])) for row in began],
            [(SOURCE, self._ids[row]) for row in ended],
        )

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._stored_ms = self._due_ms.copy()

    def _was_announced(self, rows: I32, fresh: Flags) -> Flags:
        """Which samples are the first of a series since its silence was announced."""
        announced = np.zeros(len(rows), dtype=np.bool_)
        again, first = np.unique(rows[fresh], return_index=True)
        announced[np.flatnonzero(fresh)[first]] = self._due_ms[again] > 0
        return announced

    def _silences(
        self,
        places: npt.NDArray[np.intp],
        rows: I32,
        due_ms: F64,
        from_ms: F64,
        last_ms: F64,
        patience_ms: F64,
        usual_ms: F64,
        alarmed: Flags,
    ) -> list[Silence]:
        return [
            Silence(
                due_ms=float(due_ms[i]),
                series_id=self._ids[int(rows[i])],
                row=int(rows[i]),
                from_ms=float(from_ms[i]),
                last_ms=float(last_ms[i]),
                patience_ms=float(patience_ms[i]),
                usual_ms=float(usual_ms[i]),
                alarmed=bool(alarmed[i]),
            )
            for i in places.tolist()
        ]

    def _finding(self, silence: Silence) -> Finding:
        allowed_s = silence.patience_ms / 1000
        first_due_ms = int(silence.from_ms + silence.patience_ms)
        return Finding(
            anomaly_id=anomaly_id(silence.series_id, first_due_ms, Kind.ABSENCE),
            series_id=silence.series_id,
            labels=self._labels[silence.row],
            kind=Kind.ABSENCE,
            severity=Severity.of_score(SCORE),
            event_ms=int(silence.due_ms),
            value=allowed_s,
            raw_score=RAW_SCORE,
            alert_score=SCORE,
            expected_low=0.0,
            expected_high=silence.usual_ms / 1000,
            contributions=(
                Contribution(feature="silence_seconds", value=allowed_s, share=1.0),
                Contribution(
                    feature=LAST_SAMPLE,
                    value=(int(silence.due_ms) - silence.last_ms) / 1000,
                    share=0.0,
                ),
            ),
            model_version=0,
            shared=self._senders[silence.row],
            listed=self._listed[silence.row],
        )

    def _end(self, row: int, arrived_ms: int) -> EpisodeEnd:
        return EpisodeEnd(
            series_id=self._ids[row],
            end_ms=arrived_ms,
            reason=EndReason.USUAL_AGAIN,
            kind=Kind.ABSENCE,
        )


def _due(from_ms: F64, patience_ms: F64, since_ms: int) -> F64:
    """Since when a silence is too long; of one that began before a break, a while after it."""
    after_break = since_ms + np.maximum(patience_ms, RETURN_MS)
    return np.where(from_ms >= since_ms, from_ms + patience_ms, after_break)


def _episode(series_id: int, since_ms: int) -> Episode:
    return Episode(
        source=SOURCE,
        series_id=series_id,
        since_warning_ms=since_ms,
        since_critical_ms=None,
        said=1,
    )
