"""Day partitions: made ahead, dropped when compacted, read and old."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from mesh.errors import Conflict
from tests.ingest.consumers import consuming, samples_open
from tests.ingest.harness import Running, batch_request, config, query, running, until

NOW = int(time.time() * 1000)
DAY_MS = 86_400_000
TODAY = datetime.fromtimestamp(NOW / 1000, UTC).date()


@pytest.fixture
async def service(
    migrated_dsn: str, redis_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    """A service on a new database, without any partition, that tidies when the test says so.

    Its day is that of `NOW`, also when midnight has come meanwhile.
    """
    only = ("committer", "publisher")
    async with running(config(migrated_dsn, redis_url, keys), keys, only=only) as started:
        monkeypatch.setattr(started.clock, "now_ms", lambda: NOW + started.clock.ahead_ms)
        yield started


async def partitions(service: Running, table: str) -> list[str]:
    connection = await asyncpg.connect(service.dsn)
    try:
        rows = await connection.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits "
            "WHERE inhparent = $1::text::regclass ORDER BY 1",
            f"ingest.{table}",
        )
    finally:
        await connection.close()
    return [row["name"].rpartition("_")[2] for row in rows]


def stamps(*days_ago: int) -> list[str]:
    return [f"{TODAY - timedelta(days=days):%Y%m%d}" for days in sorted(days_ago, reverse=True)]


async def has_entries(service: Running, redis_url: str, count: int) -> bool:
    """Whether the streams of all shards hold so many entries together."""
    async with redis.asyncio.Redis.from_url(redis_url, protocol=3) as client:
        found = [
            await client.xlen(f"{service.ingest.namespace}samples:{shard}") for shard in range(4)
        ]
    return sum(found) == count


async def write_days_ago(service: Running, days: int, sequence: int) -> None:
    service.clock.ahead_ms = -days * DAY_MS
    rows = [(1, NOW - days * DAY_MS, float(sequence))]
    await service.stub.WriteBatch(batch_request("p", sequence, rows))
    service.clock.ahead_ms = 0


async def test_todays_and_tomorrows_partitions_are_there(service: Running) -> None:
    await service.ingest.retention.tidy()
    for table in ("batch", "chunk"):
        assert await partitions(service, table) == stamps(0, -1)


async def test_old_log_goes_once_it_is_compacted(service: Running) -> None:
    for sequence, days in enumerate((5, 3, 2, 0), start=1):
        await write_days_ago(service, days, sequence)
    await service.ingest.retention.tidy()
    assert await partitions(service, "batch") == stamps(5, 3, 2, 0, -1)
    assert await service.ingest.compactor.compact() == 3
    await service.ingest.retention.tidy()
    assert await partitions(service, "batch") == stamps(2, 0, -1)
    found = await query(service.stub, "cpu", NOW - 10 * DAY_MS, NOW + 1)
    assert [value for points in found.values() for _, value in points] == [1.0, 2.0, 3.0, 4.0]


async def test_unread_log_stays_until_the_hard_limit(service: Running, redis_url: str) -> None:
    """What the hard limit takes from the log is still in Redis, and so it is delivered."""
    for sequence, days in enumerate((9, 5, 0), start=1):
        await write_days_ago(service, days, sequence)
    await until(lambda: has_entries(service, redis_url, 3))
    await service.ingest.compactor.compact()
    async with consuming(service, samples_open(credit=0)) as consumer:
        await consumer.until_shards(4)
        await service.ingest.retention.tidy()
        assert await partitions(service, "batch") == stamps(5, 0, -1)
        await consumer.credit(100)
        await consumer.until_count(3)
        assert not consumer.gaps
        await consumer.finish()
    await service.ingest.retention.tidy()
    assert await partitions(service, "batch") == stamps(0, -1)


async def test_old_chunks_go(service: Running) -> None:
    for sequence, days in enumerate((29, 1), start=1):
        await write_days_ago(service, days, sequence)
    await service.ingest.compactor.compact()
    service.clock.ahead_ms = 5 * DAY_MS
    await service.ingest.retention.tidy()
    chunks = await partitions(service, "chunk")
    assert stamps(29)[0] not in chunks
    assert stamps(1)[0] in chunks


async def test_a_table_in_use_is_left_for_later(service: Running) -> None:
    """A drop that waits for its lock would make every writer wait behind it."""
    await service.ingest.retention.tidy()
    connection = await asyncpg.connect(service.dsn)
    await connection.execute("SELECT ingest.make_chunk_partition($1)", TODAY - timedelta(days=40))
    async with connection.transaction():
        await connection.execute("SELECT 1 FROM ingest.chunk LIMIT 1")
        with pytest.raises(Conflict):
            await service.ingest.retention.tidy()
        answer = await service.stub.WriteBatch(batch_request("p", 2, [(1, NOW, 1.0)]))
        assert answer.ack.accepted == 1
    await connection.close()
    await service.ingest.retention.tidy()
    assert stamps(40)[0] not in await partitions(service, "chunk")
