"""The life of models: trained by the clock, on drift and on demand, measured, activated.

The clock needs no scheduler: what is due has a name (`daily-2026-11-20`), and asking for the same
name twice asks once, whichever detectors run. One of them, the leader, does the work.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.clock import Clock
from mesh.errors import Conflict, FailedPrecondition, SensusError, Unavailable
from services.detector import metrics
from services.detector.model.model_life import ModelVersion, Stage, Training
from services.detector.store import ModelStore
from services.detector.store.trainings import TrainingStore
from services.detector.store.versions import VersionStore
from services.detector.training.evaluate import Evaluator, MeasuringError
from services.detector.training.train import (
    AFTER_FAILURE_S,
    LOOK_EVERY_S,
    Trainer,
    TrainingError,
)

DRIFT: Final = 0.25
NEWEST: Final = 2**63 - 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When models are made and measured.

    Attributes:
        hour, minute: Time of the daily training, UTC.
        evaluate_every_s: Between two measurements of the active version.
        look_every_s: Between two looks at what is due.
    """

    hour: int = 2
    minute: int = 0
    evaluate_every_s: float = 21_600.0
    look_every_s: float = 60.0

    def last_daily(self, now_ms: int) -> datetime:
        """The newest daily training that is due."""
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        slot = now.replace(hour=self.hour, minute=self.minute, second=0, microsecond=0)
        return slot if slot <= now else slot - timedelta(days=1)


class Keeper:
    """Runs in every detector; one at a time works."""

    def __init__(
        self,
        *,
        trainer: Trainer,
        evaluator: Evaluator,
        models: ModelStore,
        versions: VersionStore,
        trainings: TrainingStore,
        schedule: Schedule,
        clock: Clock,
    ) -> None:
        """Does nothing before `run`."""
        self._trainer = trainer
        self._evaluator = evaluator
        self._models = models
        self._versions = versions
        self._trainings = trainings
        self._schedule = schedule
        self._clock = clock
        self._looked_s = float("-inf")

    async def run(self) -> None:
        """Looks for ever whether there is something to do."""
        while True:
            await self._clock.sleep(await self._wait_s(self._step))

    async def ask_for_what_is_due(self) -> None:
        """Asks for the daily training, and for one when the active has drifted or is damaged."""
        active = await self._versions.active()
        if active is None:
            return
        due = self._schedule.last_daily(self._clock.now_ms())
        newest = (await self._versions.list(NEWEST, 1))[0]
        if newest.created_at < due:
            await self._trainings.ask(f"daily-{due:%Y-%m-%d}", "daily")
        if not await self._evaluator.is_usable(active.version):
            await self._trainings.ask(f"unusable-{active.version}-{due:%Y-%m-%d}", "unusable")
        drift = active.drift
        metrics.MODEL_DRIFT.set(drift or 0.0)
        if drift is not None and drift > DRIFT:
            await self._trainings.ask(f"drift-{active.version}", "drift")

    async def work(self) -> bool:
        """Does the oldest training that was asked for, if nobody else does; whether it did."""
        if await self._trainings.next() is None:
            return False
        async with self._models.lead() as leads:
            training = await self._trainings.next() if leads else None
            if training is not None:
                await self._train(training)
            return training is not None

    async def evaluate_if_due(self) -> bool:
        """Measures the active version and its shadow; the better one scores from then on."""
        active = await self._versions.active()
        if active is None or not self._is_evaluation_due(active):
            return False
        async with self._models.lead() as leads:
            if leads:
                await self._compare(active.version, await self._models.shadow_version())
            return leads

    async def _step(self) -> None:
        await self._trainer.train_if_needed()
        if self._clock.monotonic_s() - self._looked_s >= self._schedule.look_every_s:
            self._looked_s = self._clock.monotonic_s()
            await self.ask_for_what_is_due()
            await self.evaluate_if_due()
        await self.work()

    async def _wait_s(self, step: Callable[[], Awaitable[None]]) -> float:
        try:
            await step()
        except (Unavailable, Conflict) as error:
            logger.info("training put off", extra={"cause": error.message})
        except (TrainingError, MeasuringError, FailedPrecondition) as error:
            metrics.TRAININGS_FAILED.inc()
            logger.error("training failed", extra={"cause": str(error)})
            return AFTER_FAILURE_S
        except Exception:
            metrics.TRAININGS_FAILED.inc()
            logger.exception("training failed")
            return AFTER_FAILURE_S
        return LOOK_EVERY_S

    async def _train(self, training: Training) -> None:
        name = training.request_id
        try:
            await self._trainings.tell(name, Stage.TRAINING, 0.1, "the forest grows")
            version = await self._trainer.train_candidate(training.trigger)
            await self._trainings.tell(name, Stage.EVALUATING, 0.6, "it is measured", version)
            message = await self._choose(version)
        except (TrainingError, MeasuringError, FailedPrecondition) as error:
            await self._trainings.tell(name, Stage.FAILED, 1.0, str(error))
            raise
        await self._trainings.tell(name, Stage.DONE, 1.0, message, version)
        metrics.TRAININGS.labels(training.trigger).inc()
        note = {"version": version, "trigger": training.trigger, "outcome": message}
        logger.info("model trained", extra=note)

    async def _choose(self, version: int) -> str:
        active = await self._models.active_version()
        if not active:
            await self._evaluator.evaluate([version])
            await self._versions.activate(version)
            return "activated: it is the first"
        return await self._compare(active, version)

    async def _compare(self, active: int, candidate: int) -> str:
        versions = [active, candidate] if candidate else [active]
        try:
            first, *others = await self._evaluator.evaluate(versions)
        except SensusError as error:
            if not candidate:
                raise
            if not await self._evaluator.is_usable(active):
                await self._versions.activate(candidate)
                return f"activated: version {active} cannot be used"
            return f"stays in the shadow: {error.message}"
        for other in others:
            figures = f"score {other.score:.4f}, version {active} has {first.score:.4f}"
            if not other.is_better_than(first):
                return f"stays in the shadow: {figures}"
            await self._versions.activate(candidate)
            return f"activated: {figures}"
        return "measured"

    def _is_evaluation_due(self, active: ModelVersion) -> bool:
        if active.evaluation is None:
            return True
        age_ms = self._clock.now_ms() - active.evaluation.evaluated_ms
        return age_ms >= self._schedule.evaluate_every_s * 1000
