"""kill -9 of any one process during load: what was acknowledged is there, once."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.notifier.peers import Hook, served_hook
from tests.product import UNLIMITED, Door, eventually, started, webhook

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

VICTIMS = (
    "ingest",
    "detector",
    "explainer",
    "incidents",
    "notifier",
    "topology",
    "gateway",
    "postgres",
    "redis",
)
SERIES = 20


@pytest.fixture(scope="module")
async def hook() -> AsyncIterator[Hook]:
    """Who is told of every incident."""
    async with served_hook() as hook:
        yield hook


@pytest.fixture(scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory, hook: Hook) -> AsyncIterator[Door]:
    """A product that is hurt again and again."""
    data_dir: Path = tmp_path_factory.mktemp("drill") / "data"
    settings = UNLIMITED | {"SENSUS_NOTIFIER_PRIVATE_HOSTS": "127.0.0.1"}
    routing = f"""
route: {{receiver: drill}}
receivers: [{{name: drill, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""
    async with started(data_dir, settings=settings) as door:
        answer = await door.http.put("/api/v1/routing", json={"yaml": routing})
        assert answer.status_code == 200, answer.text
        yield door


async def write_until(
    stop: asyncio.Event, door: Door, producer: str, acked: Counter[int]
) -> Counter[int]:
    """Writes one batch after another, again until acknowledged; counts the acknowledged times."""
    start_ms = int(time.time() * 1000) - 3_600_000
    sequence = 0
    while not stop.is_set():
        sequence += 1
        at_ms = start_ms + sequence
        batch = ingest_pb2.SampleBatch(sequence=sequence, series=[])
        for i in range(SERIES):
            series = batch.series.add()
            series.labels.add(name="__name__", value="drill")
            series.labels.add(name="producer", value=producer)
            series.labels.add(name="i", value=str(i))
            series.samples.add(timestamp_ms=at_ms, value=float(sequence))
        request = ingest_pb2.WriteBatchRequest(producer_id=producer, batch=batch)
        while True:
            try:
                ack = (await door.ingest.WriteBatch(request, timeout=5)).ack
            except grpc.aio.AioRpcError as error:
                if error.code() not in RETRYABLE:
                    raise
                await asyncio.sleep(0.05)
                continue
            assert not ack.errors, ack
            acked[at_ms] += 1
            break
    return acked


RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def alert_until(stop: asyncio.Event, door: Door, prefix: str, posted: list[str]) -> list[str]:
    """Posts one alert after another, again until answered 200; adds their names to `posted`."""
    while not stop.is_set():
        name = f"{prefix}_{len(posted)}"
        at = (datetime.now(UTC) - timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
        body = webhook(name, starts_at=at, severity="info", drill=prefix)
        while True:
            try:
                answer = await door.http.post("/api/v1/alerts", json=body)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code == 200:
                posted.append(name)
                break
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
    return posted


async def stored(door: Door, producer: str) -> dict[str, list[int]]:
    """Timestamps by series, as QuerySamples gives them, duplicates and all."""
    end = Timestamp()
    end.FromMilliseconds(int(time.time() * 1000) + 60_000)
    begin = Timestamp()
    begin.FromMilliseconds(int(time.time() * 1000) - 7_200_000)
    request = ingest_pb2.QuerySamplesRequest(
        selector=f'drill{{producer="{producer}"}}', start_time=begin, end_time=end
    )
    found: dict[str, list[int]] = {}
    async for response in door.ingest.QuerySamples(request):
        for part in response.series:
            key = str(part.series.series_id)
            found.setdefault(key, []).extend(part.timestamps_ms)
    return found


async def stored_alerts(door: Door, prefix: str) -> list[tuple[str, str]]:
    """Name and id of every episode of a run."""
    answer = await door.http.get(
        "/api/v1/alerts", params={"selector": f'{{drill="{prefix}"}}', "pageSize": 1000}
    )
    assert answer.status_code == 200, answer.text
    return [
        (label["value"], alert["alertId"])
        for alert in answer.json()["alerts"]
        for label in alert["labels"]
        if label["name"] == "alertname"
    ]


async def all_scored(door: Door, count: int) -> bool | None:
    """Whether the detector has processed exactly so many samples since the installation began."""
    return True if (await door.status()).processed_samples == count else None


async def all_explained(door: Door, alert_ids: set[str]) -> bool | None:
    """Whether each of the alerts has its one explanation."""
    answer = await door.http.get(
        "/api/v1/explanations", params={"pageSize": 1000, "state": "EXPLANATION_STATE_DONE"}
    )
    subjects = [e["subject"].get("alertId") for e in answer.json()["explanations"]]
    found = Counter(alert_id for alert_id in subjects if alert_id in alert_ids)
    return True if found == Counter(alert_ids) else None


async def pages(door: Door, path: str, items: str) -> list[dict[str, Any]]:
    """All items of a list."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = await door.http.get(path, params={"pageSize": 1000, "pageToken": token})
        if answer.status_code != 200:
            return []
        found += answer.json().get(items, [])
        token = answer.json().get("nextPageToken", "")
        if not token:
            return found


async def all_in_incidents(door: Door, alert_ids: set[str]) -> bool | None:
    """Whether each of the alerts is a member of one incident, once, and logs have no holes."""
    found: Counter[str] = Counter()
    for incident in await pages(door, "/api/v1/incidents", "incidents"):
        path = f"/api/v1/incidents/{incident['incidentId']}"
        members = [each["memberId"] for each in await pages(door, f"{path}/members", "members")]
        found.update(members)
        if incident["memberCount"] != len(members):
            return None
        events = [each["eventNo"] for each in await pages(door, f"{path}/timeline", "events")]
        if sorted(events) != [*range(1, len(events) + 1)]:
            return None
    mine = Counter({each: count for each, count in found.items() if each in alert_ids})
    return True if mine == Counter(alert_ids) else None


async def all_told(door: Door, hook: Hook) -> bool | None:
    """Whether the receiver took one notice of each incident that opened."""
    incidents = {each["incidentId"] for each in await pages(door, "/api/v1/incidents", "incidents")}
    opened = {
        (each.json["incident"]["incident_id"], each.headers["idempotency-key"])
        for each in hook.taken
        if each.json["kind"] == "opened"
    }
    return True if Counter(incident for incident, _ in opened) == Counter(incidents) else None


@pytest.fixture(scope="module")
def samples_written() -> dict[str, int]:
    """Samples acknowledged so far, by the run that wrote them."""
    return {}


@pytest.mark.parametrize("victim", VICTIMS)
async def test_kill_loses_and_doubles_nothing(
    door: Door, hook: Hook, victim: str, samples_written: dict[str, int]
) -> None:
    producer, stop = f"drill-{victim}-{time.time_ns()}", asyncio.Event()
    samples = asyncio.create_task(write_until(stop, door, producer, Counter()))
    alerts = asyncio.create_task(alert_until(stop, door, f"{victim}_{time.time_ns()}", []))
    await asyncio.sleep(2)
    before = door.process_id(victim)
    os.kill(before, signal.SIGKILL)

    async def back() -> bool | None:
        health = await door.http.get("/health")
        fresh = door.process_id(victim) != before
        return True if fresh and health.status_code == 200 else None

    await eventually(back, within_s=60, what=f"{victim} after kill -9")
    await asyncio.sleep(2)
    stop.set()
    acked, posted = await samples, await alerts
    assert len(acked) > 20
    assert posted

    found = await stored(door, producer)
    assert len(found) == SERIES
    for timestamps in found.values():
        assert Counter(timestamps) == acked

    alerts = await stored_alerts(door, posted[0].rpartition("_")[0])
    assert Counter(name for name, _ in alerts) == Counter(posted)

    samples_written[victim] = len(acked) * SERIES
    await eventually(
        lambda: all_scored(door, sum(samples_written.values())),
        what="the score of every acknowledged sample, once",
    )
    await eventually(
        lambda: all_explained(door, {alert_id for _, alert_id in alerts}),
        within_s=60,
        what="one explanation of every acknowledged alert",
    )
    await eventually(
        lambda: all_in_incidents(door, {alert_id for _, alert_id in alerts}),
        within_s=60,
        what="every acknowledged alert in one incident, once",
    )
    await eventually(
        lambda: all_told(door, hook), within_s=60, what="one notice of every incident that opened"
    )
    taken = Counter(each.headers["idempotency-key"] for each in hook.taken)
    assert sum(count - 1 for count in taken.values()) <= len(samples_written)
