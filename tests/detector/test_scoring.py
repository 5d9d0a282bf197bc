"""A shard in memory: what it finds depends on the samples alone, not on how they came."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.detectors.engine import FEATURES, Engine
from services.detector.model.anomalies import Finding, Kind, Severity, anomaly_id
from services.detector.model.checkpoints import Changes, Checkpoint, StoredSeries
from services.detector.model.models import ActiveModel
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from tests.detector.signals import SERIES, SETTINGS, forest, labels_of, part, samples
from tests.properties import examples

LABELS = {series_id: labels_of(series_id) for series_id in range(1, 10)}


@pytest.fixture(scope="module")
def model() -> ActiveModel:
    """A trained model as version 3."""
    return ActiveModel(version=3, forest=forest())


def scorer_of(model: ActiveModel | None, checkpoint: Checkpoint | None = None) -> ShardScorer:
    scorer = ShardScorer(checkpoint or Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.use_model(model)
    return scorer


def undisturbed(model: ActiveModel) -> list[Finding]:
    return list(scorer_of(model).score(samples(), 1, LABELS).findings)


def reopened(stored: dict[int, StoredSeries], changes: Changes) -> Checkpoint:
    """What the store would hand to the next holder after these changes."""
    for new in changes.new_series:
        stored[new.row_number] = StoredSeries(
            row_number=new.row_number,
            series_id=new.series_id,
            labels=new.labels,
            state=None,
            warm=False,
        )
    for row, state, warm in zip(changes.row_numbers, changes.states, changes.warm, strict=True):
        stored[row] = dataclasses.replace(stored[row], state=state, warm=warm)
    return Checkpoint(
        shard=0,
        epoch=changes.epoch + 1,
        cursor=changes.to_cursor,
        processed_samples=changes.processed_samples,
        collected_samples=changes.collected_samples,
        series=[stored[row] for row in sorted(stored)],
    )


def test_spikes_are_found_and_explained(model: ActiveModel) -> None:
    findings = undisturbed(model)
    spike = next(each for each in findings if each.value > 60)
    assert spike.series_id == 1
    assert spike.labels == labels_of(1)
    assert spike.kind is Kind.VALUE
    assert spike.model_version == 3
    assert spike.value > spike.expected_high > spike.expected_low
    assert spike.anomaly_id == anomaly_id(1, spike.event_ms, Kind.VALUE)
    assert {each.feature for each in spike.contributions} == set(FEATURES)
    shares = [abs(each.share) for each in spike.contributions]
    assert sum(shares) == pytest.approx(1.0)
    assert shares == sorted(shares, reverse=True)


@examples(25)
@given(cuts=st.lists(st.integers(0, len(samples())), max_size=6), again=st.booleans())
def test_cutting_and_moving_a_shard_changes_no_anomaly(cuts: list[int], again: bool) -> None:
    """At each cut the shard moves to a new holder, or loses what it did and does it again."""
    model = ActiveModel(version=3, forest=forest())
    whole, found, stored = samples(), list[Finding](), dict[int, StoredSeries]()
    scorer, start = scorer_of(model), 0
    for stop in [*sorted(set(cuts) - {0, len(whole)}), len(whole)]:
        if again:
            lost = scorer_of(model, scorer_checkpoint(scorer, stored))
            lost.score(part(whole, start, stop), stop, LABELS)
        found.extend(scorer.score(part(whole, start, stop), stop, LABELS).findings)
        changes = scorer.changes([], with_training_rows=False)
        scorer, start = scorer_of(model, reopened(stored, changes)), stop
    assert found == undisturbed(model)
    assert scorer.processed_samples == len(whole)


def scorer_checkpoint(scorer: ShardScorer, stored: dict[int, StoredSeries]) -> Checkpoint:
    return Checkpoint(
        shard=0, epoch=9, cursor=scorer.cursor, series=[stored[row] for row in sorted(stored)]
    )


def test_without_a_model_nothing_is_scored_and_training_rows_are_collected() -> None:
    scorer = scorer_of(None)
    outcome = scorer.score(samples(), 5, LABELS)
    assert (outcome.findings, outcome.scored) == ([], 0)
    changes = scorer.changes([], with_training_rows=True)
    assert changes.collected_samples > 0
    assert changes.warm_series_count == SERIES
    assert changes.training_rows is not None
    assert changes.training_rows.shape[1] == len(FEATURES)


def test_values_that_are_not_finite_are_never_scored(model: ActiveModel) -> None:
    """They count as processed, and what is found around them stays the same."""
    clean = samples()
    at = np.repeat(np.arange(0, len(clean), 5), 2)
    dirty = Samples(
        series_ids=np.insert(clean.series_ids, at, 2),
        timestamps_ms=np.insert(clean.timestamps_ms, at, clean.timestamps_ms[at]),
        values=np.insert(clean.values, at, np.tile([np.nan, np.inf], len(at) // 2)),
    )
    scorer = scorer_of(model)
    outcome = scorer.score(dirty, 1, LABELS)
    assert list(outcome.findings) == undisturbed(model)
    assert scorer.processed_samples == len(dirty)


def test_series_without_labels_is_refused_before_anything_changes(model: ActiveModel) -> None:
    scorer = scorer_of(model)
    with pytest.raises(LookupError, match="series 1 was delivered without its labels"):
        scorer.score(samples(), 7, {2: labels_of(2)})
    assert (scorer.cursor, scorer.series_count, scorer.dirty) == (0, 0, False)


def test_checkpoint_holds_only_what_changed(model: ActiveModel) -> None:
    scorer = scorer_of(model)
    scorer.score(samples(), 1, LABELS)
    first = scorer.changes([], with_training_rows=False)
    scorer.committed()
    whole = samples(2)
    only = Samples(series_ids=np.array([3]), timestamps_ms=whole.timestamps_ms[-1:] + 1000,
                   values=np.array([10.0]))  # fmt: skip
    scorer.score(only, 2, LABELS)
    second = scorer.changes([], with_training_rows=False)
    assert list(first.row_numbers) == [0, 1, 2]
    assert (list(second.row_numbers), list(second.new_series)) == ([2], [])
    assert (second.from_cursor, second.to_cursor) == (1, 2)


def test_series_with_a_damaged_state_starts_anew_and_the_others_go_on(model: ActiveModel) -> None:
    scorer = scorer_of(model)
    scorer.score(samples(), 1, LABELS)
    stored: dict[int, StoredSeries] = {}
    checkpoint = reopened(stored, scorer.changes([], with_training_rows=False))
    stored[1] = dataclasses.replace(stored[1], state=b"damaged")
    again = ShardScorer(
        dataclasses.replace(checkpoint, series=[stored[row] for row in sorted(stored)]), SETTINGS
    )
    assert again.lost_states == [1]
    assert again.warm_series_count == SERIES - 1


def test_state_of_another_version_starts_every_series_anew(
    model: ActiveModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = scorer_of(model)
    scorer.score(samples(), 1, LABELS)
    stored: dict[int, StoredSeries] = {}
    reopened(stored, scorer.changes([], with_training_rows=False))
    old = [dataclasses.replace(stored[row], state=b"OLD" + (stored[row].state or b"")[3:])
           for row in sorted(stored)]  # fmt: skip
    again = ShardScorer(Checkpoint(shard=0, epoch=2, series=old), SETTINGS)
    assert again.lost_states == [0, 1, 2]


@pytest.mark.parametrize(
    ("score", "severity"),
    [(0.0, Severity.INFO), (0.79, Severity.INFO), (0.8, Severity.WARNING),
     (0.949, Severity.WARNING), (0.95, Severity.CRITICAL), (1.0, Severity.CRITICAL)],
)  # fmt: skip
def test_severity_follows_the_alert_score(score: float, severity: Severity) -> None:
    assert Severity.of_score(score) is severity


def test_anomaly_ids_are_the_same_on_every_machine() -> None:
    assert anomaly_id(7, 1_780_000_000_123, Kind.VALUE) == anomaly_id(7, 1_780_000_000_123, Kind(1))
    assert anomaly_id(7, 1_780_000_000_123, Kind.VALUE) != anomaly_id(
        7, 1_780_000_000_123, Kind.ABSENCE
    )
    assert len(anomaly_id(2**62, -5, Kind.VALUE)) == 32


def test_training_rows_of_the_holder_before_are_kept() -> None:
    rows = np.ones((5, len(FEATURES)), dtype=np.float32)
    scorer = ShardScorer(Checkpoint(shard=0, epoch=1, training_rows=rows), SETTINGS)
    kept = scorer.changes([], with_training_rows=True).training_rows
    assert kept is not None
    assert np.array_equal(kept, rows)


def test_engine_says_how_large_its_header_is() -> None:
    """States are cut by row: the engine's export is a header of 16 bytes and equal rows."""
    engine = Engine(forest=None, settings=SETTINGS)
    engine.add_series(3)
    one, three = (len(engine.export_rows(np.arange(n, dtype=np.int32))) for n in (1, 3))
    assert (three - one) % 2 == 0
    assert one - (three - one) // 2 == 16
