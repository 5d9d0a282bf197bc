"""One shard in memory: its series, its engine, and what changed since the last checkpoint.

CPU work without I/O and clock; one thread at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import FEATURES, Engine, Scores, Settings
from services.detector.detectors.strictness import Strictness
from services.detector.detectors.threshold import in_order
from services.detector.lifecycle.live import Observer
from services.detector.model.anomalies import (
    Contribution,
    Finding,
    Kind,
    Severity,
    anomaly_id,
    ranked,
)
from services.detector.model.checkpoints import Changes, Checkpoint, Watched
from services.detector.model.model_life import Live
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels, Samples
from services.detector.shards.forgetting import NOTHING, without_forgotten
from services.detector.shards.series_rows import SeriesRows
from services.detector.shards.silences import ShardSilences, is_of_silences
from services.detector.shards.states import import_states, state_of_rows
from services.detector.shards.thresholds import ShardRules, finding_of

TRAINING_ROWS_MAX: Final = 4096

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one call of `score` found, how many samples got a score, what each model saw."""

    findings: Sequence[Finding]
    scored: int
    live: Mapping[int, Live]
    silenced: int


class ShardScorer:
    """Scores the samples of one shard in log order."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Goes on where `checkpoint` ended; a series whose state cannot be read starts anew."""
        self._settings = settings
        self._model: ActiveModel | None = None
        self._shadow: ActiveModel | None = None
        self._observer: Observer | None = None
        self._strictness: Mapping[int, Strictness] = {}
        self._epoch, self._shard = checkpoint.epoch, checkpoint.shard
        self._stored_cursor = self.cursor = checkpoint.cursor
        self.processed_samples = checkpoint.processed_samples
        self.collected_samples = checkpoint.collected_samples
        self._inherited_rows = checkpoint.training_rows
        kept, self._forgotten = without_forgotten(checkpoint)
        self._restore(kept)

    @property
    def dirty(self) -> bool:
        """Whether there is anything to checkpoint."""
        return self.cursor != self._stored_cursor

    @property
    def series_count(self) -> int:
        """Series seen so far."""
        return len(self._series)

    @property
    def warm_series_count(self) -> int:
        """Series past their own warm-up."""
        return int(self._warm.sum())

    def use_model(self, model: ActiveModel | None, shadow: ActiveModel | None = None) -> None:
        """Scores the next samples with `model`, and in its shadow with another."""
        if model is not self._model or shadow is not self._shadow:
            self._engine.use_forest(model.forest if model else None)
            self._model, self._shadow = model, shadow
            self._observer = Observer(model, shadow) if model else None

    def use_rules(self, rules: Sequence[Rule]) -> None:
        """Watches the next samples by `rules`."""
        self._rules.use(rules)

    def use_strictness(self, by_series: Mapping[int, Strictness]) -> None:
        """Asks this of the alarms of the next samples; those that do not pass stay silent."""
        if by_series is not self._strictness:
            self._strictness = by_series
            self._require()

    def sweep(self, now_ms: int, since_ms: int) -> list[Finding]:
        """Series that fell silent by `now_ms`; only time after `since_ms` counts as silence."""
        lasting = self._silences.lasting(self._engine, self._warm, now_ms, since_ms)
        return list(self._silences.tell([], lasting, now_ms))

    def score(
        self,
        samples: Samples,
        cursor: int,
        labels_by_id: Mapping[int, Labels],
        since_ms: int = 0,
    ) -> Outcome:
        """Scores and learns samples that end at `cursor`.

        Only time after `since_ms` counts as silence of a series.

        Raises:
            LookupError: A series is neither known nor in `labels_by_id`; nothing was scored.
        """
        self._add_series(self._series.unknown(samples.series_ids), labels_by_id)
        rows = self._series.rows_of(samples.series_ids)
        fresh = _fresh(rows, samples, self._engine.newest_ms())
        arrived_ms = samples.arrivals_ms()
        scores = self._engine.process(rows, samples.timestamps_ms, samples.values, arrived_ms)
        ended = self._silences.heard(rows, arrived_ms, scores, fresh, since_ms)
        ready = np.isfinite(scores.expected_low)
        self._warm[rows[ready]] = True
        self._changed[rows] = True
        self.cursor = cursor
        self.processed_samples += len(samples)
        self.collected_samples += int(ready.sum())
        now_ms = int(arrived_ms.max(initial=0))
        lasting = self._silences.lasting(self._engine, self._warm, now_ms, since_ms)
        silent = self._silences.tell(ended, lasting, now_ms)
        alarms = self._find(samples, scores)
        found = [*alarms, *self._beyond_thresholds(samples, rows, fresh, scores), *silent]
        found.sort(key=lambda each: (each.event_ms, each.series_id, each.kind, each.anomaly_id))
        live = self._observer.look(scores.features) if self._observer else {}
        silenced = int(np.count_nonzero(scores.silenced))
        scored = int(np.isfinite(scores.raw).sum())
        return Outcome(findings=found, scored=scored, live=live, silenced=silenced)

    def skip_to(self, cursor: int) -> None:
        """Goes on after `cursor`: what lies between is gone for good."""
        self.cursor = max(self.cursor, cursor)

    def changes(
        self,
        findings: Sequence[Finding],
        *,
        with_training_rows: bool,
        watched: Watched | None = None,
    ) -> Changes:
        """Everything since the last checkpoint. Nothing may be scored until it is committed."""
        rows = np.flatnonzero(self._changed).astype(np.int32)
        episodes, ended = self._rules.changes()
        fallen, back = self._silences.changes()
        return Changes(
            shard=self._shard,
            epoch=self._epoch,
            from_cursor=self._stored_cursor,
            to_cursor=self.cursor,
            processed_samples=self.processed_samples,
            collected_samples=self.collected_samples,
            series_count=len(self._series),
            warm_series_count=self.warm_series_count,
            new_series=self._series.added_since(self._stored_series),
            row_numbers=self._series.numbers_of(rows),
            states=state_of_rows(self._engine, rows),
            warm=self._warm[rows].tolist(),
            findings=findings,
            episodes=episodes + fallen,
            ended_episodes=[*ended, *back, *self._forgotten.episodes],
            forgotten_rows=self._forgotten.row_numbers,
            training_rows=self._training_rows() if with_training_rows else None,
            watched=watched,
        )

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._changed[:] = False
        self._stored_series = len(self._series)
        self._stored_cursor = self.cursor
        self._forgotten = NOTHING
        self._rules.committed()
        self._silences.committed()

    def _restore(self, checkpoint: Checkpoint) -> None:
        self._series = SeriesRows(checkpoint.series)
        self._engine = Engine(forest=None, settings=self._settings)
        self._engine.add_series(len(checkpoint.series))
        self.lost_states = import_states(self._engine, checkpoint.series)
        self._warm = np.array([each.warm for each in checkpoint.series], dtype=np.bool_)
        self._warm[self.lost_states] = False
        self._changed = np.zeros(len(self._series), dtype=np.bool_)
        self._stored_series = len(self._series)
        told = checkpoint.episodes
        self._rules = ShardRules(each for each in told if not is_of_silences(each.source))
        self._silences = ShardSilences(each for each in told if is_of_silences(each.source))
        ids = [each.series_id for each in checkpoint.series]
        self._watch(ids, [each.labels for each in checkpoint.series])

    def _add_series(self, series_ids: Sequence[int], labels_by_id: Mapping[int, Labels]) -> None:
        if series_ids:
            self._series.add(series_ids, labels_by_id)
            self._engine.add_series(len(series_ids))
            new = np.zeros(len(series_ids), dtype=np.bool_)
            self._warm = np.concatenate([self._warm, new])
            self._changed = np.concatenate([self._changed, new])
            self._watch(series_ids, [labels_by_id[each] for each in series_ids])
            self._require()

    def _watch(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        self._rules.add(series_ids, labels)
        self._silences.add(series_ids, labels)

    def _training_rows(self) -> F32:
        own = self._engine.take_training_rows()
        if self._inherited_rows is None:
            return own
        return np.concatenate([self._inherited_rows, own])[-TRAINING_ROWS_MAX:]

    def _require(self) -> None:
        """Tells the engine what is asked of the series that it knows."""
        known = self._series.known(np.array(list(self._strictness), dtype=np.int64))
        asked = [self._strictness[each] for each in known.tolist()]
        self._engine.require(
            self._series.rows_of(known),
            np.array([each.bar for each in asked], dtype=np.float64),
            np.array([each.allowance for each in asked], dtype=np.float64),
        )

    def _beyond_thresholds(
        self,
        samples: Samples,
        rows: npt.NDArray[np.int32],
        fresh: npt.NDArray[np.bool_],
        scores: Scores,
    ) -> list[Finding]:
        version = self._model.version if self._model else 0
        return [
            finding_of(
                hit,
                samples,
                self._series.labels_of(int(samples.series_ids[hit.index])),
                float(np.nan_to_num(scores.raw[hit.index])),
                version,
            )
            for hit in self._rules.evaluate(samples, rows, fresh, scores.apart)
        ]

    def _find(self, samples: Samples, scores: Scores) -> list[Finding]:
        indices = np.flatnonzero(scores.alert > 0)
        if not len(indices) or self._model is None:
            return []
        features, version = scores.features[indices], self._model.version
        shares = self._engine.contributions(features)
        return [
            self._finding(index, samples, scores, contributions(features[k], shares[k]), version)
            for k, index in enumerate(indices.tolist())
        ]

    def _finding(
        self,
        index: int,
        samples: Samples,
        scores: Scores,
        parts: tuple[Contribution, ...],
        version: int,
    ) -> Finding:
        series_id, event_ms = int(samples.series_ids[index]), int(samples.timestamps_ms[index])
        alert = float(np.clip(scores.alert[index], 0.0, 1.0))
        return Finding(
            anomaly_id=anomaly_id(series_id, event_ms, Kind.VALUE),
            series_id=series_id,
            labels=self._series.labels_of(series_id),
            kind=Kind.VALUE,
            severity=Severity.of_score(alert),
            event_ms=event_ms,
            value=float(samples.values[index]),
            raw_score=float(np.clip(scores.raw[index], 0.0, 1.0)),
            alert_score=alert,
            expected_low=float(scores.expected_low[index]),
            expected_high=float(scores.expected_high[index]),
            contributions=parts,
            model_version=version,
        )


def _fresh(
    rows: npt.NDArray[np.int32], samples: Samples, newest_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which samples the engine will take; moves `newest_ms`."""
    fresh = np.zeros(len(rows), dtype=np.bool_)
    in_order(rows, samples.timestamps_ms, samples.values, newest_ms, fresh)
    return fresh


def contributions(features: F32, shares: F64) -> tuple[Contribution, ...]:
    """Features with their signed part of the whole, the largest part first."""
    total = float(np.abs(shares).sum()) or 1.0
    return ranked(
        Contribution(feature=name, value=float(value), share=float(share) / total)
        for name, value, share in zip(FEATURES, features, shares, strict=True)
    )
