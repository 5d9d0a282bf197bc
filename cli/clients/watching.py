"""What happens now: anomalies from the detector, alerts from ingest."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

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


@dataclass(slots=True, kw_only=True)
class AnomalyWatch:
    """Follows anomalies across reconnects.

    Attributes:
        after_cursor: everything up to here was told; None begins with what comes.
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
    """Follows changes of alerts by asking once a second."""

    channel: grpc.aio.Channel
    tell: Callable[[Alert], None]
    since: Timestamp

    async def run(self) -> None:
        """Tells each change committed after `since`, oldest first, for ever."""
        await keep_open(self._session, name="alerts")

    async def _session(self, waits: Backoff) -> None:
        stub = IngestServiceStub(self.channel)
        while True:
            request = ingest_pb.ListAlertsRequest(start_time=self.since, page_size=_PAGE_SIZE)
            response = await stub.ListAlerts(request)
            waits.reset()
            self._take(response.alerts)
            await asyncio.sleep(_ALERTS_INTERVAL_S)

    def _take(self, alerts: "Iterable[Alert]") -> None:
        fresh = [alert for alert in alerts if _nanos(alert.update_time) > _nanos(self.since)]
        for alert in sorted(fresh, key=lambda alert: _nanos(alert.update_time)):
            self.tell(alert)
            self.since = alert.update_time


async def detector_status(channel: grpc.aio.Channel) -> Status:
    """Whether the detector scores yet, and how far it is."""
    stub = DetectorServiceStub(channel)
    response: Status = await stub.GetDetectorStatus(detector_pb.GetDetectorStatusRequest())
    return response


def is_scoring(status: Status) -> bool:
    """True once a model is active."""
    return status.phase == detector_pb.DETECTOR_PHASE_SCORING


def _nanos(stamp: Timestamp) -> int:
    return stamp.ToNanoseconds()
