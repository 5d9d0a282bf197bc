"""OTLP traces and logs over HTTP before a real ingest: types, encodings, answers."""

import gzip
import json
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from mesh.errors import InvalidInput
from services.gateway.intake.otlp_json_events import logs_message, traces_message
from tests.ingest.otlp.events import NOW_NS, logs, traces

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
TRACE, SPAN = "5B8EFFF798038103d269b633813fc60c", "EEE19B7EC3C1B174"


@pytest.mark.parametrize("prefix", ["", "/api/v1/otlp"])
async def test_both_signals_are_taken_in_protobuf(
    to_ingest: httpx.AsyncClient, prefix: str
) -> None:
    bad_span, bad_record = traces({"span_id": b"1"}, {}), logs({"trace_id": b"1"}, {})
    for path, request in (("traces", bad_span), ("logs", bad_record)):
        body = gzip.compress(request.SerializeToString())
        headers = PROTOBUF | {"Content-Encoding": "gzip"}
        answer = await to_ingest.post(f"{prefix}/v1/{path}", content=body, headers=headers)
        assert answer.status_code == 200
        kind = ExportTraceServiceResponse if path == "traces" else ExportLogsServiceResponse
        told = kind.FromString(answer.content).partial_success
        rejected = {"traces": "rejected_spans", "logs": "rejected_log_records"}[path]
        assert getattr(told, rejected) == 1
        assert "bytes" in told.error_message


def in_json(**more: Any) -> dict[str, Any]:
    """A span as a sender of JSON writes it."""
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "work",
        "kind": 2,
        "startTimeUnixNano": str(NOW_NS - 10),
        "endTimeUnixNano": NOW_NS,
        "attributes": [{"key": "http.route", "value": {"stringValue": "/a"}}],
        "events": [{"name": "exception", "timeUnixNano": str(NOW_NS), "attributes": []}],
        "status": {"code": 2},
        "unknown": [1],
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span | more]}]}]}


async def test_json_is_answered_in_json(to_ingest: httpx.AsyncClient) -> None:
    answer = await to_ingest.post("/v1/traces", json=in_json())
    assert (answer.status_code, answer.json()) == (200, {})
    # ids in base64, as some senders write them, cost their record alone
    answer = await to_ingest.post("/v1/traces", json=in_json(spanId="7uGbfsPBsXQ="))
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    broken = await to_ingest.post("/v1/logs", content=b"{", headers=JSON)
    assert (broken.status_code, broken.json()["code"]) == (400, 3)
    other = await to_ingest.post("/v1/traces", content=b"x", headers={"Content-Type": "text/plain"})
    assert other.status_code == 415


@pytest.mark.parametrize("kind", [3, "3", "SPAN_KIND_CLIENT"])
def test_json_says_what_protobuf_says(kind: Any) -> None:
    body = json.dumps(in_json(kind=kind)).encode()
    span = ExportTraceServiceRequest.FromString(traces_message(body)).resource_spans[0]
    (found,) = span.scope_spans[0].spans
    assert (found.trace_id.hex(), found.span_id.hex()) == (TRACE.lower(), SPAN.lower())
    assert (found.kind, found.end_time_unix_nano, found.status.code) == (3, NOW_NS, 2)
    assert found.events[0].name == "exception"


@pytest.mark.parametrize(
    ("severity", "want"), [("SEVERITY_NUMBER_ERROR", 17), ("SEVERITY_NUMBER_WARN3", 15), (9, 9)]
)
def test_severities_are_taken_by_number_or_name(severity: Any, want: int) -> None:
    request = logs({"body": "a", "severity_number": 9, "trace_id": bytes(range(16))})
    sent = json_format.MessageToDict(request)
    record = sent["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    record |= {"severityNumber": severity, "traceId": bytes(range(16)).hex()}
    (made,) = (
        ExportLogsServiceRequest.FromString(logs_message(json.dumps(sent).encode()))
        .resource_logs[0]
        .scope_logs[0]
        .log_records
    )
    assert (made.severity_number, made.body.string_value) == (want, "a")
    assert made.trace_id == bytes(range(16))


def test_a_body_of_another_form_names_the_place() -> None:
    with pytest.raises(InvalidInput, match=r"resourceSpans") as caught:
        traces_message(b'{"resourceSpans": 3}')
    assert caught.value.reason == "INVALID_FIELD"
