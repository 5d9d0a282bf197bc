"""Redis away, emptied or shared: all goes on, and what it lacks is appended."""

import asyncio
from pathlib import Path

import redis.asyncio

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import alerts_open, consuming, samples_open
from tests.ingest.cuttable import NOW, Cuttable, one, write_through
from tests.ingest.harness import Running, alert, config, opened, running, until


async def test_without_redis_all_goes_on(cuttable: Cuttable) -> None:
    service = cuttable.service
    cuttable.redis.cut()
    await write_through(service, one(1))
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(1)
        await write_through(service, one(2))
        await consumer.until_count(2)
        cuttable.redis.open()
        await write_through(service, one(3))
        await consumer.until_count(3)
        assert [value for rows in consumer.rows.values() for _, value in rows] == [1.0, 2.0, 3.0]
        assert not consumer.gaps


async def test_without_redis_alerts_are_delivered(cuttable: Cuttable) -> None:
    cuttable.redis.cut()
    await cuttable.service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)]))
    async with opened(cuttable.service.stub.Subscribe, alerts_open()) as stream:
        assert (await stream.next("alert")).attempt == 1


async def test_the_relay_appends_what_an_outage_left_out(cuttable: Cuttable) -> None:
    service = cuttable.service
    await write_through(service, one(1))
    cuttable.redis.cut()
    for sequence in (2, 3):
        await service.stub.WriteBatch(one(sequence))
    await asyncio.sleep(0.3)
    cuttable.redis.open()

    async def ids() -> list[str]:
        async with redis.asyncio.Redis.from_url(cuttable.redis_url, protocol=3) as client:
            entries = [
                await client.xrange(f"{service.ingest.namespace}samples:{shard}")
                for shard in range(4)
            ]
        return [entry_id.decode() for found in entries for entry_id, _ in found]

    async def all_there() -> bool:
        return await ids() == ["1-0", "2-0", "3-0"]

    await until(all_there)


async def test_an_emptied_redis_is_filled_again(service: Running, redis_url: str) -> None:
    for sequence in (1, 2, 3):
        await service.stub.WriteBatch(one(sequence))
    heads = await service.ingest.heads.now()
    (shard,) = [n for n, head in enumerate(heads.offsets) if head]
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:

        async def appended() -> bool:
            return await client.xlen(f"{service.ingest.namespace}samples:{shard}") == 3

        await until(appended)
        await client.flushall()
        repaired = await service.ingest.relay.repair(heads)
        assert repaired <= 3
        found = await client.xrange(f"{service.ingest.namespace}samples:{shard}")
    assert [entry_id for entry_id, _ in found] == [b"1-0", b"2-0", b"3-0"]
    assert await service.ingest.relay.repair(heads) == 0


async def test_two_installations_on_one_redis_see_only_their_own(
    service: Running, migrated_dsn: str, redis_url: str, keys: Path
) -> None:
    """Also what a database that was made anew finds in a Redis that was not."""
    for sequence in (1, 2, 3):
        await service.stub.WriteBatch(one(sequence))
    async with running(config(migrated_dsn, redis_url, keys), keys) as other:
        await other.stub.WriteBatch(one(1))
        async with consuming(other, samples_open()) as consumer:
            while (await consumer.step()).WhichOneof("frame") != "heartbeat" or not consumer.count:
                continue
            assert consumer.count == 1
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(3)
