"""Grows models from what all shards have kept; the first as soon as enough has been seen."""

import asyncio
import io
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from mesh.clock import Clock
from services.detector.detectors.engine import FEATURES, Engine, Forest
from services.detector.detectors.evaluation import histogram
from services.detector.model.model_life import JudgedVectors
from services.detector.model.models import TrainedModel, WarmUp
from services.detector.store import ModelStore
from services.detector.training.evaluate import run_module

LOOK_EVERY_S: Final = 1.0
AFTER_FAILURE_S: Final = 15.0
TREES: Final = 100
SAMPLE: Final = 256
ROWS_WITH_SIMULATED: Final = 4096
FALSE_ALARM_SHARE: Final = 0.05
"""Part of the training rows that repeats alarms judged false, so that they look usual."""
LOUD: Final = 0.999

F32 = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


class TrainingError(Exception):
    """The training process gave no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstModelNeeds:
    """What the first model needs: so many scorable samples, and so much time for a usual day."""

    samples: int
    wait_s: float

    def met_by(self, seen: WarmUp) -> bool:
        """Whether training can begin."""
        return seen.collected_samples >= self.samples and seen.waited_s >= self.wait_s


class Trainer:
    """Makes versions. Whoever calls holds the lead, save for `train_if_needed`."""

    def __init__(self, store: ModelStore, needs: FirstModelNeeds, clock: Clock) -> None:
        """Does nothing before it is asked."""
        self._store = store
        self._needs = needs
        self._clock = clock

    async def train_if_needed(self) -> bool:
        """Trains and activates the first model if nobody else does; whether it did.

        Raises:
            TrainingError: The rows gave no model.
            Conflict: Another trainer was faster.
        """
        if await self._store.active_version():
            return False
        seen = await self._store.warm_up()
        if not self._needs.met_by(seen):
            return False
        async with self._store.lead() as leads:
            return leads and await self._train_first(seen)

    async def train_candidate(self, trigger: str) -> int:
        """Trains a version that scores in the shadow of the active one; its number.

        Raises:
            TrainingError: The rows gave no model.
            Conflict: Another trainer was faster.
        """
        version = await self._store.latest_version() + 1
        model = await self._grow(version, await self._store.warm_up(), trigger)
        await self._store.add_shadow(model, version)
        return version

    async def _train_first(self, seen: WarmUp) -> bool:
        version = await self._store.latest_version() + 1
        if await self._store.active_version():
            return False
        model = await self._grow(version, seen, "warm-up")
        await self._store.add_and_activate(model, version)
        logger.info("model trained", extra={"version": version, "rows": model.training_samples})
        return True

    async def _grow(self, version: int, seen: WarmUp, trigger: str) -> TrainedModel:
        judged = await self._store.judged()
        stored = await self._store.training_rows()
        rows, repeated = await asyncio.to_thread(taught, stored, judged)
        simulated = simulated_rows_for(len(rows))
        artifact = await grow_forest(rows, seed=version, simulated=simulated)
        parameters = {"trees": TREES, "sample": SAMPLE, "seed": version}
        extra = {"simulated_rows": simulated, "false_alarm_rows": repeated}
        strange = await asyncio.to_thread(_strangeness, artifact, rows)
        return TrainedModel(
            artifact=artifact,
            training_samples=len(rows) + simulated,
            training_start=seen.start_time or datetime.fromtimestamp(0, UTC),
            training_end=seen.end_time or datetime.fromtimestamp(0, UTC),
            parameters=parameters | {name: count for name, count in extra.items() if count},
            trigger=trigger,
            score_histogram=histogram(strange).tolist() if len(strange) else (),
            loud=float(np.quantile(strange, LOUD)) if len(strange) else float("inf"),
        )


def simulated_rows_for(count: int) -> int:
    """How many made-up rows a training needs beside `count` seen ones.

    Perfectly regular series give no rows: nothing about them is ever new.
    """
    return ROWS_WITH_SIMULATED - count if count < SAMPLE else 0


def taught(rows: F32, judged: JudgedVectors) -> tuple[F32, int]:
    """The rows without alarms judged true, and with those judged false repeated; how many were.

    What is frequent in training is hard to isolate, so it scores lower. Alarms are known to three
    digits.
    """
    if len(judged.true_alarms) and len(rows):
        alarms = {row.tobytes() for row in judged.true_alarms.astype(np.float16)}
        rows = rows[[row.tobytes() not in alarms for row in rows.astype(np.float16)]]
    if not len(judged.false_alarms):
        return rows, 0
    wanted = max(len(judged.false_alarms), int(FALSE_ALARM_SHARE * len(rows)))
    repeated = np.resize(judged.false_alarms, (wanted, len(FEATURES)))
    return np.concatenate([rows, repeated]), wanted


async def grow_forest(rows: F32, *, seed: int, simulated: int = 0) -> bytes:
    """Trains in a process of its own, so that neither the loop nor the scoring waits for it.

    Raises:
        TrainingError: With what that process said last.
    """
    packed = await asyncio.to_thread(_packed, rows)
    arguments = [str(each) for each in (seed, TREES, SAMPLE, simulated, *FEATURES)]
    code, artifact, said = await run_module("services.detector.training.grow", arguments, packed)
    if code != 0:
        raise TrainingError(said)
    return artifact


def _packed(rows: F32) -> bytes:
    data = io.BytesIO()
    np.save(data, rows, allow_pickle=False)
    return data.getvalue()


def _strangeness(artifact: bytes, rows: F32) -> npt.NDArray[np.float64]:
    return Engine(forest=Forest.from_bytes(artifact, names=FEATURES)).strangeness(rows)
