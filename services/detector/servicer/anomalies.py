"""Anomalies and the status: check, ask, encode."""

from collections.abc import AsyncIterator
from typing import Final

import grpc

from mesh.clock import Clock
from mesh.errors import NotFound
from mesh.publisher import Publisher, heartbeat_s
from mesh.selector import Selector
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector.convert import anomalies as convert
from services.detector.convert.feedback import earlier_message, feedback_message
from services.detector.model.anomalies import Anomaly, Entry, Kind
from services.detector.model.similarity import nearest
from services.detector.query import pages
from services.detector.query.listing import list_anomalies
from services.detector.store import AnomalyStore, FeedbackStore, StatusStore

_LOOKED_AT: Final = 500
"""Earlier anomalies of a series that are compared: two years of them with four a week."""
_MEMBERS_SHOWN: Final = 100

WatchContext = grpc.aio.ServicerContext[
    detector_pb.WatchAnomaliesRequest, detector_pb.WatchAnomaliesResponse
]
ListContext = grpc.aio.ServicerContext[
    detector_pb.ListAnomaliesRequest, detector_pb.ListAnomaliesResponse
]
GetContext = grpc.aio.ServicerContext[detector_pb.GetAnomalyRequest, detector_pb.GetAnomalyResponse]
StatusContext = grpc.aio.ServicerContext[
    detector_pb.GetDetectorStatusRequest, detector_pb.GetDetectorStatusResponse
]


class AnomalyMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """What was found, and what happens with samples now. Any replica answers for all."""

    _anomalies: AnomalyStore
    _status: StatusStore
    _feedback: FeedbackStore
    _publisher: Publisher[Entry]
    _clock: Clock
    _warmup_samples: int

    async def WatchAnomalies(  # noqa: N802
        self, request: detector_pb.WatchAnomaliesRequest, context: "WatchContext"
    ) -> AsyncIterator[detector_pb.WatchAnomaliesResponse]:
        """Streams anomalies after the caller's cursor."""
        selector = convert.selector(request.selector)
        after = request.after_cursor if request.HasField("after_cursor") else None
        every_s = heartbeat_s(
            request.heartbeat_interval, given=request.HasField("heartbeat_interval")
        )
        wanted = _WatchFilter(selector, request.min_severity, with_members=request.include_members)
        async for frame in self._publisher.watch(after, lambda e: wanted(e.anomaly), every_s):
            yield convert.frame_message(frame, self._clock.now_ms())

    async def ListAnomalies(  # noqa: N802
        self, request: detector_pb.ListAnomaliesRequest, context: "ListContext"
    ) -> detector_pb.ListAnomaliesResponse:
        """One page of anomalies, newest first."""
        size = pages.checked_size(request.page_size)
        selector = convert.selector(request.selector)
        wanted = convert.anomaly_filter(request, selector)
        question = convert.question_of(request)
        before = pages.place_of(request.page_token, question)
        matches = _WatchFilter(selector, 0, with_members=not request.exclude_members)
        found, next_place = await list_anomalies(self._anomalies, wanted, matches, before, size)
        return detector_pb.ListAnomaliesResponse(
            anomalies=[
                convert.anomaly_message(
                    each, with_contributions=each.finding.kind is Kind.THRESHOLD
                )
                for each in found
            ],
            next_page_token=pages.token_of(next_place, question) if next_place else "",
        )

    async def GetAnomaly(  # noqa: N802
        self, request: detector_pb.GetAnomalyRequest, context: "GetContext"
    ) -> detector_pb.GetAnomalyResponse:
        """One anomaly with its reasons."""
        anomaly = await self._anomalies.find(request.anomaly_id)
        if anomaly is None:
            raise NotFound("anomaly", request.anomaly_id)
        message = convert.anomaly_message(anomaly, with_contributions=True)
        feedback = await self._feedback.find(request.anomaly_id)
        if feedback is not None:
            message.feedback.CopyFrom(feedback_message(feedback))
        found = nearest(anomaly.finding, await self._anomalies.earlier(anomaly.finding, _LOOKED_AT))
        if found is not None:
            said = await self._feedback.find(found[0].anomaly_id)
            message.nearest_earlier.CopyFrom(earlier_message(*found, said))
        members = await self._anomalies.members(request.anomaly_id, _MEMBERS_SHOWN)
        message.members.extend(convert.member_message(each) for each in members)
        return detector_pb.GetAnomalyResponse(anomaly=message)

    async def GetDetectorStatus(  # noqa: N802
        self, request: detector_pb.GetDetectorStatusRequest, context: "StatusContext"
    ) -> detector_pb.GetDetectorStatusResponse:
        """What happens with samples now."""
        return convert.status_message(await self._status.status(), self._warmup_samples)


class _WatchFilter:
    """What one watch asked for."""

    def __init__(self, selector: Selector, min_severity: int, *, with_members: bool) -> None:
        self._selector = selector
        self._min_severity = min_severity
        self._with_members = with_members

    def __call__(self, anomaly: Anomaly) -> bool:
        """A member is sent where its lead, which is at least as severe, is not."""
        found, matches = anomaly.finding, self._selector.matches
        if found.severity < self._min_severity or not matches(found.labels):
            return False
        lead = anomaly.lead_labels
        return self._with_members or lead is None or not matches(lead)
