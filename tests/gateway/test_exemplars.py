"""Exemplars over HTTP before a real ingest: every format in, read back by REST."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.gateway.conftest import reason_of
from tests.gateway.remote_write import WRITTEN, write
from tests.ingest.write.test_exemplars import NOW_MS, SPAN, TRACE, by_objects, v1, v2

IDS = {"trace_id": TRACE, "span_id": SPAN}


async def stored(client: httpx.AsyncClient, selector: str) -> list[dict[str, Any]]:
    """Exemplars of the series that match, as the answer has them."""
    start = datetime.fromtimestamp(NOW_MS / 1000 - 60, UTC).isoformat()
    params = {"selector": selector, "startTime": start}
    answer = await client.get("/api/v1/exemplars", params=params)
    assert answer.status_code == 200, answer.text
    return [each for series in answer.json()["series"] for each in series["exemplars"]]


def shown(value: float) -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW_MS / 1000, UTC).isoformat().replace("+00:00", "Z")
    return {"time": at, "value": value, "traceId": TRACE, "spanId": SPAN}


@pytest.mark.parametrize("message", [v1, v2])
async def test_exemplars_of_remote_write(to_ingest: httpx.AsyncClient, message: Any) -> None:
    name = f"of_{message.__name__}"
    other = (0, 1.0, {"user": "leads nowhere"})
    answer = await write(to_ingest, message(name, (0, 2.5, IDS), other))
    assert answer.status_code == 204
    if message is v2:
        assert answer.headers[WRITTEN.format("Exemplars")] == "1"
    assert await stored(to_ingest, name) == [shown(2.5)]


def as_json(request: ExportMetricsServiceRequest) -> bytes:
    """As OpenTelemetry writes it: ids in hexadecimal digits, not in base 64."""
    made = json_format.MessageToDict(request)

    def mend(node: Any) -> None:
        for each in node if isinstance(node, list) else node.values():
            if isinstance(each, dict | list):
                mend(each)
        if isinstance(node, dict) and "traceId" in node:
            node |= {"traceId": TRACE.upper(), "spanId": SPAN}

    mend(made)
    return json.dumps(made).encode()


@pytest.mark.parametrize("kind", ["x-protobuf", "json"])
async def test_exemplars_of_otlp(to_ingest: httpx.AsyncClient, kind: str) -> None:
    request = by_objects()
    for metric in request.resource_metrics[0].scope_metrics[0].metrics:
        metric.name = f"{metric.name}.{kind}"
    body = as_json(request) if kind == "json" else request.SerializeToString()
    headers = {"Content-Type": f"application/{kind}"}
    answer = await to_ingest.post("/v1/metrics", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    name = kind.replace("-", "_")
    names = ("orders", "depth", "latency", "size")
    found = [await stored(to_ingest, f'{{__name__=~"{metric}_{name}.*"}}') for metric in names]
    assert found == [
        [shown(0.5)], [shown(1.0)], [shown(2.5)] * 2, [shown(3.0)] * 2
    ]  # fmt: skip


async def test_an_example_whose_ids_cannot_be_read_costs_no_point(
    to_ingest: httpx.AsyncClient,
) -> None:
    point = {
        "timeUnixNano": str(NOW_MS * 10**6), "asDouble": 1.0,
        "exemplars": [{"traceId": "zz", "timeUnixNano": str(NOW_MS * 10**6), "asDouble": 2.0}],
    }  # fmt: skip
    metric = {"name": "unreadable_ids", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    answer = await to_ingest.post("/v1/metrics", json=body)
    assert (answer.status_code, answer.json()) == (200, {})
    assert await stored(to_ingest, "unreadable_ids") == []


async def test_a_question_needs_a_selector_a_time_and_few_series(
    to_ingest: httpx.AsyncClient,
) -> None:
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    for params, reason in (
        ({"startTime": now}, "INVALID_SELECTOR"),
        ({"selector": "up"}, "INVALID_FIELD"),
    ):
        answer = await to_ingest.get("/api/v1/exemplars", params=params)
        assert (answer.status_code, reason_of(answer)) == (400, reason)
    await write(to_ingest, v1("several", i="1"))
    await write(to_ingest, v1("several", i="2"))
    params = {"selector": "several", "startTime": now, "maxSeries": "1"}
    answer = await to_ingest.get("/api/v1/exemplars", params=params)
    assert (answer.status_code, reason_of(answer)) == (429, "TOO_MANY_SERIES")
