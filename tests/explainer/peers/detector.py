"""The detector as the explainer meets it: scripted anomalies."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mesh.errors import NotFound, OutOfRange
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from services.explainer.wiring import DETECTOR
from tests.explainer.peers.faults import Faults
from tests.explainer.peers.serving import served


class Detector(detector_grpc.DetectorServiceServicer):
    """Anomalies by script."""

    def __init__(self) -> None:
        """Empty."""
        self.anomalies: dict[str, detector_pb.Anomaly] = {}
        self.faults = Faults()
        self.watched_after: list[int] = []
        self.dropped = 0
        self.last: int | None = None
        """Where its log ends, if a cursor ahead of that is refused."""
        self.min_severities: list[int] = []
        self.changed = asyncio.Event()

    def announce(self, anomaly: detector_pb.Anomaly) -> None:
        """A new anomaly for those who watch."""
        self.anomalies[anomaly.anomaly_id] = anomaly
        self.changed.set()

    async def GetAnomaly(self, request: detector_pb.GetAnomalyRequest, context: Any) -> Any:
        """By id."""
        await self.faults.meet("GetAnomaly")
        if request.anomaly_id not in self.anomalies:
            raise NotFound("anomaly", request.anomaly_id)
        return detector_pb.GetAnomalyResponse(anomaly=self.anomalies[request.anomaly_id])

    async def ListAnomalies(self, request: detector_pb.ListAnomaliesRequest, context: Any) -> Any:
        """All of them."""
        await self.faults.meet("ListAnomalies")
        return detector_pb.ListAnomaliesResponse(anomalies=self.anomalies.values())

    async def WatchAnomalies(
        self, request: detector_pb.WatchAnomaliesRequest, context: Any
    ) -> AsyncIterator[detector_pb.WatchAnomaliesResponse]:
        """Those after the cursor, as they come."""
        self.watched_after.append(request.after_cursor)
        self.min_severities.append(request.min_severity)
        reached = request.after_cursor
        if self.last is not None and reached > self.last:
            last = {"last": str(self.last)}
            raise OutOfRange("restored", reason="CURSOR_AHEAD", metadata=last)
        while True:
            await self.faults.meet("WatchAnomalies")
            for each in sorted(self.anomalies.values(), key=lambda each: each.cursor):
                if each.cursor > reached:
                    reached = each.cursor
                    yield detector_pb.WatchAnomaliesResponse(cursor=reached, anomaly=each)
            heartbeat = detector_pb.WatchHeartbeat(dropped_cursor=self.dropped)
            yield detector_pb.WatchAnomaliesResponse(cursor=reached, heartbeat=heartbeat)
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), 0.2)
            except TimeoutError:
                continue


def served_detector(detector: Detector) -> Any:
    """The detector on a free port."""
    return served(
        DETECTOR, lambda s: detector_grpc.add_DetectorServiceServicer_to_server(detector, s)
    )
