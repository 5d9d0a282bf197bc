"""The three logs that are watched, and what their frames say."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.explainer.v1 import explainer_service_pb2 as explainer_pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.incidents.consumer.present import in_order, newest, pages
from services.incidents.consumer.watching import HEARTBEAT_S, Watch
from services.incidents.keeper.grouping import Grouping
from services.incidents.model.change import Change, Kind, Severity, over
from services.incidents.model.incident import Cause, Claim, RelatedChange, Suspicion

_HEARTBEAT = Duration(seconds=HEARTBEAT_S)
_SUSPECTS = 5
_CHANGED = "changed"
_PAGE_SIZE = 1000
_DAY_S = 86_400
_SEVERITY_LABELS = frozenset({"severity", "priority", "level"})


def alerts(stub: Any) -> Watch:
    """Changes of alerts, of ingest."""

    def opened(cursor: int) -> Any:
        request = ingest_pb.WatchAlertsRequest(after_cursor=cursor, heartbeat_interval=_HEARTBEAT)
        return stub.WatchAlerts(request)

    async def take(grouping: Grouping, cursor: int, frames: list[Any]) -> None:
        await grouping.changes("alerts", cursor, [alert_change(each.alert) for each in frames])

    async def present() -> tuple[int, list[Change]]:
        cursor = await newest(stub.WatchAlerts(ingest_pb.WatchAlertsRequest()))
        request = ingest_pb.ListAlertsRequest(
            state=alert_pb2.ALERT_STATE_FIRING, page_size=_PAGE_SIZE
        )
        found = [each async for page in pages(stub.ListAlerts, request) for each in page.alerts]
        return cursor, in_order(map(alert_change, found))

    return Watch(
        name="alerts", open=opened, take=take, present=present, kind=Kind.ALERT, is_dense=True
    )


def anomalies(stub: Any, min_severity: Severity) -> Watch:
    """Anomalies and their ends, of the detector."""

    def opened(cursor: int) -> Any:
        return stub.WatchAnomalies(
            detector_pb.WatchAnomaliesRequest(
                after_cursor=cursor,
                min_severity=series_pb2.Severity.ValueType(min_severity),
                heartbeat_interval=_HEARTBEAT,
            )
        )

    async def take(grouping: Grouping, cursor: int, frames: list[Any]) -> None:
        await grouping.changes("anomalies", cursor, [anomaly_change(each) for each in frames])

    async def present() -> tuple[int, list[Change]]:
        severity = series_pb2.Severity.ValueType(min_severity)
        cursor = await newest(stub.WatchAnomalies(detector_pb.WatchAnomaliesRequest()))
        request = detector_pb.ListAnomaliesRequest(
            min_severity=severity, exclude_members=True, page_size=_PAGE_SIZE
        )
        request.start_time.GetCurrentTime()
        request.start_time.seconds -= _DAY_S
        pages_of = pages(stub.ListAnomalies, request)
        found = [each async for page in pages_of for each in page.anomalies]
        return cursor, in_order(begun(each) for each in found if not each.HasField("end_time"))

    return Watch(
        name="anomalies",
        open=opened,
        take=take,
        present=present,
        kind=Kind.ANOMALY,
        looks_back_ms=_DAY_S * 1000,
    )


def explanations(stub: Any) -> Watch:
    """Explanations that ended, of the explainer."""

    def opened(cursor: int) -> Any:
        return stub.WatchExplanations(
            explainer_pb.WatchExplanationsRequest(
                after_cursor=cursor,
                state=explainer_pb.EXPLANATION_STATE_DONE,
                heartbeat_interval=_HEARTBEAT,
            )
        )

    async def take(grouping: Grouping, cursor: int, frames: list[Any]) -> None:
        causes = [cause_of(each.explanation) for each in frames]
        await grouping.explanations("explanations", cursor, causes)

    return Watch(name="explanations", open=opened, take=take)


def alert_change(alert: alert_pb2.Alert) -> Change:
    """A change of an alert."""
    is_over = alert.state == alert_pb2.ALERT_STATE_RESOLVED
    return Change(
        member_id=alert.alert_id,
        kind=Kind.ALERT,
        fingerprint=same_but_for_severity(_labels(alert.labels)),
        labels=_labels(alert.labels),
        severity=Severity(alert.severity or 1),
        start_ms=alert.start_time.ToMilliseconds(),
        end_ms=alert.end_time.ToMilliseconds() if is_over else None,
        traceparent=alert.traceparent,
    )


def anomaly_change(frame: detector_pb.WatchAnomaliesResponse) -> Change:
    """An anomaly that begins, or that ended."""
    if frame.WhichOneof("frame") == "ended":
        end_ms = frame.ended.end_time.ToMilliseconds()
        return over(frame.ended.anomaly_id, Kind.ANOMALY, end_ms)
    return begun(frame.anomaly)


def begun(anomaly: detector_pb.Anomaly) -> Change:
    """An anomaly that begins."""
    return Change(
        member_id=anomaly.anomaly_id,
        kind=Kind.ANOMALY,
        fingerprint=f"series-{anomaly.series_id}-{anomaly.kind}",
        labels=_labels(anomaly.labels),
        severity=Severity(anomaly.severity or 1),
        start_ms=anomaly.event_time.ToMilliseconds(),
        traceparent=anomaly.traceparent,
    )


def cause_of(said: explainer_pb.Explanation) -> Cause:
    """What an explanation says of its subject."""
    return Cause(
        explanation_id=said.explanation_id,
        member_id=said.subject.alert_id or said.subject.anomaly_id,
        root_cause=said.root_cause,
        mitigation=said.mitigation,
        summary=said.summary,
        confidence=said.confidence,
        suspects=tuple(
            Suspicion(
                entity=each.entity,
                confidence=each.confidence,
                reason=each.reasons[0].text if each.reasons else "",
            )
            for each in said.suspects[:_SUSPECTS]
        ),
        changes=tuple(
            RelatedChange(change_id=",".join(each.evidence_ids), title=each.text)
            for each in said.claims
            if each.kind == _CHANGED
        ),
        claims=tuple(
            Claim(kind=each.kind, text=each.text, evidence_ids=tuple(each.evidence_ids))
            for each in said.claims
        ),
    )


def same_but_for_severity(labels: dict[str, str]) -> str:
    """16 hexadecimal digits: a warning that became critical is the same thing."""
    pairs = [pair for pair in sorted(labels.items()) if pair[0] not in _SEVERITY_LABELS]
    raw = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(raw.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _labels(labels: Iterable[series_pb2.Label]) -> dict[str, str]:
    return {each.name: each.value for each in labels}
