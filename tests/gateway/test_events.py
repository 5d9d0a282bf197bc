"""One stream over all watches: resumed without a gap, and going on while one service is away."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest

from mesh.errors import Internal, Overloaded, SensusError, Unauthenticated, Unavailable
from sensus.detector.v1 import detector_service_pb2 as detector
from sensus.explainer.v1 import explainer_service_pb2 as explainer
from services.gateway.routes.events import watches
from services.gateway.transcoding.merging import MergedCall, MergedFrame
from tests.gateway.conftest import Running, reason_of
from tests.gateway.scripted import Script
from tests.gateway.test_streams import anomaly, for_ever, next_event

EVENTS = "/api/v1/events"


@asynccontextmanager
async def opened(
    client: httpx.AsyncClient, last: str = "", **params: Any
) -> AsyncIterator[AsyncIterator[str]]:
    headers = {"Last-Event-ID": last} if last else {}
    async with client.stream("GET", EVENTS, params=params, headers=headers) as response:
        assert response.status_code == 200
        yield response.aiter_lines()


def place(**cursors: int) -> str:
    """The id of an event at these cursors."""
    return MergedFrame(topic="", cursors=cursors).place


def body_of(event: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(event["data"])
    assert (body["event"], body["id"]) == (event["event"], event["id"])
    return body


async def beating(request: detector.WatchAnomaliesRequest) -> AsyncIterator[Any]:
    """A heartbeat at once, one more, then an anomaly, then silence."""
    start = request.after_cursor if request.HasField("after_cursor") else 7
    for _ in range(2):
        yield detector.WatchAnomaliesResponse(cursor=start, heartbeat=detector.WatchHeartbeat())
    yield anomaly(start + 1)
    await asyncio.Event().wait()


async def explained(request: Any) -> AsyncIterator[Any]:
    """An explanation, then silence."""
    wanted = explainer.WatchExplanationsResponse(cursor=1)
    wanted.explanation.explanation_id = "e-1"
    yield wanted
    await asyncio.Event().wait()


class Flood:
    """A call that always has another frame, up to the last one."""

    def __init__(self, count: int) -> None:
        self.cursors = iter(range(1, count + 1))

    async def read(self) -> Any:
        cursor = next(self.cursors, None)
        return grpc.aio.EOF if cursor is None else anomaly(cursor)

    def cancel(self) -> bool:
        return True


def test_every_watch_of_the_contract_is_a_topic() -> None:
    assert "anomalies" in watches()
    assert all("after_cursor" in method.input_type.fields_by_name for method in watches().values())
    assert all("cursor" in method.output_type.fields_by_name for method in watches().values())


async def test_the_first_frame_says_from_where_it_is_watched(
    client: httpx.AsyncClient, script: Script
) -> None:
    script.answers["WatchAnomalies"] = beating
    async with opened(client, topic="anomalies") as lines:
        first, second = await next_event(lines), await next_event(lines)
    assert (first["event"], second["event"]) == ("watching", "anomaly")
    assert body_of(second)["topic"] == "anomalies"
    assert body_of(second)["frame"]["anomaly"]["anomalyId"] == "a-8"
    async with opened(client, first["id"], topic="anomalies") as lines:
        await next_event(lines)
        assert body_of(await next_event(lines))["frame"]["cursor"] == "8"
    async with opened(client, second["id"], topic="anomalies") as lines:
        await next_event(lines)
        assert body_of(await next_event(lines))["frame"]["cursor"] == "9"


async def test_a_service_that_is_away_is_named_once_and_followed_again(
    client: httpx.AsyncClient, script: Script
) -> None:
    """Channels try four times by themselves before they say so."""
    failures = 3 * 4

    async def away_at_first(request: Any) -> AsyncIterator[Any]:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("away")
        yield anomaly(1)
        await asyncio.Event().wait()

    script.answers["WatchAnomalies"] = away_at_first
    async with opened(client, topic="anomalies") as lines:
        first, second = await next_event(lines), await next_event(lines)
    assert (first["event"], second["event"]) == ("unavailable", "anomaly")
    assert body_of(first)["frame"]["error"]["status"] == "UNAVAILABLE"
    assert failures == 0


@pytest.mark.parametrize("fault", [Internal("broken"), Overloaded("too slow", retry_after_s=1)])
async def test_a_service_that_fails_takes_no_other_topic_with_it(
    client: httpx.AsyncClient, script: Script, fault: SensusError
) -> None:
    async def failing(request: Any) -> AsyncIterator[Any]:
        raise fault
        yield

    script.answers["WatchAnomalies"] = failing
    script.answers["WatchExplanations"] = explained
    async with opened(client, topic=["anomalies", "explanations"]) as lines:
        seen = {body_of(await next_event(lines))["event"] for _ in range(2)}
    assert seen == {"unavailable", "explanation"}


async def test_an_event_that_still_waits_is_after_the_id_of_the_one_before() -> None:
    """Two watches wait for room in the queue: no id is ahead of what was read."""
    count = 64
    floods: Any = {"even": lambda _: Flood(count), "odd": lambda _: Flood(count)}
    merged = MergedCall(floods, {})
    read = dict.fromkeys(("even", "odd"), 0)
    for _ in range(2 * count):
        event = await merged.read()
        read[event.topic] += 1
        assert event.cursors == {topic: cursor for topic, cursor in read.items() if cursor}
        await asyncio.sleep(0)
    merged.cancel()


async def test_a_watch_that_ends_is_gone_on_with_after_its_last_frame(
    client: httpx.AsyncClient, script: Script
) -> None:
    asked: list[int | None] = []

    async def one_at_a_time(request: detector.WatchAnomaliesRequest) -> AsyncIterator[Any]:
        after = request.after_cursor if request.HasField("after_cursor") else None
        asked.append(after)
        yield anomaly((after or 0) + 1)

    script.answers["WatchAnomalies"] = one_at_a_time
    async with opened(client, topic="anomalies") as lines:
        cursors = [body_of(await next_event(lines))["frame"]["cursor"] for _ in range(3)]
    assert cursors == ["1", "2", "3"]
    assert asked[:3] == [None, 1, 2]


async def test_a_session_that_ends_ends_the_stream(
    client: httpx.AsyncClient, script: Script
) -> None:
    async def ended(request: Any) -> AsyncIterator[Any]:
        yield anomaly(1)
        raise Unauthenticated("over", reason="SESSION_ENDED")

    script.answers["WatchAnomalies"] = ended
    async with opened(client, topic="anomalies") as lines:
        await next_event(lines)
        last = await next_event(lines)
        assert last["event"] == "error"
        assert json.loads(last["data"])["error"]["status"] == "UNAUTHENTICATED"


async def test_the_watches_end_with_the_client(client: httpx.AsyncClient, script: Script) -> None:
    ended = asyncio.Event()

    async def watched(request: Any) -> AsyncIterator[Any]:
        try:
            yield anomaly(1)
            await asyncio.Event().wait()
        finally:
            ended.set()

    script.answers["WatchAnomalies"] = watched
    async with opened(client, topic="anomalies") as lines:
        await next_event(lines)
    async with asyncio.timeout(30):
        await ended.wait()


@pytest.mark.parametrize(
    ("params", "headers", "says"),
    [
        ({"topic": "weather"}, {}, "must be one of"),
        ({"colour": "red"}, {}, "colour"),
        ({}, {"Last-Event-ID": "7"}, "must be the id of an event"),
        ({}, {"Last-Event-ID": "bm8"}, "must be the id of an event"),
        ({}, {"Last-Event-ID": place(anomalies=-1)}, "must be the id of an event"),
        ({}, {"Last-Event-ID": place(alerts=2**64)}, "must be the id of an event"),
    ],
)
async def test_what_is_not_meant_is_refused(
    client: httpx.AsyncClient, params: dict[str, str], headers: dict[str, str], says: str
) -> None:
    answer = await client.get(EVENTS, params=params, headers=headers)
    assert answer.status_code == 400
    assert says in answer.text


async def test_a_topic_needs_its_scope(running: Running, script: Script) -> None:
    script.answers["WatchAnomalies"] = for_ever
    answer = await running.http.get(EVENTS)
    assert (answer.status_code, reason_of(answer)) == (401, "TOKEN_MISSING")
