"""Measures versions of the model, in a process of its own."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

import numpy as np

from mesh.clock import Clock
from mesh.errors import FailedPrecondition, Overloaded, SensusError
from services.detector.detectors import evaluation as maths
from services.detector.model.model_life import Evaluation, JudgedVectors
from services.detector.store import ModelStore
from services.detector.store.versions import VersionStore

INJECTED: Final = maths.SERIES * maths.PER_SERIES
_NICENESS: Final = 10

logger = logging.getLogger(__name__)


class MeasuringError(Exception):
    """The measuring process gave no figures."""


class History(Protocol):
    """Where stored series come from."""

    async def tracks(self) -> list[maths.Track]:
        """At most `evaluation.SERIES` of them, each long enough to inject anomalies into.

        Raises:
            SensusError: They cannot be had now.
        """


class Evaluator:
    """One measurement at a time."""

    def __init__(
        self, models: ModelStore, versions: VersionStore, history: History, clock: Clock
    ) -> None:
        """Measures nothing before it is asked."""
        self._models = models
        self._versions = versions
        self._history = history
        self._clock = clock
        self._busy = asyncio.Lock()

    async def evaluate_now(self, versions: Sequence[int]) -> list[Evaluation]:
        """As `evaluate`, for callers who can try again.

        Raises:
            Overloaded: EVALUATION_RUNNING.
            FailedPrecondition: MODEL_UNUSABLE.
        """
        if self._busy.locked():
            message = "a measurement is running: try again in some seconds"
            raise Overloaded(message, reason="EVALUATION_RUNNING", retry_after_s=5.0)
        return await self.evaluate(versions)

    async def evaluate(self, versions: Sequence[int]) -> list[Evaluation]:
        """Measures these versions on the same material and stores what came out.

        Raises:
            FailedPrecondition: MODEL_UNUSABLE, an artifact is damaged or of other features.
            MeasuringError: With what the process said last.
        """
        async with self._busy:
            artifacts = [await self.usable_artifact(version) for version in versions]
            judged, tracks = await self._versions.judged(), await self._tracks()
            figures = await measure(artifacts, judged, tracks)
            stored = {"stored_series": len(tracks)}
            measured = [self._evaluation(each | stored, judged) for each in figures]
            for version, evaluation in zip(versions, measured, strict=True):
                await self._versions.put_evaluation(version, evaluation)
        return measured

    async def is_usable(self, version: int) -> bool:
        """Whether this build can score with a version."""
        try:
            await self.usable_artifact(version)
        except FailedPrecondition:
            return False
        return True

    async def usable_artifact(self, version: int) -> bytes:
        """The artifact of a version that this build can score with.

        Raises:
            FailedPrecondition: MODEL_UNUSABLE.
        """
        try:
            return (await self._models.load(version)).forest.to_bytes()
        except ValueError as error:
            message = f"model version {version} cannot be used: {error}"
            raise FailedPrecondition(message, reason="MODEL_UNUSABLE") from error

    async def _tracks(self) -> list[maths.Track]:
        """Stored series; none while ingest is away: a comparison is fair without them, too."""
        try:
            return await self._history.tracks()
        except SensusError as error:
            logger.warning("measured on made-up series alone", extra={"cause": error.message})
            return []

    def _evaluation(self, figures: dict[str, Any], judged: JudgedVectors) -> Evaluation:
        return Evaluation(
            evaluated_ms=self._clock.now_ms(),
            injected_anomalies=INJECTED,
            true_alarms=len(judged.true_alarms),
            false_alarms=len(judged.false_alarms),
            **figures,
        )


async def measure(
    artifacts: Sequence[bytes], judged: JudgedVectors, tracks: Sequence[maths.Track]
) -> list[dict[str, Any]]:
    """Figures of each forest; see `measure.py`.

    Raises:
        MeasuringError: With what the process said last.
    """
    packed = await asyncio.to_thread(_packed, artifacts, judged, tracks)
    code, figures, said = await run_module("services.detector.training.measure", [], packed)
    if code != 0:
        raise MeasuringError(said)
    return list(json.loads(figures))


def _packed(
    artifacts: Sequence[bytes], judged: JudgedVectors, tracks: Sequence[maths.Track]
) -> bytes:
    data = io.BytesIO()
    forests = {f"forest_{n}": np.frombuffer(each, np.uint8) for n, each in enumerate(artifacts)}
    times = {f"times_{n}": track.timestamps_ms for n, track in enumerate(tracks)}
    values = {f"values_{n}": track.values for n, track in enumerate(tracks)}
    np.savez(
        data,
        allow_pickle=False,
        forests=np.int64(len(artifacts)),
        tracks=np.int64(len(tracks)),
        true_alarms=judged.true_alarms,
        false_alarms=judged.false_alarms,
        **forests,
        **times,
        **values,
    )
    return data.getvalue()


async def run_module(
    module: str, arguments: Sequence[str], stdin: bytes
) -> tuple[int | None, bytes, str]:
    """Runs `python -m module`: exit code, stdout, and the end of stderr.

    It gives way to the services beside it, for it may take all of a core for minutes.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    with suppress(ProcessLookupError):
        if os.getpriority(os.PRIO_PROCESS, process.pid) < _NICENESS:
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    try:
        out, said = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out, said.decode(errors="replace").strip()[-500:]
