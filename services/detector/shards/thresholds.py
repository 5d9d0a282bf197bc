"""The rules over the series of one shard. CPU work without I/O and clock, as in `scoring`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mesh.selector import parse
from services.detector.detectors import threshold
from services.detector.model.anomalies import (
    Contribution,
    EndReason,
    EpisodeEnd,
    Finding,
    Kind,
    Severity,
    anomaly_id,
)
from services.detector.model.checkpoints import Episode
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels, Samples

SCORES: Final = {Severity.WARNING: 0.8, Severity.CRITICAL: 0.95}
"""The alert score of a rule's anomaly is the lowest of its severity."""

_SEVERITIES: Final = {
    threshold.WARNING: Severity.WARNING,
    threshold.CRITICAL: Severity.CRITICAL,
    threshold.OVER: None,
}

I32 = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """Sample `index` of a batch begins an episode of `rule`, or makes it worse; None ends it."""

    index: int
    rule: Rule
    severity: Severity | None


class ShardRules:
    """Which series each rule watches, and where their episodes stand.

    Cost: 4 bytes per rule and series, 24 more where the rule watches the series.
    """

    def __init__(self, episodes: Iterable[Episode]) -> None:
        """Open episodes are taken up by the rules they belong to, as soon as `use` names them."""
        self._waiting = {(each.source, each.series_id): each for each in episodes}
        self._watches: list[_Watch] = []
        self._ids: list[int] = []
        self._labels: list[Labels] = []
        self._ended: set[tuple[str, int]] = set()
        self._orphans: list[Episode] = []

    def add(self, series_ids: Sequence[int], labels: Sequence[Labels]) -> None:
        """Watches the next rows too."""
        first = len(self._ids)
        self._ids.extend(series_ids)
        self._labels.extend(labels)
        for watch in self._watches:
            self._grow(watch, first)

    def use(self, rules: Sequence[Rule]) -> None:
        """Follows these rules from the next sample on.

        Episodes of a rule that stays go on, as far as it still watches their series; for those of
        a rule that is gone see `orphans`.
        """
        if list(rules) == [watch.rule for watch in self._watches]:
            return
        kept = {watch.key: watch for watch in self._watches}
        watches = [kept.pop(_key(rule)) if _key(rule) in kept else _Watch(rule) for rule in rules]
        for gone in kept.values():
            self._waiting |= {(each.source, each.series_id): each for each in gone.open(self._ids)}
        for watch, rule in zip(watches, rules, strict=True):
            watch.rule = rule
            self._grow(watch, watch.row_count)
        self._watches = watches
        self._ended |= self._waiting.keys()
        self._orphans += [each for each in self._waiting.values() if each.said]
        self._waiting = {}

    def orphans(self, now_ms: int) -> list[EpisodeEnd]:
        """Ends of episodes whose rule is gone, once."""
        orphans, self._orphans = self._orphans, []
        return [
            EpisodeEnd(
                series_id=each.series_id,
                end_ms=max(now_ms, each.since_warning_ms or 0, each.since_critical_ms or 0),
                reason=EndReason.RULE_GONE,
                kind=Kind.THRESHOLD,
                source=each.source,
            )
            for each in orphans
        ]

    def evaluate(self, samples: Samples, rows: I32, fresh: Flags, apart: Flags) -> list[RuleHit]:
        """Takes one batch in order; samples that are `apart` came after a gap in their series."""
        return [
            hit for watch in self._watches for hit in watch.evaluate(samples, rows, fresh, apart)
        ]

    def changes(self) -> tuple[list[Episode], list[tuple[str, int]]]:
        """Episodes that are open and changed since `committed`, and those that ended."""
        changed = [each for watch in self._watches for each in watch.changed_open(self._ids)]
        ended = [each for watch in self._watches for each in watch.changed_ended(self._ids)]
        opened = {(each.source, each.series_id) for each in changed}
        return changed, sorted(self._ended - opened | set(ended))

    def committed(self) -> None:
        """The last `changes` are stored."""
        self._ended.clear()
        for watch in self._watches:
            watch.before = watch.state.copy()

    def _grow(self, watch: "_Watch", first: int) -> None:
        watch.grow(self._labels[first:])
        for row in watch.rows_from(first):
            key = (watch.rule.rule_id, self._ids[row])
            if (episode := self._waiting.pop(key, None)) is not None:
                watch.restore(row, episode)


