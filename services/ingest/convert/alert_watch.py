"""Watches of alerts, in and out."""

from typing import Final

from mesh.publisher import Frame
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.alerts import alert
from services.ingest.convert.common import invalid, selector, timestamp
from services.ingest.model.alerts import Severity
from services.ingest.store.alert_log import LoggedAlert
from services.ingest.subscribe.alert_watch import AlertWatchQuery

_DEFAULT_HEARTBEAT_S: Final = 5.0
_HEARTBEAT_S: Final = (1.0, 60.0)


def watch_query(request: pb.WatchAlertsRequest) -> AlertWatchQuery:
    """What is watched.

    Raises:
        InvalidInput: INVALID_SELECTOR, INVALID_SEVERITY or INVALID_HEARTBEAT.
    """
    if request.min_severity and request.min_severity not in {each.value for each in Severity}:
        raise invalid("min_severity", "must be info, warning or critical", "INVALID_SEVERITY")
    return AlertWatchQuery(
        after=request.after_cursor if request.HasField("after_cursor") else None,
        selector=selector(request.selector),
        min_severity=request.min_severity,
        heartbeat_s=_heartbeat_s(request),
    )


def watch_frame(frame: Frame[LoggedAlert], now_ms: int) -> pb.WatchAlertsResponse:
    """One frame for the wire."""
    if frame.entry is not None:
        return pb.WatchAlertsResponse(cursor=frame.cursor, alert=alert(frame.entry.alert))
    if frame.draining:
        return pb.WatchAlertsResponse(cursor=frame.cursor, draining=pb.WatchAlertsDraining())
    heartbeat = pb.WatchAlertsHeartbeat(server_time=timestamp(now_ms))
    return pb.WatchAlertsResponse(cursor=frame.cursor, heartbeat=heartbeat)


def _heartbeat_s(request: pb.WatchAlertsRequest) -> float:
    if not request.HasField("heartbeat_interval"):
        return _DEFAULT_HEARTBEAT_S
    asked = request.heartbeat_interval.seconds + request.heartbeat_interval.nanos / 1e9
    least, most = _HEARTBEAT_S
    if not least <= asked <= most:
        raise invalid("heartbeat_interval", "must be 1 to 60 seconds", "INVALID_HEARTBEAT")
    return asked
