"""One shard in memory: its series, its engine, and what changed since the last checkpoint.

CPU work without I/O and clock; one thread at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Final

import numpy as np
import numpy.typing as npt

from services.detector.detectors.engine import Engine, Scores, Settings
from services.detector.detectors.strictness import Strictness
from services.detector.detectors.threshold import in_order
from services.detector.model.anomalies import (
    EpisodeEnd,
    Finding,
    Kind,
)
from services.detector.model.checkpoints import Changes, Checkpoint, Watched
from services.detector.model.metric_types import NOTHING_SAID, MetricTypes
from services.detector.model.model_life import Live
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels, Samples
from services.detector.shards.alarms import alarms
from services.detector.shards.alarms import ends as ends_of_alarms
from services.detector.shards.declared_kinds import DeclaredKinds
from services.detector.shards.forgetting import NOTHING, forgotten, without_forgotten
from services.detector.shards.series_rows import SeriesRows
from services.detector.shards.shadow import Observer
from services.detector.shards.silences import SOURCE, ShardSilences
from services.detector.shards.states import import_states, state_of_rows
from services.detector.shards.thresholds import ShardRules, end_of, finding_of

TRAINING_ROWS_MAX: Final = 4096

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one call of `score` found, how many samples got a score, what each model saw."""

    findings: Sequence[Finding]
    ends: Sequence[EpisodeEnd]
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
        self._kinds = DeclaredKinds()
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

    def use_rules(self, rules: Sequence[Rule], types: MetricTypes = NOTHING_SAID) -> None:
        """Watches the next samples by `rules`, and takes series for what these or `types` say."""
        self._rules.use([rule for rule in rules if rule.has_threshold])
        may_differ = self._kinds.use(rules, types)
        if may_differ is not None:
            known = enumerate(self._series.labels_from(0))
            self._declare([row for row, labels in known if may_differ(labels)])

    def use_strictness(self, by_series: Mapping[int, Strictness]) -> None:
        """Asks this of the alarms of the next samples; those that do not pass stay silent."""
        if by_series is not self._strictness:
            self._strictness = by_series
            self._require()

    def sweep(self, now_ms: int, since_ms: int) -> tuple[list[Finding], list[EpisodeEnd]]:
        """Series that fell silent by `now_ms`; only time after `since_ms` counts as silence.

        With them the ends of what was abnormal of them, and of episodes whose rule is gone.
        """
        lasting = self._silences.lasting(self._engine, self._warm, now_ms, since_ms)
        ends = [*self._silences.value_ends(lasting), *self._rules.orphans(now_ms)]
        return self._silences.findings(lasting), ends

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
        ready = np.isfinite(scores.expected_low)
        known = _known(rows, ready, self._warm)
        changes = self._silences.process(rows, arrived_ms, scores, fresh, known, since_ms)
        self._warm[rows[ready]] = True
        self._changed[rows] = True
        self.cursor = cursor
        self.processed_samples += len(samples)
        self.collected_samples += int(ready.sum())
        now_ms = int(arrived_ms.max(initial=0))
        lasting = self._silences.lasting(self._engine, self._warm, now_ms, since_ms)
        silences = [*changes.unannounced, *lasting]
        silent, unseen = self._silences.findings(silences), self._silences.value_ends(silences)
        version = self._model.version if self._model else 0
        labels_of, sources = self._series.labels_of, self._kind_sources
        loud = alarms(self._engine, samples, rows, scores, labels_of, sources, version)
        beyond, within = self._beyond_thresholds(samples, rows, fresh, scores)
        found = [*loud, *beyond, *silent]
        found.sort(key=lambda each: (each.event_ms, each.series_id, each.kind, each.anomaly_id))
        live = self._observer.look(scores.features) if self._observer else {}
        silenced = int(np.count_nonzero(scores.silenced))
        scored = int(np.isfinite(scores.raw).sum())
        back = [*within, *changes.ends, *self._rules.orphans(now_ms)]
        ends = [*ends_of_alarms(samples, scores), *unseen, *back]
        return Outcome(findings=found, ends=ends, scored=scored, live=live, silenced=silenced)

    def skip_to(self, cursor: int) -> None:
        """Goes on after `cursor`: what lies between is gone for good."""
        self.cursor = max(self.cursor, cursor)

    def changes(
        self,
        findings: Sequence[Finding],
        ends: Sequence[EpisodeEnd] = (),
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
            ends=[*self._forgotten.ends, *ends],
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
        _, self._kind_sources = self._kinds.of(self._series.labels_from(0))
        self._stored_series = len(self._series)
        if checkpoint.watched is not None:
            until_ms = checkpoint.watched.until_ms
            lost = (checkpoint.series[row].series_id for row in self.lost_states)
            ends = [forgotten(series_id, Kind.VALUE, until_ms) for series_id in lost]
            self._forgotten = replace(self._forgotten, ends=[*self._forgotten.ends, *ends])
        open_episodes = checkpoint.episodes
        self._rules = ShardRules(each for each in open_episodes if each.source != SOURCE)
        self._silences = ShardSilences(each for each in open_episodes if each.source == SOURCE)
        ids = [each.series_id for each in checkpoint.series]
        self._watch(ids, [each.labels for each in checkpoint.series])

    def _add_series(self, series_ids: Sequence[int], labels_by_id: Mapping[int, Labels]) -> None:
        if series_ids:
            self._series.add(series_ids, labels_by_id)
            first = self._engine.add_series(len(series_ids))
            new = np.zeros(len(series_ids), dtype=np.bool_)
            self._warm = np.concatenate([self._warm, new])
            self._changed = np.concatenate([self._changed, new])
            self._kind_sources = np.concatenate([self._kind_sources, new.astype(np.uint8)])
            self._declare(range(first, first + len(series_ids)))
            self._watch(series_ids, [labels_by_id[each] for each in series_ids])
            self._require()

    def _declare(self, chosen: Sequence[int]) -> None:
        """Tells the engine what the series in these rows are said to be.

        Those that start over are in their warm-up again, and what was abnormal of them is over.
        """
        rows, labels = np.array(chosen, dtype=np.int32), self._series.labels_from(0)
        declared, self._kind_sources[rows] = self._kinds.of([labels[row] for row in chosen])
        anew = self._engine.declare(rows, declared)
        self._warm[anew], self._changed[anew] = False, True
        ids, newest_ms = self._series.ids_of(anew), self._engine.newest_ms()[anew].tolist()
        ends = [forgotten(*each) for each in zip(ids, repeat(Kind.VALUE), newest_ms, strict=False)]
        self._forgotten = replace(self._forgotten, ends=[*self._forgotten.ends, *ends])

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
    ) -> tuple[list[Finding], list[EpisodeEnd]]:
        version = self._model.version if self._model else 0
        found, ends = list[Finding](), list[EpisodeEnd]()
        for hit in self._rules.evaluate(samples, rows, fresh, scores.apart):
            if hit.severity is None:
                ends.append(end_of(hit, samples))
                continue
            labels = self._series.labels_of(int(samples.series_ids[hit.index]))
            raw = float(np.nan_to_num(scores.raw[hit.index]))
            found.append(finding_of(hit, hit.severity, samples, labels, raw, version))
        return found, ends


def _known(
    rows: npt.NDArray[np.int32], ready: npt.NDArray[np.bool_], warm: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Whether the warm-up of its series was over before each sample; `warm`: before the batch."""
    known = warm[rows]
    first = np.flatnonzero(ready & ~known)
    if len(first):
        ended, at = np.unique(rows[first], return_index=True)
        place = np.minimum(np.searchsorted(ended, rows), len(ended) - 1)
        known |= (ended[place] == rows) & (np.arange(len(rows)) > first[at][place])
    return known


def _fresh(
    rows: npt.NDArray[np.int32], samples: Samples, newest_ms: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which samples the engine will take; moves `newest_ms`."""
    fresh = np.zeros(len(rows), dtype=np.bool_)
    in_order(rows, samples.timestamps_ms, samples.values, newest_ms, fresh)
    return fresh
