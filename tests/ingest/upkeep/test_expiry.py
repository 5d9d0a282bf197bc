"""Ended episodes, dead letters and unused subscriptions go with age; what is needed stays."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import pytest
from prometheus_client import REGISTRY

from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import alerts_open, consuming, samples_open
from tests.ingest.harness import (
    Running,
    alert,
    batch_request,
    config,
    opened,
    running,
    status_of,
)

NOW = int(time.time() * 1000)
DAY_MS = 86_400_000
WORKERS = ("committer", "publisher", "relay")
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED


@pytest.fixture
async def service(cleared_dsn: str, redis_url: str, keys: Path) -> AsyncIterator[Running]:
    """A service in which nothing expires before the test says so."""
    async with running(config(cleared_dsn, redis_url, keys), keys, only=WORKERS) as started:
        yield started


async def write(service: Running, *alerts: alert_pb2.Alert, days_ago: int = 0) -> list[str]:
    """Stores changes as if they had come some days ago."""
    service.clock.ahead_ms = -days_ago * DAY_MS
    answer = await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))
    service.clock.ahead_ms = 0
    assert not answer.errors
    return list(answer.alert_ids)


def ended(days_ago: int, host: str = "a") -> alert_pb2.Alert:
    end_ms = NOW - days_ago * DAY_MS
    return alert(RESOLVED, start_ms=end_ms - 1000, end_ms=end_ms, host=host)


async def listed(service: Running) -> set[str]:
    found = await service.stub.ListAlerts(pb.ListAlertsRequest())
    return {each.alert_id for each in found.alerts}


async def count(service: Running, table: str) -> int:
    connection = await asyncpg.connect(service.dsn)
    try:
        return await connection.fetchval(f"SELECT count(*) FROM ingest.{table}")
    finally:
        await connection.close()


def expired(kind: str) -> float:
    return REGISTRY.get_sample_value("sensus_expired_total", {"kind": kind}) or 0.0


async def test_resolved_episodes_go_after_ninety_days(service: Running) -> None:
    (old,) = await write(service, ended(91), days_ago=91)
    (young,) = await write(service, ended(89), days_ago=89)
    (firing,) = await write(service, alert(start_ms=NOW - 200 * DAY_MS, host="b"), days_ago=200)
    (told_late,) = await write(service, ended(120, host="c"))
    before = expired("episode")
    await service.ingest.expiry.tidy()
    assert await listed(service) == {young, firing, told_late}
    assert await count(service, "alert_change") == 3
    assert expired("episode") == before + 1
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.stub.GetAlert(pb.GetAlertRequest(alert_id=old))
    assert status_of(caught.value) == ("NOT_FOUND", "ALERT_NOT_FOUND")


async def test_the_age_is_configured(cleared_dsn: str, redis_url: str, keys: Path) -> None:
    settings = config(cleared_dsn, redis_url, keys, alert_retention_s=2 * 86_400.0)
    async with running(settings, keys, only=WORKERS) as service:
        await write(service, ended(3), days_ago=3)
        (kept,) = await write(service, ended(1), days_ago=1)
        await service.ingest.expiry.tidy()
        assert await listed(service) == {kept}


async def test_many_episodes_go_in_one_round(service: Running) -> None:
    for start in range(0, 1200, 600):
        hosts = [str(n) for n in range(start, start + 600)]
        await write(service, *[ended(91, host=host) for host in hosts], days_ago=91)
    await service.ingest.expiry.tidy()
    assert await count(service, "alert") == 0
    assert await count(service, "alert_change") == 0


async def test_a_round_is_no_slower_when_the_planner_expects_no_episodes(service: Running) -> None:
    """Statistics of an emptied table: a subquery that is joined would run once for each row."""
    await write(service, *[ended(91, host=str(n)) for n in range(30)], days_ago=91)
    await service.ingest.expiry.tidy()
    connection = await asyncpg.connect(service.dsn)
    for table in ("alert", "alert_change", "delivery"):
        await connection.execute(f"ANALYZE ingest.{table}")
    await connection.close()
    await write(service, *[ended(91, host=str(n)) for n in range(900)], days_ago=91)
    await service.ingest.expiry.tidy()
    assert await count(service, "alert") == 0


async def test_an_episode_stays_until_its_subscription_is_done_with_it(service: Running) -> None:
    """Unread, then delivered and not acked, then acked."""
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        await stream.next("opened")
    (alert_id,) = await write(service, ended(91), days_ago=91)
    await service.ingest.expiry.tidy()
    assert await listed(service) == {alert_id}
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        delivery = await stream.next("alert")
        await service.ingest.expiry.tidy()
        assert await listed(service) == {alert_id}
        done = pb.SubscribeAck(delivery_ids=[delivery.delivery_id])
        await stream.send(pb.SubscribeRequest(ack=done))
        await stream.call.done_writing()
        assert await stream.next("never") is None
    await service.ingest.expiry.tidy()
    assert await listed(service) == set()


async def test_a_dead_letter_goes_ninety_days_after_its_burial(service: Running) -> None:
    await write(service, ended(91), days_ago=91)
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        delivery = await stream.next("alert")
        nack = pb.SubscribeNack(delivery_ids=[delivery.delivery_id], permanent=True)
        await stream.send(pb.SubscribeRequest(nack=nack))
        await stream.call.done_writing()
        assert await stream.next("never") is None
    before = expired("dead_letter")
    await service.ingest.expiry.tidy()
    assert await count(service, "delivery WHERE bury_time IS NOT NULL") == 1
    assert len(await listed(service)) == 1
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        await stream.next("opened")
        service.clock.ahead_ms = 89 * DAY_MS
        await service.ingest.expiry.tidy()
        assert await count(service, "delivery") == 1
        service.clock.ahead_ms = 91 * DAY_MS
        await service.ingest.expiry.tidy()
        assert await count(service, "delivery") == await count(service, "alert") == 0
        assert await count(service, "subscription") == 1
    assert expired("dead_letter") == before + 1


async def test_an_unused_subscription_goes_with_all_that_waits_for_it(service: Running) -> None:
    await write(service, alert(start_ms=NOW))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        await stream.next("alert")
        await stream.call.done_writing()
        assert await stream.next("never") is None
    await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0)]))
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(1)
        await consumer.finish()
    before = expired("subscription")
    service.clock.ahead_ms = 89 * DAY_MS
    await service.ingest.expiry.tidy()
    assert await count(service, "subscription") == 2
    service.clock.ahead_ms = 91 * DAY_MS
    await service.ingest.expiry.tidy()
    for table in ("subscription", "shard_lease", "delivery"):
        assert await count(service, table) == 0
    assert expired("subscription") == before + 2
    service.clock.ahead_ms = 0
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        assert (await stream.next("alert")).attempt == 1


async def test_a_subscription_with_a_consumer_stays(service: Running) -> None:
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_shards(4)
        service.clock.ahead_ms = 200 * DAY_MS
        await service.ingest.expiry.tidy()
        assert await count(service, "subscription") == 1


async def test_a_stream_of_months_counts_as_use_after_its_end(service: Running) -> None:
    """Its subscription was opened long ago; what counts is when its consumer was seen."""
    connection = await asyncpg.connect(service.dsn)
    await connection.execute(
        "INSERT INTO ingest.subscription (name, topic, owner, seen_at) "
        "VALUES ('old', 1, 'user:test', now() - interval '200 days')"
    )
    await connection.execute(
        "INSERT INTO ingest.consumer VALUES ('old', 'killed', 's', now() - interval '2 days')"
    )
    await connection.close()
    await service.ingest.expiry.tidy()
    assert await count(service, "consumer") == 0
    assert await count(service, "subscription") == 1
