"""Spans by columns: equal to what protobuf objects say, whatever is sent."""

import struct
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mesh.errors import InvalidInput
from services.ingest.model.events import (
    DATABASE,
    EVENT,
    GRPC_CODE,
    PARENT_UNSAID,
    QUEUE,
    RECORD,
    REMOTE_PARENT,
    hash32,
    hash64,
    shards_of,
)
from services.ingest.otlp import operations
from services.ingest.otlp.known import PLACE
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.traces import OtlpTracesReader
from tests.ingest.otlp.events import NOW_NS, fill, logs, traces
from tests.properties import examples

_CODES = ("http.response.status_code", "http.status_code")


_GRPC = ("rpc.grpc.status_code", "rpc.response.status_code")


TRACES, LOGS = OtlpTracesReader(), OtlpLogsReader()


ids = st.one_of(st.binary(min_size=16, max_size=16), st.binary(max_size=20))


span_ids = st.one_of(st.just(b""), st.binary(min_size=8, max_size=8), st.binary(max_size=10))


texts = st.sampled_from(["", "GET", "POST", "/cart/{id}", "a.B", "cart:8080", "orders", "7", "42"])


values = st.one_of(texts, st.integers(-5, 70_000), st.booleans(), st.binary(max_size=3))


attributes = st.dictionaries(st.sampled_from([*PLACE, "thread.name", "x" * 50, ""]), values)


times = st.sampled_from([0, 1, NOW_NS - 5_000_000, NOW_NS, NOW_NS + 10**12])


