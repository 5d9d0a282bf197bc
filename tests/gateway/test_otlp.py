"""OTLP metrics over HTTP before a real ingest: types, encodings, answers, and what is stored."""

import gzip
import itertools
import json
import math
import threading
import time
from types import ModuleType
from typing import Any

import cramjam
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from mesh.errors import Overloaded, Unavailable
from services.gateway.intake import otlp, otlp_json
from services.gateway.intake.otlp_json import metrics_message
from tests.gateway.conftest import Running
from tests.gateway.scripted import Script
from tests.gateway.test_remote_write import NOW_MS, stored, until_described

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}

_names = (f"exported_{number}" for number in itertools.count())


def request_of(name: str) -> ExportMetricsServiceRequest:
    """A gauge with two points and a counter of a service."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, value in (("service.name", "shop"), ("k8s.pod.name", "shop-1")):
        resource.resource.attributes.add(key=key).value.string_value = value
    metrics = resource.scope_metrics.add().metrics
    gauge = metrics.add(name=name, unit="By", description="Of it.")
    for ago_ms, value in ((2000, 1.5), (1000, 2.5)):
        point = gauge.gauge.data_points.add(
            time_unix_nano=(NOW_MS - ago_ms) * 10**6, as_double=value
        )
        point.attributes.add(key="queue.name").value.string_value = "a"
    counter = metrics.add(name=f"{name}.count", unit="{thing}")
    counter.sum.is_monotonic, counter.sum.aggregation_temporality = True, 2
    counter.sum.data_points.add(time_unix_nano=(NOW_MS - 1000) * 10**6, as_int=7)
    return request


async def export(
    client: httpx.AsyncClient, body: bytes, path: str = "/v1/metrics", **headers: str
) -> httpx.Response:
    return await client.post(path, content=body, headers=PROTOBUF | headers)


WHO = {"job": "shop", "service": "shop", "pod": "shop-1"}


@pytest.mark.parametrize("path", ["/v1/metrics", "/api/v1/otlp/v1/metrics"])
@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
async def test_points_are_stored_before_the_answer(
    to_ingest: httpx.AsyncClient, path: str, encoding: str
) -> None:
    name = next(_names)
    body = request_of(name).SerializeToString()
    packed = {"": body, "gzip": gzip.compress(body), "zstd": bytes(cramjam.zstd.compress(body))}
    more = {"Content-Encoding": encoding} if encoding else {}
    answer = await export(to_ingest, packed[encoding], path, **more)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    labels = {"__name__": f"{name}_bytes", "queue_name": "a"} | WHO
    assert await stored(to_ingest, f"{name}_bytes") == [(labels, [(2000, 1.5), (1000, 2.5)])]
    labels = {"__name__": f"{name}_count_total"} | WHO
    assert await stored(to_ingest, f"{name}_count_total") == [(labels, [(1000, 7)])]
    described = ("METRIC_TYPE_GAUGE", "By", "Of it.")
    await until_described(to_ingest, f"{name}_bytes", described)


async def test_json_says_the_same_as_protobuf(to_ingest: httpx.AsyncClient) -> None:
    name = next(_names)
    content = json.loads(json_format.MessageToJson(request_of(name)))
    content["unknown"] = {"a": 1}
    point = content["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["gauge"]["dataPoints"][0]
    point["exemplars"] = [{"traceId": "5B8EFFF798038103D269B633813FC60C", "asDouble": 1}]
    point["timeUnixNano"] = int(point["timeUnixNano"])
    answer = await to_ingest.post("/v1/metrics", json=content)
    assert (answer.status_code, answer.json()) == (200, {})
    labels = {"__name__": f"{name}_bytes", "queue_name": "a"} | WHO
    assert await stored(to_ingest, f"{name}_bytes") == [(labels, [(2000, 1.5), (1000, 2.5)])]
    assert [s for _, s in await stored(to_ingest, f"{name}_count_total")] == [[(1000, 7)]]


async def test_a_request_that_comes_again_counts_once(to_ingest: httpx.AsyncClient) -> None:
    name = next(_names)
    body = request_of(name).SerializeToString()
    for _ in range(3):
        assert (await export(to_ingest, body)).status_code == 200
    (_, samples), *others = await stored(to_ingest, f"{name}_bytes")
    assert (len(samples), others) == (2, [])


async def test_a_bad_point_costs_no_other(to_ingest: httpx.AsyncClient) -> None:
    name = next(_names)
    request = request_of(name)
    points = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    points.add(time_unix_nano=(NOW_MS - 500) * 10**6)  # no value
    points.add(as_double=1.0)  # no time
    points.add(time_unix_nano=(NOW_MS + 3_600_000) * 10**6, as_double=1.0)  # ahead
    request.resource_metrics[0].scope_metrics[0].metrics.add(name="x").sum.data_points.add(
        time_unix_nano=NOW_MS * 10**6, as_int=1
    )  # no temporality
    answer = await export(to_ingest, request.SerializeToString())
    assert answer.status_code == 200
    said = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert said.rejected_data_points == 4
    assert name in said.error_message
    in_json = await to_ingest.post(
        "/v1/metrics", content=json_format.MessageToJson(request), headers=JSON
    )
    assert in_json.json()["partialSuccess"]["rejectedDataPoints"] == "4"
    (_, samples), *_ = await stored(to_ingest, f"{name}_bytes")
    assert samples == [(2000, 1.5), (1000, 2.5)]


def test_null_is_the_default_value_in_json() -> None:
    sent = {
        "resourceMetrics": [
            {
                "resource": {"attributes": None},
                "scopeMetrics": [
                    {
                        "scope": None,
                        "metrics": [
                            {
                                "name": "x",
                                "unit": None,
                                "gauge": {
                                    "dataPoints": [
                                        {"attributes": None, "asInt": "3", "timeUnixNano": None}
                                    ]
                                },
                            }
                        ],
                    }
                ],
            }
        ]
    }
    message = metrics_message(json.dumps(sent).encode())
    found = ExportMetricsServiceRequest.FromString(message).resource_metrics[0]
    (point,) = found.scope_metrics[0].metrics[0].gauge.data_points
    assert (point.as_int, point.time_unix_nano) == (3, 0)


def test_a_text_cut_within_a_character_costs_no_batch() -> None:
    """As senders in JavaScript cut long values; Python writes NaN without quotes."""
    attribute = {"key": "k", "value": {"stringValue": "cut \ud83d"}}
    points = [{"asDouble": math.nan, "attributes": [attribute], "timeUnixNano": None}]
    metric = {"name": "x", "gauge": {"dataPoints": points}}
    sent = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    message = metrics_message(json.dumps(sent).encode())
    found = ExportMetricsServiceRequest.FromString(message).resource_metrics[0]
    (point,) = found.scope_metrics[0].metrics[0].gauge.data_points
    assert math.isnan(point.as_double)
    assert point.attributes[0].value.string_value == "cut ?"


@pytest.mark.parametrize("value", [2**63, "9223372036854775808", -(2**63) - 1])
def test_an_integer_out_of_range_costs_its_point_alone(value: Any) -> None:
    points = [{"asInt": value}, {"asInt": "-9223372036854775808"}]
    metric = {"name": "x", "gauge": {"dataPoints": points}}
    sent = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    message = metrics_message(json.dumps(sent).encode())
    found = ExportMetricsServiceRequest.FromString(message).resource_metrics[0]
    first, second = found.scope_metrics[0].metrics[0].gauge.data_points
    assert first.WhichOneof("value") is None
    assert second.as_int == -(2**63)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"resourceMetrics": []}'])
async def test_an_empty_request_is_a_success(to_ingest: httpx.AsyncClient, body: bytes) -> None:
    headers = JSON if body else PROTOBUF
    answer = await to_ingest.post("/v1/metrics", content=body, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("module", "name", "body", "headers"),
    [
        (otlp, "unpacked", gzip.compress(b"\0" * 10_000_000), {"Content-Encoding": "gzip"}),
        (otlp_json, "message", b'{"resourceMetrics": [' + b"{}," * 10_000 + b"{}]}", JSON),
    ],
    ids=["gzip", "json"],
)
async def test_a_small_body_that_is_much_work_does_not_hold_the_loop(
    to_ingest: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    body: bytes,
    headers: dict[str, str],
) -> None:
    threads: list[bool] = []
    work: Any = getattr(module, name)

    def watched(*args: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return work(*args)

    monkeypatch.setattr(module, name, watched)
    await export(to_ingest, body, **headers)
    assert threads == [False]


BODY = request_of("captured").SerializeToString()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"\x0a\x7f", {}, 400, id="no message"),
        pytest.param(BODY[:-3], {}, 400, id="cut"),
        pytest.param(BODY, {"Content-Type": "text/plain"}, 415, id="type"),
        pytest.param(BODY, {"Content-Encoding": "br"}, 415, id="encoding"),
        pytest.param(BODY, {"Content-Encoding": "gzip"}, 400, id="no gzip"),
        pytest.param(BODY, {"Content-Encoding": "zstd"}, 400, id="no zstd"),
        pytest.param(
            gzip.compress(b"\0" * 50_000_000, 1), {"Content-Encoding": "gzip"}, 413, id="gzip bomb"
        ),
        pytest.param(
            bytes(cramjam.zstd.compress(b"\0" * 50_000_000)),
            {"Content-Encoding": "zstd"},
            413,
            id="zstd bomb",
        ),
        pytest.param(b"{", JSON, 400, id="no json"),
        pytest.param(b'{"resourceMetrics": 3}', JSON, 400, id="other json"),
        pytest.param(
            b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": '
            b'[{"timeUnixNano": "x"}]}}]}]}]}',
            JSON,
            400,
            id="no number",
        ),
        pytest.param(
            gzip.compress(b'{"resourceMetrics": [' + b"{}," * 1_000_000 + b"{}]}", 1),
            JSON | {"Content-Encoding": "gzip"},
            413,
            id="json bomb",
        ),
    ],
)
async def test_a_request_that_cannot_be_read_is_its_senders_fault(
    to_ingest: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await export(to_ingest, body, **headers)
    assert answer.status_code == status, answer.content
    if answer.headers["content-type"] == "application/json":
        assert answer.json()["message"]
    else:
        assert status_pb2.Status.FromString(answer.content).message


async def test_attributes_nested_without_end_are_refused(to_ingest: httpx.AsyncClient) -> None:
    value: dict[str, Any] = {"intValue": "1"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    point = {
        "timeUnixNano": str(NOW_MS * 10**6),
        "asDouble": 1,
        "attributes": [{"key": "k", "value": value}],
    }
    metric = {"name": "deep", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    assert (await to_ingest.post("/v1/metrics", json=body)).status_code == 400


async def test_any_bit_of_a_captured_request_may_flip(to_ingest: httpx.AsyncClient) -> None:
    for at in range(0, 8 * len(BODY), 61):
        flipped = bytearray(BODY)
        flipped[at // 8] ^= 1 << at % 8
        answer = await export(to_ingest, bytes(flipped))
        assert answer.status_code in (200, 400), (at, answer.content)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("no database", retry_after_s=2), 503),
        (Overloaded("too much", reason="CALLER_OVER_LIMIT", retry_after_s=2), 429),
    ],
)
async def test_what_cannot_be_committed_now_is_to_be_sent_again(
    client: httpx.AsyncClient, script: Script, error: Exception, status: int
) -> None:
    script.answers["Export"] = error
    answer = await export(client, BODY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "2")


async def test_who_may_not_write_samples_is_turned_away(running: Running) -> None:
    assert (await export(running.http, BODY)).status_code == 401
    async with running.client("viewer") as viewer:
        assert (await export(viewer, BODY)).status_code == 403


async def test_a_counter_of_differences_becomes_a_total(to_ingest: httpx.AsyncClient) -> None:
    name, now_ms = next(_names), int(time.time() * 1000)
    sent = [(3000, 5, b""), (2000, 0, b""), (1000, 7, b""), (2000, 100, b"not newer")]
    for step, (ago_ms, more, refused) in enumerate(sent):
        request = ExportMetricsServiceRequest()
        metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 1
        metric.sum.data_points.add(
            time_unix_nano=(now_ms - ago_ms) * 10**6, as_int=more, start_time_unix_nano=step
        )
        answer = await export(to_ingest, request.SerializeToString())
        assert answer.status_code == 200
        success = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert success.rejected_data_points == bool(refused)
        assert refused in answer.content
    ((_, samples),) = await stored(to_ingest, f"{name}_total")
    assert [value for _, value in samples] == [5, 5, 12]
