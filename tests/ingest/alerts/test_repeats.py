"""An alert that nobody repeats is over; one that is repeated goes on, whoever repeats it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert, config, running

NOW = int(time.time() * 1000)
HOUR_MS = 3_600_000
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
EXPIRED = alert_pb2.END_REASON_EXPIRED


@pytest.fixture
async def service(cleared_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service in which nothing expires before the test says so."""
    started = running(config(cleared_dsn, redis_url, keys), keys, only=("committer", "publisher"))
    async with started as service:
        yield service


async def write(service: Running, *alerts: alert_pb2.Alert) -> list[str]:
    answer = await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))
    return list(answer.alert_ids)


async def one(service: Running, alert_id: str) -> pb.GetAlertResponse:
    found: pb.GetAlertResponse = await service.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))
    return found


async def after(service: Running, hours: float) -> None:
    """So much later, the worker looks."""
    service.clock.ahead_ms += round(hours * HOUR_MS)
    await service.ingest.unrepeated.tidy()


async def test_what_nobody_repeats_for_four_hours_has_expired(service: Running) -> None:
    arrived_ms = int(time.time() * 1000)
    (alert_id,) = await write(service, alert(start_ms=NOW))
    await after(service, 3.9)
    assert (await one(service, alert_id)).alert.state == FIRING
    await after(service, 0.2)
    found = await one(service, alert_id)
    assert (found.alert.state, found.alert.end_reason) == (RESOLVED, EXPIRED)
    assert abs(found.alert.end_time.ToMilliseconds() - arrived_ms - 4 * HOUR_MS) < 60_000
    assert [each.state for each in found.history] == [FIRING, RESOLVED]


async def test_what_is_repeated_goes_on(service: Running) -> None:
    (alert_id,) = await write(service, alert(start_ms=NOW))
    for _ in range(3):
        await after(service, 3)
        await write(service, alert(start_ms=NOW))
    assert (await one(service, alert_id)).alert.state == FIRING


async def test_a_repeat_after_all_takes_the_end_back(service: Running) -> None:
    (alert_id,) = await write(service, alert(start_ms=NOW))
    await after(service, 5)
    await write(service, alert(start_ms=NOW))
    found = await one(service, alert_id)
    assert found.alert.state == FIRING
    assert not found.alert.HasField("end_time")
    watch = service.stub.WatchAlerts(pb.WatchAlertsRequest(after_cursor=2))
    assert (await anext(aiter(watch))).alert.state == FIRING
    watch.cancel()


async def test_the_word_of_the_sender_replaces_an_end_by_age(service: Running) -> None:
    (alert_id,) = await write(service, alert(start_ms=NOW))
    await after(service, 5)
    await write(service, alert(RESOLVED, start_ms=NOW, end_ms=NOW + HOUR_MS))
    found = await one(service, alert_id)
    assert found.alert.end_time.ToMilliseconds() == NOW + HOUR_MS
    assert found.alert.end_reason == alert_pb2.END_REASON_RESOLVED


async def test_replicas_of_a_sender_say_the_same_alert(service: Running) -> None:
    pair = [alert(start_ms=NOW, prometheus_replica=each) for each in ("a", "b")]
    first, second = await write(service, *pair)
    assert first == second
    assert "prometheus_replica" not in {
        each.name for each in (await one(service, first)).alert.labels
    }
