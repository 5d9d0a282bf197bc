"""What happens now: anomalies from the detector, alerts from ingest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.clients import Backoff, closing, keep_open
from sensus.core.v1 import alert_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1.detector_service_pb2_grpc import DetectorServiceStub
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.ingest.v1.ingest_service_pb2_grpc import IngestServiceStub

Anomaly = detector_pb.Anomaly
Alert = alert_pb2.Alert
Status = detector_pb.GetDetectorStatusResponse

_ALERTS_INTERVAL_S = 1.0
_PAGE_SIZE = 1000
_OVERLAP_MS = 30_000
"""A change may be committed this long after its update_time: its writer waited for others."""

FIRING = alert_pb2.ALERT_STATE_FIRING


@dataclass(slots=True, kw_only=True)
class AnomalyWatch:
    """Follows anomalies across reconnects.

    Attributes:
        after_cursor: everything up to here was passed on; None begins with what comes.
        selector: Prometheus selector over the labels of the series; empty for all.
    """

    channel: grpc.aio.Channel
    tell: Callable[[Anomaly], None]
    after_cursor: int | None = None
    selector: str = ""

    async def run(self) -> None:
        """Tells each anomaly once, for ever. SensusError when the server refuses."""
        await keep_open(self._session, name="anomalies")

    async def _session(self, waits: Backoff) -> None:
        request = detector_pb.WatchAnomaliesRequest(selector=self.selector)
        if self.after_cursor is not None:
            request.after_cursor = self.after_cursor
        async with closing(DetectorServiceStub(self.channel).WatchAnomalies(request)) as call:
            async for response in call:
                waits.reset()
                self.after_cursor = response.cursor
                if response.HasField("anomaly"):
                    self.tell(response.anomaly)


@dataclass(slots=True, kw_only=True)
class AlertWatch:
    """Follows changes of alerts by asking once a second what changed.

    Attributes:
        since: changes committed before are not passed on.
    """

    channel: grpc.aio.Channel
    tell: Callable[[Alert], None]
    since: Timestamp
    _told_ms: dict[tuple[str, int], int] = field(default_factory=dict)

    async def run(self) -> None:
        """Tells each change once, firing and resolved, in the order of their times, for ever."""
        await keep_open(self._session, name="alerts")

    async def _session(self, waits: Backoff) -> None:
        while True:
            changes = [
                change async for alert in self._changed() for change in await self._untold(alert)
            ]
            waits.reset()
            for alert in sorted(changes, key=lambda alert: alert.update_time.ToNanoseconds()):
                self._told_ms[alert.alert_id, alert.state] = alert.update_time.ToMilliseconds()
                self.tell(alert)
            self._forget()
            await asyncio.sleep(_ALERTS_INTERVAL_S)

    async def _changed(self) -> AsyncIterator[Alert]:
        """Every page of what changed since a little before the last change that was passed on."""
        latest_ms = max(self._told_ms.values(), default=0)
        from_ms = max(self.since.ToMilliseconds(), latest_ms - _OVERLAP_MS)
        request = ingest_pb.ListAlertsRequest(page_size=_PAGE_SIZE)
        request.changed_since.FromMilliseconds(from_ms)
        while True:
            response = await IngestServiceStub(self.channel).ListAlerts(request)
            for alert in response.alerts:
                yield alert
            request.page_token = response.next_page_token
            if not request.page_token:
                return

    async def _untold(self, alert: Alert) -> list[Alert]:
        """The episode as it stands; before it as it fired, when both came between two questions."""
        if (alert.alert_id, alert.state) in self._told_ms:
            return []
        if alert.state == FIRING or (alert.alert_id, FIRING) in self._told_ms:
            return [alert]
        request = ingest_pb.GetAlertRequest(alert_id=alert.alert_id)
        response = await IngestServiceStub(self.channel).GetAlert(request)
        return [*(_as_it_was(alert, change) for change in self._fired(response)), alert]

    def _fired(self, response: ingest_pb.GetAlertResponse) -> list[ingest_pb.AlertChange]:
        since_ms = self.since.ToMilliseconds()
        return [
            change
            for change in response.history
            if change.state == FIRING and change.commit_time.ToMilliseconds() >= since_ms
        ]

    def _forget(self) -> None:
        """What is too old to be listed again; episodes that fire stay, for their end."""
        oldest_ms = max(self._told_ms.values(), default=0) - 2 * _OVERLAP_MS
        ended = {alert_id for alert_id, state in self._told_ms if state != FIRING}
        for (alert_id, state), told_ms in list(self._told_ms.items()):
            if told_ms < oldest_ms and alert_id in ended:
                del self._told_ms[alert_id, state]


def _as_it_was(alert: Alert, change: ingest_pb.AlertChange) -> Alert:
    earlier = Alert()
    earlier.CopyFrom(alert)
    earlier.state = change.state
    earlier.update_time.CopyFrom(change.commit_time)
    earlier.ClearField("end_time")
    return earlier


async def detector_status(channel: grpc.aio.Channel) -> Status:
    """Whether the detector scores yet, and how far it is."""
    stub = DetectorServiceStub(channel)
    response: Status = await stub.GetDetectorStatus(detector_pb.GetDetectorStatusRequest())
    return response


def is_scoring(status: Status) -> bool:
    """True once a model is active."""
    return status.phase == detector_pb.DETECTOR_PHASE_SCORING