class _Watch:
    """One rule. `before` is the state as stored."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.state = threshold.empty(0)
        self.before = threshold.empty(0)
        self._selector = parse(rule.selector)
        self._place_of_row = np.zeros(0, dtype=np.int32)
        self._row_of_place = np.zeros(0, dtype=np.int32)

    @property
    def key(self) -> tuple[str, str, int]:
        return _key(self.rule)

    @property
    def row_count(self) -> int:
        return len(self._place_of_row)

    def grow(self, labels: Sequence[Labels]) -> None:
        first = len(self._place_of_row)
        selected = np.array([self._selector.matches(each) for each in labels], dtype=np.bool_)
        rows = first + np.flatnonzero(selected)
        places = np.full(len(labels), -1, dtype=np.int32)
        places[selected] = np.arange(len(self.state), len(self.state) + len(rows))
        self._place_of_row = np.concatenate([self._place_of_row, places])
        self._row_of_place = np.concatenate([self._row_of_place, rows.astype(np.int32)])
        new = threshold.empty(len(rows))
        self.state = np.concatenate([self.state, new])
        self.before = np.concatenate([self.before, new])

    def rows_from(self, first: int) -> list[int]:
        rows = self._row_of_place
        return [int(row) for row in rows[rows >= first]]

    def restore(self, row: int, episode: Episode) -> None:
        since = (episode.since_warning_ms, episode.since_critical_ms)
        first, second = (threshold.NEVER if each is None else each for each in since)
        place = self._place_of_row[row]
        self.state[place] = self.before[place] = (first, second, episode.said)

    def evaluate(
        self, samples: Samples, rows: I32, fresh: Flags, apart: Flags
    ) -> Iterator[RuleHit]:
        places = self._place_of_row[rows]
        mine = np.flatnonzero(places >= 0)
        if not len(mine):
            return
        hits = np.zeros(len(mine), dtype=np.int8)
        threshold.step(
            self.state,
            places[mine],
            samples.timestamps_ms[mine],
            samples.values[mine] * self.rule.sign,
            fresh[mine],
            apart[mine],
            self.rule.terms,
            hits,
        )
        for at in np.flatnonzero(hits).tolist():
            yield RuleHit(index=int(mine[at]), rule=self.rule, severity=_SEVERITIES[int(hits[at])])

    def open(self, series_ids: Sequence[int]) -> list[Episode]:
        return self._episodes(np.flatnonzero(_is_open(self.state)), series_ids)

    def changed_open(self, series_ids: Sequence[int]) -> list[Episode]:
        changed = (self.state != self.before) & _is_open(self.state)
        return self._episodes(np.flatnonzero(changed), series_ids)

    def changed_ended(self, series_ids: Sequence[int]) -> list[tuple[str, int]]:
        ended = _is_open(self.before) & ~_is_open(self.state)
        rows = self._row_of_place[ended].tolist()
        return [(self.rule.rule_id, series_ids[row]) for row in rows]

    def _episodes(self, places: npt.NDArray[np.intp], series_ids: Sequence[int]) -> list[Episode]:
        return [
            Episode(
                source=self.rule.rule_id,
                series_id=series_ids[int(self._row_of_place[place])],
                since_warning_ms=_known(int(self.state["since_warning"][place])),
                since_critical_ms=_known(int(self.state["since_critical"][place])),
                said=int(self.state["said"][place]),
            )
            for place in places
        ]


def end_of(hit: RuleHit, samples: Samples) -> EpisodeEnd:
    """The end of an episode."""
    return EpisodeEnd(
        series_id=int(samples.series_ids[hit.index]),
        end_ms=int(samples.timestamps_ms[hit.index]),
        reason=EndReason.USUAL_AGAIN,
        kind=Kind.THRESHOLD,
        source=hit.rule.rule_id,
    )


def finding_of(
    hit: RuleHit,
    severity: Severity,
    samples: Samples,
    labels: Labels,
    raw_score: float,
    model_version: int,
) -> Finding:
    """The anomaly that a hit announces; expected is everything up to the threshold."""
    rule, index = hit.rule, hit.index
    series_id, event_ms = int(samples.series_ids[index]), int(samples.timestamps_ms[index])
    limit = _lowest(rule)
    above = rule.sign > 0
    return Finding(
        anomaly_id=anomaly_id(series_id, event_ms, Kind.THRESHOLD, rule.rule_id),
        series_id=series_id,
        labels=labels,
        kind=Kind.THRESHOLD,
        severity=severity,
        event_ms=event_ms,
        value=float(samples.values[index]),
        raw_score=raw_score,
        alert_score=SCORES[severity],
        expected_low=-math.inf if above else limit,
        expected_high=limit if above else math.inf,
        contributions=_told_by(rule, limit),
        model_version=model_version,
        source=rule.rule_id,
    )


def _told_by(rule: Rule, limit: float) -> tuple[Contribution, ...]:
    """The rule with its bound and, where it waits, how long the value stayed beyond it."""
    said = Contribution(feature=f"rule:{rule.name}", value=limit, share=1.0)
    if not rule.hold_ms:
        return (said,)
    return said, Contribution(feature="hold_seconds", value=rule.hold_ms / 1000, share=0.0)


def _key(rule: Rule) -> tuple[str, str, int]:
    """What must be equal for a rule to watch the same series on the same side."""
    return rule.rule_id, rule.selector, rule.comparison


def _lowest(rule: Rule) -> float:
    limits = [each for each in (rule.warning, rule.critical) if each is not None]
    return rule.sign * min(rule.sign * each for each in limits)


def _is_open(state: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    never = threshold.NEVER
    waits = (state["since_warning"] != never) | (state["since_critical"] != never)
    return np.asarray(waits | (state["said"] > 0))


def _known(moment_ms: int) -> int | None:
    return None if moment_ms == threshold.NEVER else moment_ms
