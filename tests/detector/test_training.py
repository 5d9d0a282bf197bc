"""The first model: trained once, by one, from what all have seen; refused when damaged."""

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mesh.clock import SystemClock
from mesh.errors import Conflict
from services.detector import metrics
from services.detector.detectors.engine import FEATURES, Forest
from services.detector.feeds.forests import ForestFeed
from services.detector.model.checkpoints import Changes
from services.detector.model.models import TrainedModel
from services.detector.store import CheckpointStore, ModelStore
from services.detector.training.train import FirstModelNeeds, Trainer, TrainingError, grow_forest
from tests.detector.signals import forest

if TYPE_CHECKING:
    from mesh.postgres import Pool

NEEDS = FirstModelNeeds(samples=100, wait_s=0.0)


def rows(count: int = 300) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return np.random.default_rng(3).normal(size=(count, len(FEATURES))).astype(np.float32)


def a_model(artifact: bytes | None = None) -> TrainedModel:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    return TrainedModel(
        artifact=forest().to_bytes() if artifact is None else artifact,
        training_samples=5, training_start=moment, training_end=moment, parameters={},
    )  # fmt: skip


async def collect(pool: "Pool", shard: int, samples: int, count: int = 300) -> None:
    """A shard that has seen so many scorable samples."""
    store = CheckpointStore(pool)
    await store.claim(shard, 1, "a")
    await store.commit(
        Changes(
            shard=shard, epoch=1, from_cursor=0, to_cursor=1, processed_samples=samples,
            collected_samples=samples, series_count=0, warm_series_count=0, new_series=[],
            row_numbers=[], states=[], warm=[], findings=[], training_rows=rows(count),
        )
    )  # fmt: skip


async def test_nothing_is_trained_before_enough_was_seen(pool: "Pool") -> None:
    store = ModelStore(pool)
    trainer = Trainer(store, NEEDS, SystemClock())
    assert not await trainer.train_if_needed()
    await collect(pool, 1, 60)
    assert not await trainer.train_if_needed()
    assert await store.latest_version() == 0


async def test_nothing_is_trained_before_enough_time_has_passed(pool: "Pool") -> None:
    await collect(pool, 1, 100)
    patient = Trainer(ModelStore(pool), dataclasses.replace(NEEDS, wait_s=3600.0), SystemClock())
    assert not await patient.train_if_needed()


async def test_first_model_is_trained_from_the_rows_of_all_shards(pool: "Pool") -> None:
    await collect(pool, 1, 60)
    await collect(pool, 2, 40)
    store = ModelStore(pool)
    assert await Trainer(store, NEEDS, SystemClock()).train_if_needed()
    assert await store.active_version() == 1
    stored = await pool.fetchrow("SELECT * FROM detector.model")
    assert stored is not None
    assert stored["training_samples"] == 600
    assert stored["parameters"] == {"trees": 100, "sample": 256, "seed": 1}
    assert (await store.load(1)).forest.names == FEATURES


async def test_of_many_trainers_one_trains(pool: "Pool") -> None:
    await collect(pool, 1, 100)
    trainers = [Trainer(ModelStore(pool), NEEDS, SystemClock()) for _ in range(3)]
    did = await asyncio.gather(*(trainer.train_if_needed() for trainer in trainers))
    assert sorted(did) == [False, False, True]
    assert not await trainers[0].train_if_needed()
    assert await ModelStore(pool).latest_version() == 1


async def test_leader_that_was_overtaken_cannot_store_its_model(pool: "Pool") -> None:
    store = ModelStore(pool)
    await store.add_and_activate(a_model(), 1)
    with pytest.raises(Conflict, match="model version 1 exists"):
        await store.add_and_activate(a_model(), 1)
    assert await store.active_version() == 1


async def test_new_version_takes_the_place_of_the_active_one(pool: "Pool") -> None:
    store = ModelStore(pool)
    feed = ForestFeed(store)
    await feed.refresh()
    assert feed.model() is None
    for version in (1, 2):
        await store.add_and_activate(a_model(), version)
        await feed.refresh()
        model = feed.model()
        assert model is not None
        assert model.version == version


@pytest.mark.parametrize("artifact", [b"", b"SNSFRST1 broken", b"x" * 1000])
async def test_damaged_model_is_refused_and_the_one_before_scores_on(
    pool: "Pool", artifact: bytes
) -> None:
    store = ModelStore(pool)
    feed = ForestFeed(store)
    await store.add_and_activate(a_model(), 1)
    await feed.refresh()
    await store.add_and_activate(a_model(artifact), 2)
    before = metrics.MODELS_REFUSED._value.get()
    await feed.refresh()
    await feed.refresh()
    model = feed.model()
    assert model is not None
    assert model.version == 1
    assert metrics.MODELS_REFUSED._value.get() == before + 1


async def test_model_whose_bytes_changed_in_the_store_is_refused(pool: "Pool") -> None:
    store = ModelStore(pool)
    await store.add_and_activate(a_model(), 1)
    await pool.execute("UPDATE detector.model SET artifact = artifact || '\\x00'::bytea")
    with pytest.raises(ValueError, match="does not match its hash"):
        await store.load(1)


async def test_model_of_other_features_is_not_active_here(pool: "Pool") -> None:
    store = ModelStore(pool)
    await store.add_and_activate(a_model(), 1)
    await pool.execute("UPDATE detector.model SET feature_names = '{other}'")
    assert await store.active_version() == 0
    assert await store.latest_version() == 1


async def test_training_process_gives_the_same_forest_for_the_same_rows_and_seed() -> None:
    first, second = await grow_forest(rows(), seed=4), await grow_forest(rows(), seed=4)
    made = [Forest.from_bytes(each, names=FEATURES).score(rows()) for each in (first, second)]
    assert np.array_equal(made[0], made[1])


async def test_training_that_fails_says_why() -> None:
    bad = rows()
    bad[0, 0] = np.nan
    with pytest.raises(TrainingError, match="training rows must be finite"):
        await grow_forest(bad, seed=1)
