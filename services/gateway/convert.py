"""Between what came over HTTP and the messages of the services."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.explainer.v1 import explainer_service_pb2
from sensus.ingest.v1 import ingest_service_pb2
from services.gateway.model import AlertChange, Intake, Refusal, SentSample

_INGEST: Final = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"].methods_by_name
_EXPLAINER: Final = explainer_service_pb2.DESCRIPTOR.services_by_name[
    "ExplainerService"
].methods_by_name

WRITE_ALERTS: Final[MethodDescriptor] = _INGEST["WriteAlerts"]
WRITE_BATCH: Final[MethodDescriptor] = _INGEST["WriteBatch"]
LIST_EXPLANATIONS: Final[MethodDescriptor] = _EXPLAINER["ListExplanations"]
GET_EXPLANATION: Final[MethodDescriptor] = _EXPLAINER["GetExplanation"]

_REASON_PREFIX: Final = "SAMPLE_ERROR_REASON_"


def alerts_to_proto(changes: Iterable[AlertChange]) -> ingest_service_pb2.WriteAlertsRequest:
    """A request with these changes."""
    return ingest_service_pb2.WriteAlertsRequest(alerts=map(_alert, changes))


def alerts_from_proto(answer: Message, places: Sequence[int], count: int) -> Intake:
    """What became of alerts that stood at `places` of a request of `count`."""
    assert isinstance(answer, ingest_service_pb2.WriteAlertsResponse)  # noqa: S101
    ids = [""] * count
    for place, alert_id in zip(places, answer.alert_ids, strict=False):
        ids[place] = alert_id
    return Intake(
        accepted=answer.accepted,
        duplicates=answer.duplicates,
        refusals=tuple(
            Refusal(index=places[error.index], reason=error.reason, message=error.message)
            for error in answer.errors
        ),
        ids=tuple(ids),
    )


def samples_to_proto(
    producer_id: str, sequence: int, samples: Sequence[SentSample], traceparent: str
) -> ingest_service_pb2.WriteBatchRequest:
    """One batch, each series defined once."""
    request = ingest_service_pb2.WriteBatchRequest(producer_id=producer_id)
    request.batch.sequence = sequence
    request.batch.traceparent = traceparent
    ref_by_labels: dict[tuple[tuple[str, str], ...], int] = {}
    packed = request.batch.packed
    for sample in samples:
        key = tuple(sorted(sample.labels.items()))
        ref = ref_by_labels.setdefault(key, len(ref_by_labels))
        packed.series_refs.append(ref)
        packed.timestamps_ms.append(sample.timestamp_ms)
        packed.values.append(sample.value)
    for key, ref in ref_by_labels.items():
        request.series.add(ref=ref, labels=_labels(dict(key)))
    return request


def samples_from_proto(answer: Message, places: Sequence[int]) -> Intake:
    """What became of samples that stood at `places` of a request."""
    assert isinstance(answer, ingest_service_pb2.WriteBatchResponse)  # noqa: S101
    ack = answer.ack
    refusals = tuple(
        Refusal(
            index=places[error.index],
            reason=_reason(error.reason),
            message=error.message,
            retryable=error.retryable,
        )
        for error in ack.errors
    )
    stored = (0, ack.accepted) if ack.duplicate else (ack.accepted, 0)
    return Intake(accepted=stored[0], duplicates=stored[1], refusals=refusals)


def newest_done(page_size: int) -> explainer_service_pb2.ListExplanationsRequest:
    """Asks for the newest finished explanations."""
    return explainer_service_pb2.ListExplanationsRequest(
        state=explainer_service_pb2.EXPLANATION_STATE_DONE, page_size=page_size
    )


def explanation_ids(answer: Message) -> list[str]:
    """The explanations of a page, newest first."""
    assert isinstance(answer, explainer_service_pb2.ListExplanationsResponse)  # noqa: S101
    return [explanation.explanation_id for explanation in answer.explanations]


def explanation_request(explanation_id: str) -> explainer_service_pb2.GetExplanationRequest:
    """Asks for one explanation with its evidence."""
    return explainer_service_pb2.GetExplanationRequest(explanation_id=explanation_id)


def explanation_to_json(answer: Message) -> dict[str, Any]:
    """The explanation of a GetExplanationResponse."""
    assert isinstance(answer, explainer_service_pb2.GetExplanationResponse)  # noqa: S101
    return json_format.MessageToDict(answer.explanation, always_print_fields_with_no_presence=True)


def _alert(change: AlertChange) -> alert_pb2.Alert:
    alert = alert_pb2.Alert(
        labels=_labels(change.labels),
        annotations=_labels({key: text for key, text in change.annotations.items() if text}),
        state=(
            alert_pb2.ALERT_STATE_FIRING if change.is_firing else alert_pb2.ALERT_STATE_RESOLVED
        ),
        generator_url=change.generator_url,
    )
    alert.start_time.FromMilliseconds(change.start_ms)
    if change.end_ms is not None:
        alert.end_time.FromMilliseconds(change.end_ms)
    return alert


def _labels(labels: Mapping[str, str]) -> list[series_pb2.Label]:
    return [series_pb2.Label(name=name, value=value) for name, value in labels.items()]


def _reason(reason: int) -> str:
    value = ingest_service_pb2.SampleErrorReason.DESCRIPTOR.values_by_number.get(reason)
    return value.name.removeprefix(_REASON_PREFIX) if value else "UNSPECIFIED"