@st.composite
def spans(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Requests with anything in them."""
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        made = request.resource_spans.add()
        fill(made.resource.attributes, draw(st.sampled_from([{}, {"service.name": "cart"}])))
        scope = made.scope_spans.add()
        for _ in range(draw(st.integers(0, 4))):
            span = scope.spans.add(
                trace_id=draw(ids),
                span_id=draw(span_ids),
                parent_span_id=draw(span_ids),
                name=draw(st.sampled_from(["", "work", "GET /cart/123", "ü/ä"])),
                kind=draw(st.integers(0, 5)),
                flags=draw(st.sampled_from([0, 0x100, 0x300])),
                start_time_unix_nano=draw(times),
                end_time_unix_nano=draw(times),
            )
            span.status.code = draw(st.integers(0, 2))
            fill(span.attributes, draw(attributes))
    return request


def known(span: Any) -> dict[str, str]:
    """The known attributes as texts; of a key that comes twice the last one counts."""
    found: dict[str, str] = {}
    for each in span.attributes:
        if each.key in PLACE:
            found.pop(each.key, None)
            if each.value.HasField("int_value"):
                found[each.key] = str(min(max(each.value.int_value, -1), 2**31 - 1))
            elif each.value.string_value:
                found[each.key] = each.value.string_value
    return {key: found[key] for key in PLACE if key in found}


def code_of(said: dict[str, str], names: tuple[str, ...]) -> int:
    """The first of these that is a number below a thousand."""
    numbers = [said[name] for name in names if name in said]
    return next((int(each) for each in numbers if each.isdigit() and int(each) < 1000), 0)


def row_of(span: Any, service: str) -> dict[str, Any]:
    """What the row of a span must hold."""
    said = known(span)
    name = operations.operation_name(span.name, said)
    address = operations.address(span.kind, said)
    http, grpc = code_of(said, _CODES), code_of(said, _GRPC)
    is_grpc = not http and any(name in said for name in _GRPC)
    flags = DATABASE * operations.is_database(said) + QUEUE * operations.is_queue(said)
    flags += GRPC_CODE * is_grpc
    flags += {0x100: 0, 0x300: REMOTE_PARENT}.get(span.flags & 0x300, PARENT_UNSAID)
    ends = span.end_time_unix_nano or span.start_time_unix_nano
    return {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent": struct.unpack("<Q", span.parent_span_id.ljust(8, b"\0"))[0],
        "start_ns": min(span.start_time_unix_nano, ends),
        "end_ns": ends,
        "operation": hash64(service, name),
        "peer": hash32(address) if address else 0,
        "kind": span.kind if 0 <= span.kind <= 5 else 0,
        "status": span.status.code if 0 <= span.status.code <= 2 else 0,
        "code": grpc if is_grpc else http,
        "flags": flags,
        "thinning": 0,
    }


def expected(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    """The rows of the spans that must be taken."""
    rows = []
    for each in request.resource_spans:
        said = {a.key: a.value.string_value for a in each.resource.attributes}
        for span in (span for scope in each.scope_spans for span in scope.spans):
            ends = span.end_time_unix_nano or span.start_time_unix_nano
            sizes = len(span.trace_id), len(span.span_id), len(span.parent_span_id)
            fits = sizes[:2] == (16, 8) and sizes[2] in (0, 8)
            fits &= any(span.trace_id) and any(span.span_id)
            if fits and 0 < ends <= NOW_NS + 300 * 10**9:
                rows.append(row_of(span, said.get("service.name") or "unknown"))
    return rows


def found(body: bytes) -> list[dict[str, Any]]:
    """The rows of spans as they are read."""
    rows = TRACES.read(body, NOW_NS).rows
    asked = [name for name in EVENT.names or () if name not in ("instance", "severity")]
    read = [{name: row[name] for name in asked} for row in rows if row["kind"] < RECORD]
    return [
        each | {"trace_id": bytes(each["trace_id"]), "span_id": bytes(each["span_id"])}
        for each in read
    ]


@examples(150)
@given(spans())
def test_spans_are_read_as_objects_are(request: ExportTraceServiceRequest) -> None:
    assert found(request.SerializeToString()) == expected(request)


@examples(400)
@given(spans(), st.data())
def test_a_broken_body_is_never_our_fault(
    request: ExportTraceServiceRequest, data: st.DataObject
) -> None:
    """What objects and we both take is the same; what neither takes is its sender's fault."""
    body = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = found(bytes(body))
    except InvalidInput as error:
        if error.reason not in ("BODY_BROKEN", "TOO_MANY_FIELDS"):
            raise
        return
    try:
        parsed = ExportTraceServiceRequest.FromString(bytes(body))
    except DecodeError:  # bad UTF-8, or a fault in what is skipped
        return
    assert [row["trace_id"] for row in read] == [row["trace_id"] for row in expected(parsed)]


def test_names_come_from_what_senders_keep_few() -> None:
    request = traces(
        {"attributes": {"http.method": "GET", "http.route": "/cart/{id}"}},
        {"attributes": {"rpc.service": "shop.Cart", "rpc.method": "Add"}},
        {"kind": 3, "attributes": {"db.system": "postgresql", "db.operation": "SELECT"}},
        {"kind": 4, "attributes": {"messaging.system": "kafka", "messaging.destination": "orders"}},
        {"name": "GET /users/8731/mail/bob@example.com"},
        {"name": "job 4f0c2b1a9d3e in /a/b/c/d/e/f/g"},
        resource={},
    )
    names = TRACES.read(request.SerializeToString(), NOW_NS).names
    assert [each.name for each in names.operations.values()] == [
        "GET /cart/{id}",
        "shop.Cart/Add",
        "postgresql SELECT",
        "orders",
        "GET /users/*/mail/*",
        "job * in /a/b/c/d/e",
    ]
    assert {each.service for each in names.operations.values()} == {"unknown"}
    assert sorted(names.addresses.values()) == ["orders", "postgresql"]


@pytest.mark.parametrize(
    ("said", "want"),
    [
        ({"server.address": "cart", "server.port": 8080}, "cart:8080"),
        ({"http.url": "https://u:p@cart.svc:8443/a?token=x"}, "cart.svc:8443"),
        ({"url.full": "http://cart/a/b"}, "cart"),
        ({"peer.service": "cart", "server.address": "10.0.0.1"}, "cart"),
        ({}, ""),
    ],
)
def test_who_is_called_is_known_by_either_generation(said: dict[str, Any], want: str) -> None:
    body = traces({"kind": 3, "attributes": said}).SerializeToString()
    assert [*TRACES.read(body, NOW_NS).names.addresses.values()] == ([want] if want else [])


@pytest.mark.parametrize(
    "attribute",
    [
        b"\x0a\x0cpeer.service\x12\x06\x0a\x04cart",
        b"\x12\x06\x0a\x04cart\x0a\x0cpeer.service",
        b"\x0a\x8c\x00peer.service\x12\x06\x0a\x04cart",
        b"\x0a\x01x\x0a\x0cpeer.service\x12\x06\x0a\x04cart",
        b"\x0a\x0cpeer.service\x12\x04\x0a\x02no\x12\x06\x0a\x04cart",
        b"\x0a\x0cpeer.service\x12\x08\x10\x01\x0a\x04cart",
        b"\x0a\x0cpeer.service\x12\x06\x0a\x04cart\x18\x01",
        b"\x0a\x0cpeer.service\x12\x02\x10\x01\x12\x06\x0a\x04cart",
    ],
)
def test_an_attribute_may_be_written_in_any_way(attribute: bytes) -> None:
    span = traces({"kind": 3}).resource_spans[0].scope_spans[0].spans[0]
    raw = span.SerializeToString() + b"\x4a" + _size(attribute) + attribute
    scope = b"\x12" + _size(raw) + raw
    resource = b"\x12" + _size(scope) + scope
    body = b"\x0a" + _size(resource) + resource
    assert [*TRACES.read(body, NOW_NS).names.addresses.values()] == ["cart"]


def _size(content: bytes) -> bytes:
    size = len(content)
    return bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])


