"""Whatever comes, it is never our fault: no 500, and the gateway lives on."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.conftest import Running
from tests.gateway.scripted import Script
from tests.properties import examples

TEXT = st.text(max_size=12)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
TIMES = st.sampled_from(
    [
        "2026-11-20T10:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999999-14:00",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59Z",
    ]
)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3) | JSON
ALERTS = st.lists(
    st.fixed_dictionaries(
        {"labels": LABELS, "startsAt": TIMES | JSON},
        optional={
            "endsAt": TIMES | JSON,
            "status": st.sampled_from(["firing", "resolved"]) | JSON,
            "annotations": LABELS,
            "generatorURL": TEXT | JSON,
        },
    )
    | JSON,
    max_size=4,
)
SAMPLES = st.lists(
    st.fixed_dictionaries(
        {"metric_name": TEXT, "metric_value": NUMBERS | JSON},
        optional={"labels": LABELS, "timestamp": TIMES | NUMBERS | JSON},
    )
    | JSON,
    max_size=4,
)
FUZZ = examples(20)
EXPECTED = (200, 400, 404, 413, 415)


@FUZZ
@given(body=ALERTS | st.fixed_dictionaries({"version": st.just("4"), "alerts": ALERTS}) | JSON)
async def test_no_alerts_break_the_door(
    client: httpx.AsyncClient, script: Script, body: Any
) -> None:
    await send(client, "/api/v1/alerts", body)


@FUZZ
@given(body=SAMPLES | JSON)
async def test_no_samples_break_the_door(
    client: httpx.AsyncClient, script: Script, body: Any
) -> None:
    await send(client, "/api/v1/metrics", body)


@FUZZ
@given(body=st.dictionaries(st.sampled_from(["producerId", "series", "batch", "x"]), JSON) | JSON)
async def test_no_transcoded_body_breaks_the_door(
    client: httpx.AsyncClient, script: Script, body: Any
) -> None:
    await send(client, "/api/v1/samples:write", body)


@FUZZ
@given(name=st.sampled_from(["selector", "pageSize", "startTime", "state"]) | TEXT, value=TEXT)
async def test_no_query_breaks_the_door(
    client: httpx.AsyncClient, script: Script, name: str, value: str
) -> None:
    response = await client.get("/api/v1/alerts", params={name: value})
    assert response.status_code in EXPECTED, response.text


@FUZZ
@given(content=st.binary(max_size=60))
async def test_no_bytes_break_the_door(
    client: httpx.AsyncClient, script: Script, content: bytes
) -> None:
    for path in ("/api/v1/alerts", "/api/v1/metrics", "/api/v1/samples:write"):
        headers = {"Content-Type": "application/json"}
        response = await client.post(path, content=content, headers=headers)
        assert response.status_code in EXPECTED, response.text


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/alerts/%00",
        "/api/v1/alerts/%ff%fe",
        "/api/v1/alerts/" + "a" * 8000,
        "/api/v1/alerts/..%2f..%2fetc",
        "/api/v1/alerts?selector=%00",
        "/api/v1/alerts?selector=%ff",
        "/api/v1/alerts?%00=%00",
        "/api/v1//alerts",
        "/api/v1/alerts/",
        "/%2e%2e/%2e%2e",
    ],
)
async def test_no_path_breaks_the_door(
    client: httpx.AsyncClient, script: Script, path: str
) -> None:
    response = await client.get(path)
    assert response.status_code in EXPECTED, response.text


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/nothing HTTP/1.1\r\nHost: [\r\n\r\n",
        b"GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Basic \xff\r\n\r\n",
        b"GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nX-API-Key: \xff\r\n\r\n",
        b"POST /api/v1/auth/token HTTP/1.1\r\nHost: a\r\nAuthorization: Basic \xff\r\n\r\n",
        b"BREW /api/v1/alerts HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ,,\xff\r\n\r\n",
        b"GET /api/v1/alerts HTTP/1.1\r\nHost: a\r\ntraceparent: 00-zz\r\n\r\n",
        b"POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_no_head_breaks_the_door(running: Running, head: bytes) -> None:
    status = await raw_status(running, head)
    assert 400 <= status < 500, status
    assert (await running.http.get("/livez")).status_code == 200


async def test_a_body_that_stops_in_the_middle_harms_nobody(
    running: Running, script: Script
) -> None:
    port = int(running.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    token = running.token("operator")
    head = (
        f"POST /api/v1/alerts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{"
    )
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await running.http.get("/livez")).status_code == 200
    assert script.count("WriteAlerts") == 0


async def send(client: httpx.AsyncClient, path: str, body: Any) -> None:
    """Posts JSON and demands an answer that is no fault of ours."""
    response = await client.post(
        path, content=msgspec.json.encode(body), headers={"Content-Type": "application/json"}
    )
    assert response.status_code in EXPECTED, response.text


async def raw_status(running: Running, head: bytes) -> int:
    """The status of the answer to these bytes."""
    port = int(running.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head)
        line = await asyncio.wait_for(reader.readline(), 25)
        return int(line.split()[1])
    finally:
        writer.close()
        await writer.wait_closed()
