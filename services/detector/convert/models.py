"""Versions of the model and trainings, to the wire."""

from collections.abc import Sequence
from typing import Final

from mesh.errors import InvalidInput, Violation
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.convert.anomalies import from_ms, timestamp_of
from services.detector.model.model_life import Evaluation, ModelVersion, Training

REQUEST_ID_CHARS_MAX: Final = 128


def request_id(text: str) -> str:
    """The id as given, empty when the caller said none.

    Raises:
        InvalidInput: INVALID_REQUEST_ID.
    """
    if len(text) > REQUEST_ID_CHARS_MAX or "\x00" in text:
        message = f"request_id must have 1 to {REQUEST_ID_CHARS_MAX} characters, none of them 0"
        violations = [Violation("request_id", message)]
        raise InvalidInput(message, reason="INVALID_REQUEST_ID", violations=violations)
    return text


def training_message(training: Training) -> detector_pb.TrainModelResponse:
    """One step of a training."""
    return detector_pb.TrainModelResponse(
        request_id=training.request_id,
        stage=detector_pb.TrainingStage.ValueType(training.stage),
        progress=training.progress,
        message=training.message,
        version=training.version,
    )


def version_message(model: ModelVersion) -> detector_pb.ModelVersion:
    """The version as the contract has it."""
    message = detector_pb.ModelVersion(
        version=model.version,
        state=_state(model),
        create_time=timestamp_of(model.created_at),
        trigger=model.trigger,
        training_samples=model.training_samples,
        training_start_time=timestamp_of(model.training_start),
        training_end_time=timestamp_of(model.training_end),
        parameters={name: float(value) for name, value in model.parameters.items()},
        features=model.feature_names,
        artifact_sha256=model.artifact_sha256.hex(),
        live=_live(model),
    )
    if model.activated_at is not None:
        message.activate_time.CopyFrom(timestamp_of(model.activated_at))
    if model.evaluation is not None:
        message.evaluation.CopyFrom(evaluation_message(model.evaluation))
    return message


def evaluation_message(evaluation: Evaluation) -> detector_pb.ModelEvaluation:
    """The figures as the contract has them."""
    return detector_pb.ModelEvaluation(
        evaluate_time=from_ms(evaluation.evaluated_ms),
        score=evaluation.score,
        injected_precision=evaluation.injected_precision,
        injected_anomalies=evaluation.injected_anomalies,
        injected_heard=evaluation.injected_heard,
        summary=evaluation.summary,
        stored_series=evaluation.stored_series,
        feedback_separation=evaluation.feedback_separation,
        true_alarms=evaluation.true_alarms,
        false_alarms=evaluation.false_alarms,
    )


def comparison_message(
    own: Evaluation, others: Sequence[Evaluation], *, is_active: bool
) -> detector_pb.EvaluateModelResponse:
    """A version beside the active one, which may be itself."""
    message = detector_pb.EvaluateModelResponse(evaluation=evaluation_message(own))
    for other in [own] if is_active else others:
        message.active_evaluation.CopyFrom(evaluation_message(other))
        message.better = own.is_better_than(other)
    return message


def _state(model: ModelVersion) -> detector_pb.ModelState.ValueType:
    if model.active:
        return detector_pb.MODEL_STATE_ACTIVE
    return detector_pb.MODEL_STATE_SHADOW if model.shadow else detector_pb.MODEL_STATE_RETIRED


def _live(model: ModelVersion) -> detector_pb.LiveFigures | None:
    if model.live is None:
        return None
    return detector_pb.LiveFigures(
        samples=model.live.samples,
        loud=model.live.loud,
        loud_with_active=model.live.loud_with_active,
        drift=model.drift,
    )