@pytest.mark.parametrize("size", [1, 120, 127, 128, 129, 250])
def test_a_text_of_any_size_is_read(size: int) -> None:
    request = traces({"kind": 3, "attributes": {"peer.service": "c" * size, "x": "y" * size}})
    names = TRACES.read(request.SerializeToString(), NOW_NS).names
    assert [*names.addresses.values()] == ["c" * size]


def test_a_refused_span_costs_no_other() -> None:
    request = traces(
        {"trace_id": b"base64-of-an-id=="},
        {"span_id": b""},
        {"parent_span_id": b"short"},
        {"start_time_unix_nano": 0, "end_time_unix_nano": 0},
        {"end_time_unix_nano": NOW_NS + 400 * 10**9},
        {},
    )
    read = TRACES.read(request.SerializeToString(), NOW_NS)
    assert (len(read.rows), read.rejected) == (1, 5)
    assert [*read.reasons] == [
        "a trace_id must have 16 bytes, not all of them 0",
        "a span_id must have 8 bytes, not all of them 0",
        "a parent_span_id must have 8 bytes, or none",
    ]


def test_an_exception_is_a_record_of_its_span_and_its_text_is_masked() -> None:
    told = {
        "exception.type": "shop.CardRefused",
        "exception.message": "card 4111 1111 1111 1111 of bob@example.com, password=hunter2",
        "exception.stacktrace": 'Traceback\n  File "/srv/shop/pay.py", line 7, in charge\n  x()',
    }
    read = OtlpTracesReader().read(
        traces({"error": True, "events": [told]}, {}).SerializeToString(), NOW_NS
    )
    (record,) = (row for row in read.rows if row["kind"] == RECORD)
    assert bytes(record["span_id"]) == (1).to_bytes(8, "big")
    assert read.names.exceptions[int(record["peer"])] == "shop.CardRefused"
    (example,) = read.examples
    assert example.message == "card *** of ***, password=***"
    assert example.frames == ["srv/shop/pay.py:7 charge"]


def test_of_sampled_traces_the_weight_is_kept() -> None:
    states = ["ot=th:8", "congo=t61,ot=rv:12;th:c", "ot=rv:1", "", "ot=th:xyz", "cot=th:8"]
    states += ["ot=rv:1,a=th:8", "ot=th:ffffffffffffff", "ot=th:8000000000000000"]
    body = traces(*({"trace_state": each} for each in states)).SerializeToString()
    thinning = TRACES.read(body, NOW_NS).rows["thinning"].tolist()
    assert [2 ** (each / 8) for each in thinning] == [2.0, 4.0] + [1.0] * 5 + [
        2 ** (255 / 8),
        1.0,
    ]


def test_a_body_has_at_most_10000_records() -> None:
    bodies = [traces(*[{}] * 10_001), logs(*[{"body": "a"}] * 10_001)]
    for reader, body in zip((TRACES, LOGS), bodies, strict=True):
        with pytest.raises(InvalidInput, match="more than 10000 records"):
            reader.read(body.SerializeToString(), NOW_NS)


def test_a_trace_lies_in_one_shard_however_its_id_is_made() -> None:
    rows = np.zeros(4000, EVENT)
    of_trace = np.arange(2000).repeat(2).astype(">u8")
    for place in (0, 8):  # ids that differ in one half only, as counters and times do
        halves = np.zeros((4000, 2), ">u8")
        halves[:, place // 8] = of_trace
        rows["trace_id"] = halves.view("V16").ravel()
        shards = shards_of(rows, 16).reshape(-1, 2)
        assert (shards[:, 0] == shards[:, 1]).all()
        assert np.bincount(shards[:, 0], minlength=16).min() > 60
