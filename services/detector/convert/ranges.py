"""GetExpectedRange, to and from the wire."""

from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import InvalidInput, Violation
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from services.detector.detectors.ranges import Ranges

POINTS_DEFAULT: Final = 500
POINTS_MAX: Final = 5000
SPAN_MAX_MS: Final = 24 * 86_400_000
_LAST_MS: Final = 253_402_300_800_000


class RangeQuery(NamedTuple):
    """The series, the span, and how many points of it."""

    series_id: int
    start_ms: int
    end_ms: int
    points: int


def asked(request: detector_pb.GetExpectedRangeRequest, now_ms: int) -> RangeQuery:
    """What is asked for.

    Raises:
        InvalidInput: INVALID_TIME_RANGE or INVALID_MAX_POINTS.
    """
    if not request.HasField("start_time"):
        raise _refused("start_time", "is required", "INVALID_TIME_RANGE")
    start_ms = _ms(request.start_time)
    end_ms = _ms(request.end_time) if request.HasField("end_time") else now_ms
    if not 0 <= start_ms < end_ms <= _LAST_MS:
        raise _refused("end_time", "must be after start_time, both from 1970 on",
                       "INVALID_TIME_RANGE")  # fmt: skip
    if end_ms - start_ms > SPAN_MAX_MS:
        rule = "must be at most 24 days after start_time"
        raise _refused("end_time", rule, "INVALID_TIME_RANGE")
    points = request.max_points or POINTS_DEFAULT
    if points > POINTS_MAX:
        raise _refused("max_points", f"must be at most {POINTS_MAX}", "INVALID_MAX_POINTS")
    return RangeQuery(request.series_id, start_ms, end_ms, points)


def ranges_message(ranges: Ranges) -> detector_pb.GetExpectedRangeResponse:
    """The columns as the contract has them."""
    return detector_pb.GetExpectedRangeResponse(
        timestamps_ms=ranges.timestamps_ms.tolist(),
        values=ranges.values.tolist(),
        low=ranges.low.tolist(),
        high=ranges.high.tolist(),
        is_counter=ranges.is_counter,
    )


def _ms(time: Timestamp) -> int:
    return time.seconds * 1000 + time.nanos // 1_000_000


def _refused(field: str, rule: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{field} {rule}", reason=reason, violations=[Violation(field, rule)])
