"""The first model: one detector of all trains it as soon as enough has been seen."""

import asyncio
import io
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from mesh.clock import Clock
from mesh.errors import Conflict, Unavailable
from services.detector import metrics
from services.detector.model import TrainedModel, WarmUp
from services.detector.store import ModelStore

LOOK_EVERY_S: Final = 1.0
AFTER_FAILURE_S: Final = 15.0
ROWS_MIN: Final = 64
TREES: Final = 100
SAMPLE: Final = 256

F32 = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


class TrainingError(Exception):
    """The training process gave no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the first model needs: so many scorable samples, and so much time for a usual day."""

    samples: int
    wait_s: float

    def met_by(self, seen: WarmUp) -> bool:
        """Whether training can begin."""
        return seen.collected_samples >= self.samples and seen.waited_s >= self.wait_s


class Trainer:
    """Trains when there is no active model. Runs in every detector; one at a time works."""

    def __init__(self, store: ModelStore, needs: Needs, clock: Clock) -> None:
        """Does nothing before `run`."""
        self._store = store
        self._needs = needs
        self._clock = clock

    async def run(self) -> None:
        """Looks for ever whether there is something to train."""
        while True:
            wait_s = LOOK_EVERY_S
            try:
                await self.train_if_needed()
            except (Unavailable, Conflict) as error:
                logger.info("training put off", extra={"cause": error.message})
            except TrainingError as error:
                metrics.TRAININGS_FAILED.inc()
                logger.error("training failed", extra={"cause": str(error)})
                wait_s = AFTER_FAILURE_S
            await self._clock.sleep(wait_s)

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
            return leads and await self._train(seen)

    async def _train(self, seen: WarmUp) -> bool:
        version = await self._store.latest_version() + 1
        rows = await self._store.training_rows()
        if await self._store.active_version() or len(rows) < ROWS_MIN:
            return False
        artifact = await grow_forest(rows, seed=version)
        await self._store.add_and_activate(trained(artifact, rows, seen, seed=version), version)
        logger.info("model trained", extra={"version": version, "rows": len(rows)})
        return True


def trained(artifact: bytes, rows: F32, seen: WarmUp, *, seed: int) -> TrainedModel:
    """What is stored of a training."""
    return TrainedModel(
        artifact=artifact,
        training_samples=len(rows),
        training_start=seen.start_time or datetime.fromtimestamp(0, UTC),
        training_end=seen.end_time or datetime.fromtimestamp(0, UTC),
        parameters={"trees": TREES, "sample": SAMPLE, "seed": seed},
    )


async def grow_forest(rows: F32, *, seed: int) -> bytes:
    """Trains in a process of its own, so that neither the loop nor the scoring waits for it.

    Raises:
        TrainingError: With what that process said last.
    """
    stdin = io.BytesIO()
    np.save(stdin, rows, allow_pickle=False)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.detector.grow", str(seed), str(TREES), str(SAMPLE)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        artifact, said = await process.communicate(stdin.getvalue())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise TrainingError(said.decode(errors="replace").strip()[-500:])
    return artifact
