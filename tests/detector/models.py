"""Models, the rows that they are trained on, and who keeps them, as tests make them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from mesh.clock import SystemClock
from mesh.errors import SensusError
from services.detector.detectors.engine import FEATURES, train
from services.detector.detectors.evaluation import Track
from services.detector.model.checkpoints import Changes
from services.detector.model.models import TrainedModel
from services.detector.store import CheckpointStore, ModelStore, TrainingStore, VersionStore
from services.detector.training.evaluate import Evaluator
from services.detector.training.schedule import Keeper, Schedule
from services.detector.training.train import FirstModelNeeds, Trainer
from tests.detector.signals import forest

if TYPE_CHECKING:
    from mesh.postgres import Pool


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


class SetClock(SystemClock):
    """Tells the time it is given."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now_ms(self) -> int:
        return round(self.moment.timestamp() * 1000)


class Stored:
    """A history of these series, or one that cannot be had."""

    def __init__(self, *tracks: Track, error: SensusError | None = None) -> None:
        self._tracks = [*tracks]
        self._error = error

    async def tracks(self) -> list[Track]:
        if self._error is not None:
            raise self._error
        return self._tracks


def keeper_of(pool: "Pool", clock: SystemClock | None = None) -> Keeper:
    """One that trains after a hundred samples and knows no stored series."""
    clock = clock or SystemClock()
    models, versions = ModelStore(pool), VersionStore(pool)
    return Keeper(
        trainer=Trainer(models, FirstModelNeeds(samples=100, wait_s=0.0), clock),
        evaluator=Evaluator(models, versions, Stored(), clock),
        models=models,
        versions=versions,
        trainings=TrainingStore(pool),
        schedule=Schedule(),
        clock=clock,
    )


def worse_model() -> TrainedModel:
    """One that is trained on noise."""
    noise = np.random.default_rng(0).uniform(0, 9, (300, len(FEATURES))).astype(np.float32)
    return a_model(train(noise, seed=1).to_bytes())
