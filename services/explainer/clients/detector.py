"""Asks the detector for anomalies."""

import asyncio
import math
from collections.abc import Iterator
from typing import Final

import grpc

from mesh.errors import InvalidInput, NotFound, translated
from sensus.detector.v1 import detector_service_pb2 as pb
from sensus.detector.v1 import detector_service_pb2_grpc as pb_grpc
from services.explainer.clients.ingest import SEVERITY, labels_of, stamp
from services.explainer.model.case import Symptom
from services.explainer.model.evidence import Figure
from services.explainer.model.names import series_name, unit_of_name
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef

ANOMALY_LEAD_MS: Final = 2 * 60_000
"""The detector sees a change within a few samples: the cause is hardly older."""

_RULE: Final = "rule:"
_HOLD: Final = "hold_seconds"
_WHAT: Final = {
    pb.ANOMALY_KIND_VALUE: "left what it usually does",
    pb.ANOMALY_KIND_ABSENCE: "stopped sending",
    pb.ANOMALY_KIND_THRESHOLD: "crossed its threshold",
}


class DetectorClient:
    """Reads from the detector. Failures are raised as the errors the server meant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Uses `channel` for every call."""
        self._stub: pb_grpc.DetectorServiceAsyncStub = pb_grpc.DetectorServiceStub(channel)

    async def anomaly(self, anomaly_id: str) -> SubjectFacts:
        """One anomaly.

        Raises:
            NotFound: There is none of that id, or it cannot be the id of one.
        """
        try:
            with translated():
                answer = await self._stub.GetAnomaly(pb.GetAnomalyRequest(anomaly_id=anomaly_id))
        except (InvalidInput, NotFound) as error:
            raise NotFound("anomaly", anomaly_id) from error
        return anomaly_facts(answer.anomaly)

    async def anomalies(self, start_ms: int, end_ms: int, limit: int) -> list[SubjectFacts]:
        """Anomalies of that time, newest first."""
        request = pb.ListAnomaliesRequest(
            start_time=stamp(start_ms), end_time=stamp(end_ms), page_size=limit
        )
        with translated():
            answer = await self._stub.ListAnomalies(request)
        return await asyncio.to_thread(lambda: [anomaly_facts(each) for each in answer.anomalies])


def anomaly_facts(anomaly: pb.Anomaly) -> SubjectFacts:
    """What an anomaly tells of itself."""
    labels = labels_of(anomaly.labels)
    absent = anomaly.kind == pb.ANOMALY_KIND_ABSENCE
    return SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ANOMALY, id=anomaly.anomaly_id),
        state="",
        title=f"{series_name(labels)} {_WHAT.get(anomaly.kind, 'is abnormal')}",
        severity=SEVERITY.get(anomaly.severity, "info"),
        labels=labels,
        metric=labels.get("__name__", ""),
        symptom=Symptom.ABSENCE if absent else Symptom.UNKNOWN,
        event_ms=anomaly.event_time.ToMilliseconds(),
        lead_ms=ANOMALY_LEAD_MS,
        figures=_figures(anomaly),
        is_breach=anomaly.kind == pb.ANOMALY_KIND_THRESHOLD,
        rule_name=_rule_of(anomaly),
        traceparent=anomaly.traceparent,
    )


def _figures(anomaly: pb.Anomaly) -> tuple[Figure, ...]:
    if anomaly.kind == pb.ANOMALY_KIND_ABSENCE:
        return tuple(_silence(anomaly))
    unit = unit_of_name(labels_of(anomaly.labels).get("__name__", ""))
    bounds = [("low", anomaly.expected.low), ("high", anomaly.expected.high)]
    known = [(side, bound) for side, bound in bounds if math.isfinite(bound)]
    figures = [Figure(name="value", value=anomaly.value, unit=unit)]
    if anomaly.kind == pb.ANOMALY_KIND_THRESHOLD:
        figures += [Figure(name="threshold", value=bound, unit=unit) for _, bound in known[:1]]
        figures += [
            Figure(name="held", value=each.value, unit="s")
            for each in anomaly.contributions
            if each.feature == _HOLD
        ]
    else:
        figures += [
            Figure(name="raw_score", value=anomaly.raw_score, unit="1"),
            Figure(name="alert_score", value=anomaly.alert_score, unit="1"),
        ]
        if anomaly.HasField("expected"):
            figures += [
                Figure(name=f"expected_{side}", value=bound, unit=unit) for side, bound in known
            ]
    return tuple(each for each in figures if math.isfinite(each.value))


def _silence(anomaly: pb.Anomaly) -> Iterator[Figure]:
    """How long nothing came and how long that usually takes; of a sender, how many are silent."""
    if anomaly.series_count > 1:
        yield Figure(name="silent_series", value=anomaly.series_count - 1.0, unit="1")
        return
    yield Figure(name="silent", value=anomaly.value, unit="s")
    if 0 < anomaly.expected.high < anomaly.value:
        yield Figure(name="usual_pause", value=anomaly.expected.high, unit="s")


def _rule_of(anomaly: pb.Anomaly) -> str:
    """The rule that was crossed."""
    named = (each.feature for each in anomaly.contributions)
    return next((n.removeprefix(_RULE) for n in named if n.startswith(_RULE)), "")
