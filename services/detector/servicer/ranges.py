"""Where stored series were expected: ask, replay, encode."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Final

import grpc

from mesh.clock import Clock
from mesh.errors import NotFound
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.clients.ingest import IngestClient
from services.detector.convert import ranges as convert
from services.detector.detectors.engine import Settings
from services.detector.detectors.ranges import expected_ranges
from services.detector.model.metric_types import MetricTypes
from services.detector.model.models import ActiveModel
from services.detector.model.rules import Rule
from services.detector.model.samples import Labels
from services.detector.shards.declared_kinds import DeclaredKinds
from services.detector.store import StatusStore

LEARNT_MS: Final = 7 * 86_400_000
SAMPLES_MAX: Final = 200_000

Context = grpc.aio.ServicerContext[
    detector_pb.GetExpectedRangeRequest, detector_pb.GetExpectedRangeResponse
]


class RangeMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """An engine per question."""

    _status: StatusStore
    _history: IngestClient
    _model: Callable[[], ActiveModel | None]
    _rules_in_force: Callable[[], Sequence[Rule]]
    _types: Callable[[], MetricTypes]
    _clock: Clock
    _threads: Executor
    _settings: Settings

    async def GetExpectedRange(  # noqa: N802
        self, request: detector_pb.GetExpectedRangeRequest, context: "Context"
    ) -> detector_pb.GetExpectedRangeResponse:
        """Replays the series."""
        wanted = convert.asked(request, self._clock.now_ms())
        labels = await self._status.labels_of(wanted.series_id)
        if labels is None:
            raise NotFound("series", str(wanted.series_id))
        first_ms = max(wanted.start_ms - LEARNT_MS, 0)
        track = await self._history.track_of(
            wanted.series_id, labels, first_ms, wanted.end_ms, SAMPLES_MAX
        )
        model = self._model()
        replayed = partial(
            expected_ranges,
            *track,
            start_ms=wanted.start_ms,
            end_ms=wanted.end_ms,
            points=wanted.points,
            forest=model.forest if model else None,
            settings=replace(self._settings, alerts_per_week=None),
            declared=self._declared(labels),
        )
        loop = asyncio.get_running_loop()
        return convert.ranges_message(await loop.run_in_executor(self._threads, replayed))

    def _declared(self, labels: Labels) -> int:
        """What the engine is to take the series for."""
        kinds = DeclaredKinds()
        kinds.use(self._rules_in_force(), self._types())
        declared, _ = kinds.of([labels])
        return int(declared[0])
