"""Series that are gone for good are left behind when a shard is taken up."""

from typing import TYPE_CHECKING

import numpy as np

from services.detector.model.checkpoints import Checkpoint, Watched
from services.detector.model.samples import Samples
from services.detector.shards.forgetting import FORGOTTEN_AFTER_MS
from services.detector.shards.scoring import ShardScorer
from services.detector.store import CheckpointStore
from tests.detector.signals import SETTINGS, START_MS, labels_of

if TYPE_CHECKING:
    from mesh.postgres import Pool

LABELS = {n: labels_of(n) for n in range(1, 9)}
LATER_MS = START_MS + FORGOTTEN_AFTER_MS
WATCHED = Watched(since_ms=START_MS, until_ms=LATER_MS + 240_000)


def sent(series_ids: list[int], first_ms: int, count: int = 60) -> Samples:
    """One sample a second of each."""
    times = np.repeat(first_ms + 1000 * np.arange(count, dtype=np.int64), len(series_ids))
    ids = np.tile(np.array(series_ids, dtype=np.int64), count)
    return Samples(series_ids=ids, timestamps_ms=times, values=np.sin(times.astype(np.float64)))


async def commit(store: CheckpointStore, scorer: ShardScorer) -> None:
    await store.commit(scorer.changes([], with_training_rows=False, watched=WATCHED))
    scorer.committed()


async def test_forgotten_series_leave_the_store_and_come_back_as_new_ones(pool: "Pool") -> None:
    store = CheckpointStore(pool)
    scorer = ShardScorer(await store.claim(0, 1, "a"), SETTINGS)
    scorer.score(sent([1, 2, 3, 4], START_MS), 1, LABELS)
    scorer.score(sent([2, 4], LATER_MS), 2, LABELS)
    await commit(store, scorer)
    before = await store.claim(0, 2, "b")
    assert [each.series_id for each in before.episodes if each.source == "absence"] == [1, 3]
    again = ShardScorer(before, SETTINGS)
    assert (again.series_count, again.warm_series_count) == (2, 2)
    again.score(sent([5, 1, 2], LATER_MS + 60_000, 5), 3, LABELS)
    changes = again.changes([], with_training_rows=False, watched=WATCHED)
    assert list(changes.forgotten_rows) == [0, 2]
    assert ("absence", 1) in changes.ended_episodes
    await store.commit(changes)
    again.committed()
    assert again.changes([], with_training_rows=False).forgotten_rows == []
    left = await store.claim(0, 3, "c")
    assert [(each.row_number, each.series_id, each.warm) for each in left.series] == [
        (1, 2, True), (3, 4, True), (4, 5, False), (5, 1, False)]  # fmt: skip
    states = {each.series_id: each.state for each in left.series}
    assert states[4] == {each.series_id: each.state for each in before.series}[4]
    assert await pool.fetchval("SELECT count(*) FROM detector.series_state") == 4


def test_nothing_is_forgotten_before_ingest_was_heard_of() -> None:
    scorer = ShardScorer(Checkpoint(shard=0, epoch=1), SETTINGS)
    scorer.score(sent([1], START_MS), 1, LABELS)
    assert scorer.changes([], with_training_rows=False).forgotten_rows == []
