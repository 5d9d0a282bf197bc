"""Server streams as events and as lines, resumed, cut off and drained."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mesh.errors import InvalidInput, NotFound, Unavailable
from sensus.detector.v1 import detector_service_pb2 as detector
from sensus.explainer.v1 import explainer_service_pb2 as explainer
from sensus.ingest.v1 import ingest_service_pb2 as ingest
from tests.gateway.conftest import Running, Start, fields_of, reason_of
from tests.gateway.scripted import Script

WATCH = "/api/v1/anomalies:watch"


def anomaly(cursor: int) -> detector.WatchAnomaliesResponse:
    """A frame with an anomaly."""
    return detector.WatchAnomaliesResponse(
        cursor=cursor, anomaly=detector.Anomaly(anomaly_id=f"a-{cursor}", cursor=cursor)
    )


async def three(
    request: detector.WatchAnomaliesRequest,
) -> AsyncIterator[detector.WatchAnomaliesResponse]:
    """What was kept after the cursor, then the end."""
    for cursor in range(request.after_cursor + 1, 4):
        yield anomaly(cursor)


async def for_ever(request: Any) -> AsyncIterator[detector.WatchAnomaliesResponse]:
    """One anomaly, then silence."""
    yield anomaly(1)
    await asyncio.Event().wait()


def events(text: str) -> list[dict[str, str]]:
    """Server-sent events, without comments."""
    blocks = [block.splitlines() for block in text.split("\n\n")]
    parsed = [dict(line.split(": ", 1) for line in b if not line.startswith(":")) for b in blocks]
    return [event for event in parsed if "data" in event]


async def next_event(lines: AsyncIterator[str]) -> dict[str, str]:
    """The next event of a stream that is open."""
    event: dict[str, str] = {}
    async for line in lines:
        if line == "" and "data" in event:
            return event
        if ": " in line and not line.startswith(":"):
            key, value = line.split(": ", 1)
            event[key] = value
    raise AssertionError("the stream ended")


async def until_cancelled(script: Script) -> None:
    """Returns when a service saw its rpc cancelled."""
    async with asyncio.timeout(60):
        while not script.cancelled:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_frames_become_events_with_their_cursor(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WatchAnomalies"] = three
    response = await client.get(WATCH, params={"afterCursor": "1", "selector": "{a='b'}"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    received = events(response.text)
    assert [(e.get("id"), e["event"]) for e in received] == [
        ("2", "anomaly"),
        ("3", "anomaly"),
        (None, "end"),
    ]
    assert json.loads(received[0]["data"])["anomaly"]["anomalyId"] == "a-2"
    assert script.last("WatchAnomalies").request.selector == "{a='b'}"


async def test_explanations_are_watched_as_anomalies_are(
    client: httpx.AsyncClient, script: Script
) -> None:
    async def two(
        request: explainer.WatchExplanationsRequest,
    ) -> AsyncIterator[explainer.WatchExplanationsResponse]:
        frame = explainer.WatchExplanationsResponse
        yield frame(cursor=8, explanation=explainer.Explanation(summary="s"))
        yield frame(cursor=9, heartbeat=explainer.WatchHeartbeat())

    script.answers["WatchExplanations"] = two
    params = {"afterCursor": "7", "grouped": "true", "state": "DONE"}
    response = await client.get("/api/v1/explanations:watch", params=params)
    assert [(e.get("id"), e["event"]) for e in events(response.text)] == [
        ("8", "explanation"),
        ("9", "heartbeat"),
        (None, "end"),
    ]
    asked = script.last("WatchExplanations").request
    assert (asked.after_cursor, asked.grouped) == (7, True)
    assert asked.state == explainer.EXPLANATION_STATE_DONE


async def test_last_event_id_resumes(client: httpx.AsyncClient, script: Script) -> None:
    script.answers["WatchAnomalies"] = three
    headers = {"Last-Event-ID": "2"}
    response = await client.get(WATCH, headers=headers, params={"afterCursor": "0"})
    assert [event.get("id") for event in events(response.text)] == ["3", None]


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "99999999999999999999999"])
async def test_a_bad_last_event_id_is_400(
    client: httpx.AsyncClient, script: Script, last: str
) -> None:
    response = await client.get(WATCH, headers={"Last-Event-ID": last})
    assert response.status_code == 400
    assert fields_of(response)
    assert not script.calls


async def test_an_explanation_streams_and_resumes_by_sequence(
    client: httpx.AsyncClient, script: Script
) -> None:
    async def explain(
        request: explainer.ExplainRequest,
    ) -> AsyncIterator[explainer.ExplainResponse]:
        frames = [
            explainer.ExplainResponse(sequence=1, stage=explainer.StageUpdate(stage=1, status=1)),
            explainer.ExplainResponse(keepalive=explainer.Keepalive()),
            explainer.ExplainResponse(sequence=2, text_delta=explainer.TextDelta(text="a\nb")),
            explainer.ExplainResponse(sequence=3, result=explainer.Explanation(summary="s")),
        ]
        for frame in frames:
            if frame.sequence > request.resume_after_sequence:
                yield frame

    script.answers["Explain"] = explain
    url = "/api/v1/explanations:explain"
    body = {"subject": {"alertId": "a"}, "requestId": "7b0d4f5e-0000-4000-8000-000000000000"}
    response = await client.post(url, json=body)
    script.answers["Explain"] = explain
    resumed = await client.post(url, json=body, headers={"Last-Event-ID": "2"})
    assert [(e.get("id"), e["event"]) for e in events(resumed.text)] == [
        ("3", "result"),
        (None, "end"),
    ]
    assert events(response.text)[0]["event"] == "stage"


async def test_lines_of_json_when_asked_for(client: httpx.AsyncClient, script: Script) -> None:
    async def samples(
        request: ingest.QuerySamplesRequest,
    ) -> AsyncIterator[ingest.QuerySamplesResponse]:
        for value in (1.0, float("inf")):
            yield ingest.QuerySamplesResponse(
                series=[ingest.SeriesSamples(timestamps_ms=[1], values=[value])]
            )

    script.answers["QuerySamples"] = samples
    response = await client.get(
        "/api/v1/samples",
        params={"selector": "up", "startTime": "2026-11-20T10:00:00Z"},
        headers={"Accept": "application/x-ndjson"},
    )
    assert response.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [line["series"][0]["values"] for line in lines] == [[1.0], ["Infinity"]]


async def test_an_error_before_the_first_frame_is_an_ordinary_answer(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WatchAnomalies"] = InvalidInput("selector", reason="INVALID_SELECTOR")
    response = await client.get(WATCH)
    assert (response.status_code, reason_of(response)) == (400, "INVALID_SELECTOR")
    script.answers["Explain"] = NotFound("alert", "a")
    response = await client.post("/api/v1/explanations:explain", json={"subject": {"alertId": "a"}})
    assert (response.status_code, reason_of(response)) == (404, "ALERT_NOT_FOUND")


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson"])
async def test_an_error_in_the_middle_is_the_last_word(
    client: httpx.AsyncClient, script: Script, accept: str
) -> None:
    async def broken(request: Any) -> AsyncIterator[detector.WatchAnomaliesResponse]:
        yield anomaly(1)
        raise Unavailable("the database does not answer", retry_after_s=1)

    script.answers["WatchAnomalies"] = broken
    response = await client.get(WATCH, headers={"Accept": accept})
    assert response.status_code == 200
    if accept == "text/event-stream":
        last = events(response.text)[-1]
        assert last["event"] == "error"
        frame = json.loads(last["data"])
    else:
        frame = json.loads(response.text.splitlines()[-1])
    assert frame["error"]["code"] == 503


async def test_a_client_that_leaves_cancels_the_rpc(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WatchAnomalies"] = for_ever
    async with client.stream("GET", WATCH) as response:
        assert (await next_event(response.aiter_lines()))["id"] == "1"
        assert script.cancelled == []
    await until_cancelled(script)
    assert script.cancelled == ["WatchAnomalies"]


async def test_a_client_that_reads_nothing_is_cut_off(
    running: Running, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    async def flood(request: Any) -> AsyncIterator[detector.WatchAnomaliesResponse]:
        nonlocal sent
        while True:
            sent += 1
            frame = anomaly(sent)
            frame.anomaly.traceparent = "x" * 50_000
            yield frame

    monkeypatch.setattr("services.gateway.transcoding.streaming._SEND_S", 0.3)
    script.answers["WatchAnomalies"] = flood
    port = int(running.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    head = f"GET {WATCH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {running.token()}\r\n\r\n"
    writer.write(head.encode())
    await until_cancelled(script)
    assert sent < 2000, "what is sent waits for the client"
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_headers_come_before_the_first_frame(
    client: httpx.AsyncClient, script: Script
) -> None:
    async def silent(request: Any) -> AsyncIterator[detector.WatchAnomaliesResponse]:
        await asyncio.Event().wait()
        yield anomaly(1)

    script.answers["WatchAnomalies"] = silent
    async with asyncio.timeout(60), client.stream("GET", WATCH) as response:
        assert response.status_code == 200


async def test_a_draining_gateway_ends_streams(start: Start, script: Script) -> None:
    script.answers["WatchAnomalies"] = for_ever
    async with start() as running:
        headers = running.headers("admin")
        async with running.http.stream("GET", WATCH, headers=headers) as response:
            lines = response.aiter_lines()
            await next_event(lines)
            stopping = asyncio.create_task(running.server.stop(0, 5))
            assert (await next_event(lines))["event"] == "draining"
            await asyncio.wait_for(stopping, 60)
        await until_cancelled(script)
        assert script.cancelled == ["WatchAnomalies"]


async def test_a_stream_ends_with_the_callers_token(running: Running, script: Script) -> None:
    script.answers["WatchAnomalies"] = for_ever
    headers = {"Authorization": f"Bearer {running.token('viewer', ttl_s=0)}"}
    async with running.http.stream("GET", WATCH, headers=headers) as response:
        lines = response.aiter_lines()
        assert (await next_event(lines))["id"] == "1"
        assert script.last("WatchAnomalies").principal.expires_at_s > 0
        async with asyncio.timeout(60):
            ended = await next_event(lines)
    assert ended["event"] == "error"
    assert "TOKEN_EXPIRED" in ended["data"]
