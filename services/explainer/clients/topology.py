"""Asks topology what traces and log lines add up to."""

import asyncio
from typing import Final

import grpc
from google.protobuf.duration_pb2 import Duration

from mesh.errors import translated
from sensus.topology.v1 import topology_service_pb2 as pb
from sensus.topology.v1 import topology_service_pb2_grpc as pb_grpc
from services.explainer.clients.ingest import stamp
from services.explainer.model.traces import (
    Call,
    CallCounts,
    CallKind,
    Coverage,
    DirectCall,
    Durations,
    Example,
    LogLines,
    Origin,
    Reason,
    Shape,
    Traces,
    Version,
)

EXAMPLES_READ_MAX: Final = 100

_WAY: Final = {
    pb.CONNECTION_TYPE_CALL: CallKind.CALL,
    pb.CONNECTION_TYPE_MESSAGING: CallKind.MESSAGING,
    pb.CONNECTION_TYPE_DATABASE: CallKind.DATABASE,
    pb.CONNECTION_TYPE_ADDRESS: CallKind.ADDRESS,
    pb.CONNECTION_TYPE_ENTRY: CallKind.ENTRY,
}
_REST: Final = "(other)"
_OUTWARD: Final = (pb.SPAN_KIND_CLIENT, pb.SPAN_KIND_PRODUCER)
_REASON: Final = {pb.OriginReason.Value(f"ORIGIN_REASON_{each.name}"): each for each in Reason}


class TopologyClient:
    """Reads from topology. Failures are raised as the errors the server meant."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Uses `channel` for every call."""
        self._stub: pb_grpc.TopologyServiceAsyncStub = pb_grpc.TopologyServiceStub(channel)

    async def compared(self, start_ms: int, end_ms: int | None) -> Traces:
        """What differs from `start_ms` on, up to `end_ms` or now, beside what is usual."""
        request = pb.CompareTracesRequest(start_time=stamp(start_ms))
        if end_ms is not None:
            request.end_time.CopyFrom(stamp(end_ms))
        with translated():
            answer = await self._stub.CompareTraces(request)
        return await asyncio.to_thread(_traces, answer, start_ms, end_ms)

    async def examples(self, service: str, start_ms: int) -> list[Example]:
        """Examples of a service since then, newest first."""
        request = pb.ListExamplesRequest(
            service=service, start_time=stamp(start_ms), page_size=EXAMPLES_READ_MAX
        )
        with translated():
            answer = await self._stub.ListExamples(request)
        return [_example(each) for each in answer.examples]


def _traces(answer: pb.CompareTracesResponse, start_ms: int, end_ms: int | None) -> Traces:
    return Traces(
        start_ms=start_ms,
        end_ms=end_ms or start_ms + 60_000 * answer.coverage.observed.minutes,
        observed=_counted(answer.coverage.observed),
        usual=_counted(answer.coverage.usual),
        calls=tuple(map(_call, answer.edges)),
        origins=tuple(map(_origin, answer.origins)),
        shapes=tuple(map(_shape, answer.shapes)),
        lines=tuple(map(_lines, answer.patterns)),
        versions=tuple(map(_version, answer.versions)),
    )


def _counted(side: pb.SideCoverage) -> Coverage:
    return Coverage(minutes=side.minutes, traces=side.traces, spans=side.spans, lost=side.lost)


def _call(change: pb.EdgeChange) -> Call:
    edge = change.edge
    return Call(
        caller=edge.caller_service,
        caller_operation=edge.caller_operation,
        service=edge.service,
        operation=edge.operation,
        via=_WAY.get(edge.connection_type, CallKind.CALL),
        is_outward=edge.span_kind in _OUTWARD,
        observed=_counts(change.observed),
        usual=_counts(change.usual),
    )


def _counts(counts: pb.EdgeCounts) -> CallCounts:
    return CallCounts(
        spans=counts.spans,
        errors=counts.errors,
        duration=_durations(counts.duration),
        own=_durations(counts.self_time),
        wait=_durations(counts.wait),
    )


def _durations(durations: pb.Durations) -> Durations:
    p95_s = _seconds(durations.p95)
    return Durations(
        count=durations.count,
        p50=_seconds(durations.p50),
        p95=p95_s,
        longest=max(p95_s, _seconds(durations.longest)),
        sum=_seconds(durations.sum),
    )


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _origin(change: pb.OriginChange) -> Origin:
    return Origin(
        service=change.service,
        operation=change.operation,
        reason=_REASON.get(change.reason, Reason.STATUS),
        detail=change.detail,
        observed=change.observed,
        usual=change.usual,
        example_ids=tuple(change.example_ids),
    )


def _shape(change: pb.ShapeChange) -> Shape:
    return Shape(
        service=change.service,
        operation=change.operation,
        calls=frozenset(
            DirectCall(service=each.service, operation=each.operation, times=each.times)
            for each in change.calls
            if not _is_rest(each)
        ),
        is_coarse=any(map(_is_rest, change.calls)),
        observed=change.observed,
        usual=change.usual,
        observed_total=change.observed_total,
        usual_total=change.usual_total,
    )


def _is_rest(call: pb.ShapeCall) -> bool:
    return not call.service and call.operation == _REST


def _lines(change: pb.PatternChange) -> LogLines:
    return LogLines(
        service=change.pattern.service,
        text=change.pattern.text,
        observed=change.observed,
        usual=change.usual,
        example_ids=tuple(change.example_ids),
    )


def _version(version: pb.ServiceVersion) -> Version:
    return Version(
        service=version.service,
        version=version.version,
        environment=version.environment,
        first_seen_ms=version.first_seen.ToMilliseconds(),
    )


def _example(example: pb.Example) -> Example:
    return Example(
        example_id=example.example_id,
        service=example.service,
        operation=example.operation,
        exception=example.exception_type,
        message=example.message,
        frames=tuple(example.frames),
        trace_id=example.trace_id,
        time_ms=example.time.ToMilliseconds(),
    )
