"""Feedback, to and from the wire."""

from typing import Final

from mesh.errors import InvalidInput, Violation
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.convert.anomalies import from_ms, timestamp_of
from services.detector.model.anomalies import Finding
from services.detector.model.feedback import Feedback

COMMENT_CHARS_MAX: Final = 2000

_TRUE: Final = detector_pb.ANOMALY_VERDICT_TRUE_ALARM
_FALSE: Final = detector_pb.ANOMALY_VERDICT_FALSE_ALARM


def feedback_message(feedback: Feedback) -> detector_pb.AnomalyFeedback:
    """The feedback as the contract has it."""
    return detector_pb.AnomalyFeedback(
        verdict=_TRUE if feedback.true_alarm else _FALSE,
        comment=feedback.comment,
        subject=feedback.subject,
        submit_time=timestamp_of(feedback.created_at),
    )


def earlier_message(
    earlier: Finding, similarity: float, feedback: Feedback | None
) -> detector_pb.EarlierAnomaly:
    """An earlier anomaly, how similar it was, and what was said of it."""
    message = detector_pb.EarlierAnomaly(
        anomaly_id=earlier.anomaly_id,
        event_time=from_ms(earlier.event_ms),
        value=earlier.value,
        similarity=similarity,
    )
    if feedback is not None:
        message.verdict = _TRUE if feedback.true_alarm else _FALSE
    return message


def is_true_alarm(verdict: detector_pb.AnomalyVerdict.ValueType) -> bool:
    """Whether the anomaly deserved attention.

    Raises:
        InvalidInput: INVALID_VERDICT.
    """
    if verdict not in (_TRUE, _FALSE):
        message = "verdict must be ANOMALY_VERDICT_TRUE_ALARM or ANOMALY_VERDICT_FALSE_ALARM"
        raise InvalidInput(
            message, reason="INVALID_VERDICT", violations=[Violation("verdict", message)]
        )
    return verdict == _TRUE


def comment(text: str) -> str:
    """The comment as given.

    Raises:
        InvalidInput: INVALID_COMMENT.
    """
    if len(text) > COMMENT_CHARS_MAX or "\x00" in text:
        message = f"comment must have at most {COMMENT_CHARS_MAX} characters, none of them 0"
        raise InvalidInput(
            message, reason="INVALID_COMMENT", violations=[Violation("comment", message)]
        )
    return text
