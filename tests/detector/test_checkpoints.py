"""A checkpoint is one transaction, and only the holder of the shard can write one."""

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mesh.errors import Unavailable
from mesh.subscription import ShardLost
from services.detector.detectors.engine import FEATURES
from services.detector.model.checkpoints import Changes, NewSeries
from services.detector.store import AnomalyStore, CheckpointStore, ModelStore, StatusStore
from tests.detector.anomaly_log import a_finding
from tests.detector.signals import labels_of

if TYPE_CHECKING:
    from mesh.postgres import Pool


def changes(epoch: int, from_cursor: int, to_cursor: int) -> Changes:
    """A checkpoint of one series, new with the first."""
    new = [NewSeries(row_number=0, series_id=7, labels=labels_of(7))]
    return Changes(
        shard=2,
        epoch=epoch,
        from_cursor=from_cursor,
        to_cursor=to_cursor,
        processed_samples=10 * to_cursor,
        collected_samples=to_cursor,
        series_count=1,
        warm_series_count=1,
        new_series=[] if from_cursor else new,
        row_numbers=[0],
        states=[b"state %d" % to_cursor],
        warm=[True],
        findings=[a_finding(to_cursor)],
    )


@pytest.fixture
def store(pool: "Pool") -> CheckpointStore:
    """Checkpoints in the test's own database."""
    return CheckpointStore(pool)


async def test_claimed_shard_goes_on_where_the_last_checkpoint_ended(
    store: CheckpointStore,
) -> None:
    fresh = await store.claim(2, 1, "a")
    assert (fresh.cursor, fresh.series, fresh.training_rows) == (0, [], None)
    await store.commit(changes(1, 0, 5))
    again = await store.claim(2, 2, "b")
    assert (again.cursor, again.processed_samples, again.collected_samples) == (5, 50, 5)
    assert [(each.series_id, each.labels, each.state, each.warm) for each in again.series] == [
        (7, labels_of(7), b"state 5", True)
    ]


async def test_zombie_holder_can_write_nothing(store: CheckpointStore, pool: "Pool") -> None:
    await store.claim(2, 1, "zombie")
    await store.commit(changes(1, 0, 5))
    await store.claim(2, 2, "heir")
    with pytest.raises(ShardLost, match="shard 2 is not at 5 of epoch 1"):
        await store.commit(changes(1, 5, 9))
    held = await store.claim(2, 2, "heir")
    assert (held.cursor, held.series[0].state) == (5, b"state 5")
    assert len(await AnomalyStore(pool).after(0, 10)) == 1


async def test_shard_of_a_later_epoch_cannot_be_claimed(store: CheckpointStore) -> None:
    await store.claim(2, 9, "heir")
    with pytest.raises(ShardLost, match="shard 2 was taken by a later epoch than 8"):
        await store.claim(2, 8, "zombie")


async def test_same_checkpoint_twice_is_refused_and_changes_nothing(
    store: CheckpointStore, pool: "Pool"
) -> None:
    """The first commit went through although its answer was lost."""
    await store.claim(2, 1, "a")
    await store.commit(changes(1, 0, 5))
    with pytest.raises(ShardLost):
        await store.commit(changes(1, 0, 5))
    assert len(await AnomalyStore(pool).after(0, 10)) == 1


async def test_anomaly_that_was_committed_before_is_not_there_twice(
    store: CheckpointStore, pool: "Pool"
) -> None:
    await store.claim(2, 1, "a")
    await store.commit(changes(1, 0, 5))
    same = dataclasses.replace(
        changes(1, 5, 6), findings=[dataclasses.replace(a_finding(5), value=99.0), a_finding(6)]
    )
    await store.commit(same)
    found = await AnomalyStore(pool).after(0, 10)
    assert [entry.anomaly.finding.value for entry in found] == [5.0, 6.0]


async def test_checkpoint_that_fails_leaves_nothing_behind(
    store: CheckpointStore, pool: "Pool"
) -> None:
    await store.claim(2, 1, "a")
    await store.commit(changes(1, 0, 5))
    bad = dataclasses.replace(a_finding(6), raw_score=7.0)
    with pytest.raises(Exception, match="raw_score"):
        await store.commit(dataclasses.replace(changes(1, 5, 6), findings=[bad]))
    held = await store.claim(2, 1, "a")
    assert (held.cursor, held.series[0].state) == (5, b"state 5")
    assert (await StatusStore(pool).status()).processed_samples == 50


async def test_cut_connection_is_unavailable(store: CheckpointStore, pool: "Pool") -> None:
    await store.claim(2, 1, "a")
    await pool.close()
    with pytest.raises(Unavailable):
        await store.commit(changes(1, 0, 5))


async def test_training_rows_are_replaced_and_read_in_the_order_of_shards(
    store: CheckpointStore, pool: "Pool"
) -> None:
    width = len(FEATURES)
    for shard in (4, 3):
        await store.claim(shard, 1, "a")
        for cursor, value in ((1, 50.0), (2, float(shard))):
            rows = np.full((2, width), value, dtype=np.float32)
            await store.commit(
                dataclasses.replace(changes(1, cursor - 1, cursor), shard=shard, training_rows=rows)
            )
    rows = await ModelStore(pool).training_rows()
    assert rows[:, 0].tolist() == [3.0, 3.0, 4.0, 4.0]
    assert rows.shape == (4, width)
    again = (await store.claim(3, 2, "b")).training_rows
    assert again is not None
    assert again.tolist() == np.full((2, width), 3.0).tolist()


async def test_anomalies_become_visible_in_the_order_of_their_cursors(
    store: CheckpointStore, pool: "Pool"
) -> None:
    """A commit that holds the log back holds back all that come after it."""
    anomalies = AnomalyStore(pool)
    for shard in (2, 3):
        await store.claim(shard, 1, "a")
    async with pool.acquire() as slow, slow.transaction():
        await slow.execute("SELECT pg_advisory_xact_lock($1)", 0x44455443)
        waiting = asyncio.create_task(store.commit(dataclasses.replace(changes(1, 0, 1), shard=3)))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        assert await anomalies.head() == 0
    await waiting
    assert await anomalies.head() == 1


async def test_status_adds_up_all_shards(store: CheckpointStore, pool: "Pool") -> None:
    for shard in (2, 3):
        await store.claim(shard, 1, f"holder {shard}")
        await store.commit(
            dataclasses.replace(
                changes(1, 0, 5), shard=shard, findings=[], series_count=4, warm_series_count=3
            )
        )
    status = await StatusStore(pool).status()
    assert (status.processed_samples, status.collected_samples) == (100, 10)
    assert (status.series_count, status.warm_series_count) == (8, 6)
    assert [(place.shard, place.holder, place.cursor) for place in status.shards] == [
        (2, "holder 2", 5), (3, "holder 3", 5)]  # fmt: skip
