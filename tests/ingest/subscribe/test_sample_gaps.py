"""What the stream in Redis has lost comes from the log; what the log has lost is told as a gap."""

import redis.asyncio

from tests.ingest.consumers import consuming, samples_open
from tests.ingest.harness import Running, fetch, until
from tests.ingest.subscribe.samples import HOSTS, values, write


async def appended(service: Running, redis_url: str) -> bool:
    """Whether Redis has all that was committed: it is appended after the answer."""
    heads = await service.ingest.heads.now()
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        newest = [
            await client.xrevrange(f"{service.ingest.namespace}samples:{shard}", count=1)
            for shard in range(4)
        ]
    last = [int(found[0][0].partition(b"-")[0]) if found else 0 for found in newest]
    return last == list(heads.offsets)


async def test_a_trimmed_stream_is_read_from_the_log(service: Running, redis_url: str) -> None:
    for sequence in range(1, 31):
        await write(service, sequence)
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        for shard in range(4):
            await client.xtrim(
                f"{service.ingest.namespace}samples:{shard}", maxlen=2, approximate=False
            )
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(30 * HOSTS)
        assert values(consumer) == {str(h): [float(n) for n in range(1, 31)] for h in range(HOSTS)}
        assert not consumer.gaps


async def test_a_hole_in_the_stream_is_filled_from_the_log(
    service: Running, redis_url: str
) -> None:
    for sequence in range(1, 11):
        await write(service, sequence)
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        for shard in range(4):
            await client.xdel(f"{service.ingest.namespace}samples:{shard}", "3-0", "4-0", "10-0")
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(10 * HOSTS)
        assert values(consumer) == {str(h): [float(n) for n in range(1, 11)] for h in range(HOSTS)}


async def test_history_that_is_gone_is_a_gap(service: Running, redis_url: str) -> None:
    await write(service, 1)
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(HOSTS)
        await consumer.finish()
        acked = dict(consumer.cursors)
    for sequence in range(2, 6):
        await write(service, sequence)
    await until(lambda: appended(service, redis_url))
    await fetch(service, "DELETE FROM ingest.batch WHERE log_offset < 5")
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        for shard in range(4):
            await client.xtrim(
                f"{service.ingest.namespace}samples:{shard}", maxlen=1, approximate=False
            )
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(HOSTS)
        assert {value for found in values(consumer).values() for value in found} == {5.0}
        told = {(gap.shard, gap.after_cursor, gap.resumes_after_cursor) for gap in consumer.gaps}
        assert told == {(shard, cursor, 4) for shard, cursor in acked.items() if cursor}
