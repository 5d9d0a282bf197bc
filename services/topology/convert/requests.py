"""Spans of time of requests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.topology.v1 import topology_service_pb2 as pb
from services.topology.convert.pages import invalid
from services.topology.query.spans import Minutes

_LATEST_S: Final = 253_402_214_400
_OBSERVED_MINUTES: Final = 6 * 60
_USUAL_MINUTES: Final = 26 * 60
_USUAL_SPANS: Final = 4
_SERVICES: Final = 100
_EDGES_MINUTES: Final = 15
_REASON: Final = "INVALID_TIME_RANGE"
_OTLP_BY_SEVERITY: Final = {
    series_pb2.SEVERITY_UNSPECIFIED: 0,
    series_pb2.SEVERITY_INFO: 0,
    series_pb2.SEVERITY_WARNING: 13,
    series_pb2.SEVERITY_CRITICAL: 17,
}


def time_ms(request: Any, field: str, default_ms: int) -> int:
    """A time of a request in milliseconds since the Unix epoch; `default_ms` for none.

    Raises:
        InvalidInput: INVALID_TIME_RANGE, before 1970 or after 9999.
    """
    if not request.HasField(field):
        return default_ms
    return _ms(field, getattr(request, field))


def moment(milliseconds: int) -> datetime:
    """A time for a store."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def observed(request: pb.CompareTracesRequest, now_ms: int) -> Minutes:
    """What is observed.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    if not request.HasField("start_time"):
        raise invalid("start_time", "say from when on is observed", _REASON)
    start_ms = time_ms(request, "start_time", 0)
    return _span("start_time", start_ms, time_ms(request, "end_time", now_ms), _OBSERVED_MINUTES)


def usual(request: pb.CompareTracesRequest) -> list[Minutes]:
    """What is usual, as the caller says it.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    if len(request.usual) > _USUAL_SPANS:
        raise invalid("usual", f"must be at most {_USUAL_SPANS} spans", _REASON)
    spans = list[Minutes]()
    for place, each in enumerate(request.usual):
        where = f"usual[{place}]"
        if not (each.HasField("start_time") and each.HasField("end_time")):
            raise invalid(where, "say start_time and end_time", _REASON)
        start_ms, end_ms = _ms(where, each.start_time), _ms(where, each.end_time)
        spans.append(_span(where, start_ms, end_ms, _USUAL_MINUTES))
    if sum(map(len, spans)) > _USUAL_MINUTES:
        raise invalid("usual", "must be at most 26 hours together", _REASON)
    return spans


def services(request: pb.CompareTracesRequest) -> Sequence[str]:
    """The services that are asked for.

    Raises:
        InvalidInput: TOO_MANY_SERVICES.
    """
    if len(request.services) > _SERVICES:
        raise invalid("services", f"must be at most {_SERVICES}", "TOO_MANY_SERVICES")
    return request.services


def edge_minutes(request: pb.ListEdgesRequest, now_ms: int) -> Minutes:
    """Over which time edges are listed.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    end_ms = time_ms(request, "end_time", now_ms)
    start_ms = time_ms(request, "start_time", max(0, end_ms - _EDGES_MINUTES * 60_000))
    return _span("start_time", start_ms, end_ms, _USUAL_MINUTES)


def range_ms(request: pb.ListExamplesRequest) -> tuple[int, int]:
    """From when to before when examples are listed.

    Raises:
        InvalidInput: INVALID_TIME_RANGE.
    """
    end_ms = time_ms(request, "end_time", _LATEST_S * 1000)
    start_ms = time_ms(request, "start_time", 0)
    if start_ms >= end_ms:
        raise invalid("start_time", "must lie before end_time", _REASON)
    return start_ms, end_ms


def otlp_severity(severity: int) -> int:
    """The least number of OTLP of a severity; a severity that is not known is the worst."""
    return _OTLP_BY_SEVERITY.get(severity, 17)  # type: ignore[call-overload,no-any-return]


def _span(field: str, start_ms: int, end_ms: int, most: int) -> Minutes:
    if start_ms >= end_ms:
        raise invalid(field, "must lie before the end", _REASON)
    span = Minutes(start_ms // 60_000, -(-end_ms // 60_000))
    if len(span) > most + 1:
        raise invalid(field, f"must lie at most {most // 60} hours before the end", _REASON)
    return span


def _ms(field: str, stamp: Timestamp) -> int:
    if not (0 <= stamp.seconds < _LATEST_S and 0 <= stamp.nanos < 1_000_000_000):
        raise invalid(field, "must lie between 1970 and 9999", _REASON)
    return stamp.seconds * 1000 + stamp.nanos // 1_000_000
