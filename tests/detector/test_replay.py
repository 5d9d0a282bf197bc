"""However a shard is cut, killed and moved, the store ends with the anomalies of one clean run."""

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.detector.model.anomalies import Finding
from services.detector.model.checkpoints import Checkpoint
from services.detector.model.models import ActiveModel
from services.detector.model.samples import Samples
from services.detector.shards.scoring import ShardScorer
from services.detector.store import AnomalyStore, CheckpointStore, StatusStore
from tests.detector.signals import SERIES, SETTINGS, forest, labels_of, part, samples
from tests.detector.undisturbed import expected, expected_ends
from tests.properties import examples

if TYPE_CHECKING:
    from mesh.postgres import Pool

SIZE = len(samples())
EXAMPLES = itertools.count(1)

# how far the next holder gets, how often it checkpoints, and whether it dies before the last one
LIVES = st.lists(
    st.tuples(st.integers(1, SIZE), st.integers(1, 200), st.booleans()), min_size=1, max_size=5
)


@examples(8)
@given(lives=LIVES)
async def test_store_ends_as_after_an_undisturbed_run(
    pool: "Pool", lives: list[tuple[int, int, bool]]
) -> None:
    shard = next(EXAMPLES)
    whole = samples(shard * SERIES + 1, seed=shard)
    before = await AnomalyStore(pool).head()
    for epoch, (reach, step, dies) in enumerate([*lives, (SIZE, SIZE, False)], start=1):
        await live(CheckpointStore(pool), shard, epoch, whole, reach, step, dies)
    log = await AnomalyStore(pool).after(before, 1000)
    assert sorted(each.anomaly.finding.anomaly_id for each in log if not each.is_end) == expected(
        whole
    )
    ends = {(each.anomaly.finding.anomaly_id, each.anomaly.end_ms) for each in log if each.is_end}
    assert ends == expected_ends(whole)
    assert [each.cursor for each in log] == sorted({each.cursor for each in log})
    places = {place.shard: place.cursor for place in (await StatusStore(pool).status()).shards}
    assert places[shard] == SIZE


async def live(
    store: CheckpointStore,
    shard: int,
    epoch: int,
    whole: Samples,
    reach: int,
    step: int,
    dies: bool,
) -> None:
    """One holder's life: it goes on from the checkpoint, `reach` samples far."""
    labels = {series_id: labels_of(series_id) for series_id in np.unique(whole.series_ids).tolist()}
    scorer = ShardScorer(await store.claim(shard, epoch, f"holder {epoch}"), SETTINGS)
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    end = min(SIZE, scorer.cursor + reach)
    while scorer.cursor < end:
        stop = min(scorer.cursor + step, end)
        outcome = scorer.score(part(whole, scorer.cursor, stop), stop, labels)
        if dies and stop == end:
            return
        changes = scorer.changes(outcome.findings, outcome.ends, with_training_rows=False)
        await store.commit(changes)
        scorer.committed()


async def test_delivery_without_samples_only_moves_the_cursor(pool: "Pool") -> None:
    store = CheckpointStore(pool)
    scorer = ShardScorer(await store.claim(0, 1, "a"), SETTINGS)
    scorer.use_model(ActiveModel(version=1, forest=forest()))
    scorer.score(part(samples(), 0, 0), 9, {})
    await store.commit(scorer.changes([], with_training_rows=False))
    assert (await store.claim(0, 2, "b")).cursor == 9


@pytest.mark.parametrize("size", [1, 7, 50, SIZE])
def test_contributions_do_not_depend_on_how_samples_are_cut(size: int) -> None:
    """Where a series has several anomalies in one batch its states are replayed for each."""
    noisy = samples(seed=3)
    noisy.values[300::31] += 40.0
    labels = {series_id: labels_of(series_id) for series_id in (1, 2, 3)}

    def findings(step: int) -> list[Finding]:
        scorer = ShardScorer(Checkpoint(shard=0, epoch=1), SETTINGS)
        scorer.use_model(ActiveModel(version=1, forest=forest()))
        return [
            finding
            for start in range(0, SIZE, step)
            for finding in scorer.score(
                part(noisy, start, start + step), start + step, labels
            ).findings
        ]

    one_by_one = findings(1)
    assert findings(size) == one_by_one
    assert len(one_by_one) > 3
