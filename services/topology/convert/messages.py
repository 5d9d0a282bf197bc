"""Answers."""

from collections.abc import Mapping, Sequence
from math import isnan

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.core.v1 import series_pb2
from sensus.topology.v1 import topology_service_pb2 as pb
from services.topology.model.reading import StoredExample, StoredPattern, StoredVersion
from services.topology.query.compare import EdgePair, OriginPair, PatternPair, ShapePair
from services.topology.query.naming import EdgeName
from services.topology.query.sides import Counts, Durations, Side


def edge(name: EdgeName) -> pb.Edge:
    """An edge."""
    return pb.Edge(
        caller_service=name.caller.service,
        caller_operation=name.caller.name,
        service=name.called.service,
        operation=name.called.name,
        span_kind=name.kind,  # type: ignore[arg-type]
        connection_type=name.connection,  # type: ignore[arg-type]
    )


def counts(known: Counts) -> pb.EdgeCounts:
    """What was counted of an edge."""
    return pb.EdgeCounts(
        spans=known.spans,
        weight=known.weight,
        errors=known.errors,
        origins=known.origins,
        late=known.late,
        duration=_durations(known.duration),
        self_time=_durations(known.own),
        wait=_durations(known.wait),
    )


def coverage(side: Side) -> pb.SideCoverage:
    """What the counts of a side rest on."""
    table = side.table
    return pb.SideCoverage(
        minutes=side.minutes,
        provisional_minutes=side.provisional,
        traces=side.total("roots"),
        failed_traces=side.total("failed"),
        spans=table.spans,
        records=table.records,
        orphans=side.total("orphans"),
        late=side.total("late"),
        lost=table.lost,
        weight=side.weight,
    )


def edge_change(pair: EdgePair) -> pb.EdgeChange:
    """An edge on both sides."""
    return pb.EdgeChange(
        edge=edge(pair.name),
        observed=counts(pair.observed) if pair.observed else None,
        usual=counts(pair.usual) if pair.usual else None,
    )


def origin_change(pair: OriginPair, example_ids: Sequence[str]) -> pb.OriginChange:
    """Where errors began."""
    return pb.OriginChange(
        service=pair.place.service,
        operation=pair.place.name,
        reason=pair.reason,  # type: ignore[arg-type]
        detail=pair.detail,
        observed=pair.observed,
        usual=pair.usual,
        observed_traces=pair.traces,
        example_ids=example_ids,
    )


def shape_change(pair: ShapePair) -> pb.ShapeChange:
    """A shape of calls."""
    return pb.ShapeChange(
        service=pair.place.service,
        operation=pair.place.name,
        calls=[
            pb.ShapeCall(service=called.service, operation=called.name, times=times)
            for called, times in pair.calls
        ],
        observed=pair.observed,
        usual=pair.usual,
        observed_total=pair.observed_total,
        usual_total=pair.usual_total,
    )


def pattern_change(
    pair: PatternPair, patterns: Mapping[int, StoredPattern], example_ids: Sequence[str]
) -> pb.PatternChange:
    """A pattern on both sides."""
    return pb.PatternChange(
        pattern=pattern(patterns[pair.pattern]),
        observed=pair.observed,
        usual=pair.usual,
        observed_first=pair.first,
        example_ids=example_ids,
    )


def pattern(known: StoredPattern) -> pb.LogPattern:
    """A pattern of log lines."""
    return pb.LogPattern(
        pattern_id=pattern_id(known.pattern),
        service=known.service,
        text=known.text,
        severity=_severity(known.severity),
        first_seen=_timestamp(known.first_ms),
        last_seen=_timestamp(known.last_ms),
        lines=known.lines,
    )


def pattern_id(number: int) -> str:
    """As callers name a pattern."""
    return f"{number:016x}"


def pattern_number(text: str) -> int:
    """As stores name a pattern; 0, which none has, for a text that is no id."""
    try:
        return int(text, 16) if len(text) == 16 else 0
    except ValueError:
        return 0


def example(known: StoredExample) -> pb.Example:
    """An example of an error."""
    return pb.Example(
        example_id=known.example_id,
        service=known.service,
        operation=known.name,
        exception_type=known.type,
        message=known.message,
        frames=known.frames,
        trace_id=known.trace_id.hex(),
        span_id=known.span_id.hex(),
        time=_timestamp(known.time_ms),
        pattern_id=pattern_id(known.pattern) if known.pattern else "",
    )


def version(known: StoredVersion) -> pb.ServiceVersion:
    """A version of a service."""
    message = pb.ServiceVersion(
        service=known.service,
        version=known.version,
        environment=known.environment,
        instances=known.instances,
        all_instances=known.all_instances,
    )
    message.first_seen.FromDatetime(known.first_seen)
    message.last_seen.FromDatetime(known.last_seen)
    return message


def _durations(known: Durations) -> pb.Durations:
    return pb.Durations(
        count=known.count,
        p50=_duration(known.p50_s),
        p95=_duration(known.p95_s),
        longest=_duration(known.longest_s),
        sum=_duration(known.sum_s),
    )


def _duration(seconds: float) -> Duration | None:
    if isnan(seconds):
        return None
    nanoseconds = round(seconds * 1e9)
    return Duration(seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9)


def _timestamp(time_ms: int) -> Timestamp:
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def _severity(number: int) -> "series_pb2.Severity.ValueType":
    if number >= 17:
        return series_pb2.SEVERITY_CRITICAL
    return series_pb2.SEVERITY_WARNING if number >= 13 else series_pb2.SEVERITY_INFO
