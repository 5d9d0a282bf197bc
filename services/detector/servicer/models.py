"""Versions of the model: check, ask, encode."""

import uuid
from collections.abc import AsyncIterator
from typing import Final

import grpc

from mesh.clock import Clock
from mesh.drain import Drain
from mesh.errors import NotFound, Overloaded, Unavailable
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.convert import models as convert
from services.detector.model.model_life import ModelVersion, Training
from services.detector.query import pages
from services.detector.store import ListPlace, TrainingStore, VersionStore
from services.detector.training.evaluate import Evaluator

LOOK_EVERY_S: Final = 0.25
_LIST: Final = "models"

TrainContext = grpc.aio.ServicerContext[
    detector_pb.TrainModelRequest, detector_pb.TrainModelResponse
]
ListContext = grpc.aio.ServicerContext[
    detector_pb.ListModelVersionsRequest, detector_pb.ListModelVersionsResponse
]
GetContext = grpc.aio.ServicerContext[
    detector_pb.GetModelVersionRequest, detector_pb.GetModelVersionResponse
]
EvaluateContext = grpc.aio.ServicerContext[
    detector_pb.EvaluateModelRequest, detector_pb.EvaluateModelResponse
]
ActivateContext = grpc.aio.ServicerContext[
    detector_pb.ActivateModelVersionRequest, detector_pb.ActivateModelVersionResponse
]


class ModelMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """Asking for trainings and measurements, and choosing what scores."""

    _versions: VersionStore
    _trainings: TrainingStore
    _evaluator: Evaluator
    _clock: Clock
    _drain: Drain

    async def TrainModel(  # noqa: N802
        self, request: detector_pb.TrainModelRequest, context: "TrainContext"
    ) -> AsyncIterator[detector_pb.TrainModelResponse]:
        """Asks for a training and tells how far it is."""
        request_id = convert.request_id(request.request_id) or uuid.uuid4().hex
        await self._trainings.ask(request_id, "demand")
        if await self._trainings.find(request_id) is None:
            message = "too many trainings wait: follow one of them, or try again in a minute"
            raise Overloaded(message, reason="TRAININGS_WAITING", retry_after_s=60.0)
        async for training in self._steps(request_id):
            yield convert.training_message(training)

    async def ListModelVersions(  # noqa: N802
        self, request: detector_pb.ListModelVersionsRequest, context: "ListContext"
    ) -> detector_pb.ListModelVersionsResponse:
        """One page of versions, newest first."""
        size = pages.checked_size(request.page_size)
        before = pages.place_of(request.page_token, _LIST).cursor
        found = await self._versions.list(before, size + 1)
        more = len(found) > size
        token = pages.token_of(ListPlace(cursor=found[size - 1].version), _LIST) if more else ""
        models = [convert.version_message(each) for each in found[:size]]
        return detector_pb.ListModelVersionsResponse(models=models, next_page_token=token)

    async def GetModelVersion(  # noqa: N802
        self, request: detector_pb.GetModelVersionRequest, context: "GetContext"
    ) -> detector_pb.GetModelVersionResponse:
        """One version."""
        model = convert.version_message(await self._version(request.version))
        return detector_pb.GetModelVersionResponse(model=model)

    async def EvaluateModel(  # noqa: N802
        self, request: detector_pb.EvaluateModelRequest, context: "EvaluateContext"
    ) -> detector_pb.EvaluateModelResponse:
        """Measures a version beside the active one."""
        await self._version(request.version)
        active = await self._versions.active()
        rivals = [active.version] if active and active.version != request.version else []
        own, *others = await self._evaluator.evaluate_now([request.version, *rivals])
        return convert.comparison_message(own, others, is_active=active is not None and not rivals)

    async def ActivateModelVersion(  # noqa: N802
        self, request: detector_pb.ActivateModelVersionRequest, context: "ActivateContext"
    ) -> detector_pb.ActivateModelVersionResponse:
        """Makes a version that can be used the one that scores."""
        await self._version(request.version)
        await self._evaluator.usable_artifact(request.version)
        await self._versions.activate(request.version)
        model = convert.version_message(await self._version(request.version))
        return detector_pb.ActivateModelVersionResponse(model=model)

    async def _version(self, version: int) -> ModelVersion:
        model = await self._versions.find(version)
        if model is None:
            raise NotFound("model version", str(version))
        return model

    async def _steps(self, request_id: str) -> AsyncIterator[Training]:
        """Every change of a training until its last."""
        sent: Training | None = None
        while sent is None or not sent.stage.is_last:
            if self._drain.started:
                raise Unavailable("the service stops: follow the training elsewhere")
            training = await self._trainings.find(request_id)
            if training is not None and training != sent:
                sent = training
                yield training
            else:
                await self._clock.sleep(LOOK_EVERY_S)
