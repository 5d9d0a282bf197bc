"""Feedback: check, ask, encode."""

import grpc

from mesh.auth import current_principal
from mesh.errors import NotFound
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.detector.v1 import detector_service_pb2_grpc
from services.detector import metrics
from services.detector.convert import feedback as convert
from services.detector.store import FeedbackStore

Context = grpc.aio.ServicerContext[
    detector_pb.SubmitFeedbackRequest, detector_pb.SubmitFeedbackResponse
]


class FeedbackMethods(detector_service_pb2_grpc.DetectorServiceServicer):
    """What people say of anomalies; the detectors hear of it from the store."""

    _feedback: FeedbackStore

    async def SubmitFeedback(  # noqa: N802
        self, request: detector_pb.SubmitFeedbackRequest, context: "Context"
    ) -> detector_pb.SubmitFeedbackResponse:
        """Keeps the last word on an anomaly."""
        true_alarm = convert.is_true_alarm(request.verdict)
        stored = await self._feedback.put(
            request.anomaly_id,
            true_alarm=true_alarm,
            comment=convert.comment(request.comment),
            subject=current_principal().subject,
        )
        if stored is None:
            raise NotFound("anomaly", request.anomaly_id)
        metrics.FEEDBACK.labels("true_alarm" if true_alarm else "false_alarm").inc()
        return detector_pb.SubmitFeedbackResponse(feedback=convert.feedback_message(stored))
