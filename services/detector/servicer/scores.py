"""Scoring without storing: check, score, encode."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import replace

import grpc
import numpy as np

from mesh.errors import FailedPrecondition, NotFound
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.convert import scores as convert
from services.detector.detectors.engine import Engine, Forest, Scores, Settings
from services.detector.model.samples import Samples
from services.detector.store import VersionStore
from services.detector.training.evaluate import Evaluator

Context = grpc.aio.ServicerContext[detector_pb.ScoreRequest, detector_pb.ScoreResponse]


class ScoreMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """An engine per stream, that ends with it."""

    _versions: VersionStore
    _evaluator: Evaluator
    _threads: Executor
    _settings: Settings

    async def Score(  # noqa: N802
        self, request_iterator: AsyncIterator[detector_pb.ScoreRequest], context: "Context"
    ) -> AsyncIterator[detector_pb.ScoreResponse]:
        """Scores batch after batch."""
        terms = convert.opening(await anext(request_iterator, detector_pb.ScoreRequest()))
        version = await self._wanted(terms.model_version)
        engine = await self._engine(version, terms)
        opened = detector_pb.ScoreOpened(model_version=version)
        yield detector_pb.ScoreResponse(opened=opened)
        loop = asyncio.get_running_loop()
        async for frame in request_iterator:
            samples = convert.batch(frame)
            scores = await loop.run_in_executor(self._threads, _scored, engine, samples)
            yield convert.result(scores)

    async def _wanted(self, version: int) -> int:
        if version == 0:
            active = await self._versions.active()
            if active is None:
                message = "there is no model yet: wait for the first or name a version"
                raise FailedPrecondition(message, reason="NO_ACTIVE_MODEL")
            return active.version
        if await self._versions.find(version) is None:
            raise NotFound("model version", str(version))
        return version

    async def _engine(self, version: int, terms: detector_pb.ScoreOpen) -> Engine:
        forest = Forest.from_bytes(await self._evaluator.usable_artifact(version))
        budget = terms.alerts_per_week if terms.HasField("alerts_per_week") else None
        return Engine(forest=forest, settings=replace(self._settings, alerts_per_week=budget))


def _scored(engine: Engine, samples: Samples) -> Scores:
    missing = int(samples.series_ids.max(initial=-1)) + 1 - len(engine)
    if missing > 0:
        engine.add_series(missing)
    rows = samples.series_ids.astype(np.int32)
    return engine.process(rows, samples.timestamps_ms, samples.values)
