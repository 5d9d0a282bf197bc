"""OTLP traces and logs in JSON as the protobuf messages that ingest reads.

Ids are hexadecimal of any case. An id that is not costs its record alone: it goes on as it is, has
the wrong length, and ingest refuses it.
"""

from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from services.gateway.intake.otlp_json_values import (
    Attribute,
    Camel,
    Integer,
    Resource,
    Value,
    attributes,
    enum,
    message,
    value,
)

_KINDS: Final = {
    f"SPAN_KIND_{name}": number
    for number, name in enumerate(
        ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
    )
}
_CODES: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_LEVELS: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SEVERITIES: Final = {"SEVERITY_NUMBER_UNSPECIFIED": 0} | {
    f"SEVERITY_NUMBER_{level}{step or ''}": 4 * place + 1 + max(0, step - 1)
    for place, level in enumerate(_LEVELS)
    for step in (0, 2, 3, 4)
}


class _Event(Camel):
    time_unix_nano: Integer = 0
    name: str = ""
    attributes: Sequence[Attribute] = ()


class _Status(Camel):
    code: Integer = 0


class _Span(Camel):
    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    flags: Integer = 0
    name: str = ""
    kind: Integer = 0
    start_time_unix_nano: Integer = 0
    end_time_unix_nano: Integer = 0
    attributes: Sequence[Attribute] = ()
    events: Sequence[_Event] = ()
    status: _Status | None = None


class _ScopeSpans(Camel):
    spans: Sequence[_Span] = ()


class _ResourceSpans(Camel):
    resource: Resource | None = None
    scope_spans: Sequence[_ScopeSpans] = ()


class _Traces(Camel):
    resource_spans: Sequence[_ResourceSpans] = ()


class _Record(Camel):
    time_unix_nano: Integer = 0
    observed_time_unix_nano: Integer = 0
    severity_number: Integer = 0
    severity_text: str = ""
    body: Value | None = None
    attributes: Sequence[Attribute] = ()
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class _ScopeLogs(Camel):
    log_records: Sequence[_Record] = ()


class _ResourceLogs(Camel):
    resource: Resource | None = None
    scope_logs: Sequence[_ScopeLogs] = ()


class _Logs(Camel):
    resource_logs: Sequence[_ResourceLogs] = ()


def traces_message(body: bytes) -> bytes:
    """An ExportTraceServiceRequest, from JSON to protobuf.

    Raises:
        BodyTooLarge: It may hold more than a million objects and lists.
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the place.
    """
    return message(body, _Traces, _traces)


def logs_message(body: bytes) -> bytes:
    """An ExportLogsServiceRequest, from JSON to protobuf.

    Raises:
        BodyTooLarge: It may hold more than a million objects and lists.
        InvalidInput: JSON_BROKEN, or INVALID_FIELD naming the place.
    """
    return message(body, _Logs, _logs)


def _traces(sent: _Traces) -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    for each in sent.resource_spans:
        of_resource = made.resource_spans.add()
        if each.resource:
            attributes(of_resource.resource.attributes, each.resource.attributes)
        spans = of_resource.scope_spans.add().spans
        for scope in each.scope_spans:
            for span in scope.spans:
                _span(spans.add(), span)
    return made


def _span(made: Any, sent: _Span) -> None:
    made.trace_id, made.span_id = _id(sent.trace_id), _id(sent.span_id)
    made.parent_span_id, made.trace_state = _id(sent.parent_span_id), sent.trace_state
    made.name, made.kind, made.flags = sent.name, enum(sent.kind, _KINDS), int(sent.flags)
    made.start_time_unix_nano = int(sent.start_time_unix_nano)
    made.end_time_unix_nano = int(sent.end_time_unix_nano)
    attributes(made.attributes, sent.attributes)
    for event in sent.events:
        added = made.events.add(name=event.name, time_unix_nano=int(event.time_unix_nano))
        attributes(added.attributes, event.attributes)
    if sent.status:
        made.status.code = enum(sent.status.code, _CODES)


def _logs(sent: _Logs) -> ExportLogsServiceRequest:
    made = ExportLogsServiceRequest()
    for each in sent.resource_logs:
        of_resource = made.resource_logs.add()
        if each.resource:
            attributes(of_resource.resource.attributes, each.resource.attributes)
        records = of_resource.scope_logs.add().log_records
        for scope in each.scope_logs:
            for record in scope.log_records:
                _record(records.add(), record)
    return made


def _record(made: Any, sent: _Record) -> None:
    made.trace_id, made.span_id = _id(sent.trace_id), _id(sent.span_id)
    made.time_unix_nano = int(sent.time_unix_nano)
    made.observed_time_unix_nano = int(sent.observed_time_unix_nano)
    made.severity_number = enum(sent.severity_number, _SEVERITIES)
    made.severity_text, made.event_name = sent.severity_text, sent.event_name
    attributes(made.attributes, sent.attributes)
    if sent.body is not None:
        value(made.body, sent.body, 0)


def _id(sent: str) -> bytes:
    try:
        return bytes.fromhex(sent)
    except ValueError:
        return sent.encode() + b"?" * (len(sent) in (8, 16))
