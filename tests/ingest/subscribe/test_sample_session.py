"""SHARDED subscriptions: ordered, exclusive, complete, within credit."""

import asyncio
import time
from pathlib import Path

import asyncpg
import grpc
import pytest
import redis.asyncio

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import Consumer, alerts_open, consuming, samples_open
from tests.ingest.harness import Running, batch_request, config, opened, running, status_of, until

NOW = int(time.time() * 1000)
HOSTS = 12


async def write(service: Running, sequence: int, *, ahead_ms: int = 0) -> None:
    """One sample of each host; its value is the sequence, so that order can be seen."""
    time_ms = NOW - 60_000 + sequence + ahead_ms
    rows = [(host, time_ms, float(sequence)) for host in range(HOSTS)]
    await service.stub.WriteBatch(batch_request("p", sequence, rows))


def values(consumer: Consumer) -> dict[str, list[float]]:
    return {
        consumer.hosts[series_id]: [value for _, value in rows]
        for series_id, rows in consumer.rows.items()
    }


async def execute(service: Running, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(service.dsn)
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


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


async def test_what_was_and_what_comes_is_delivered_in_order(service: Running) -> None:
    for sequence in range(1, 6):
        await write(service, sequence)
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(5 * HOSTS)
        for sequence in range(6, 11):
            await write(service, sequence)
        await consumer.until_count(10 * HOSTS)
        assert values(consumer) == {str(h): [float(n) for n in range(1, 11)] for h in range(HOSTS)}
        assert sorted(consumer.epochs) == [0, 1, 2, 3]
        assert not consumer.gaps


async def test_a_consumer_resumes_after_its_last_ack(service: Running) -> None:
    await write(service, 1)
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_count(HOSTS)
        await write(service, 2)
        await consumer.until_count(2 * HOSTS, ack=False)
        await consumer.finish()
    async with consuming(service, samples_open("c2")) as consumer:
        await consumer.until_count(HOSTS)
        assert values(consumer) == {str(h): [2.0] for h in range(HOSTS)}


async def test_a_consumer_may_name_its_own_place(service: Running) -> None:
    for sequence in (1, 2, 3):
        await write(service, sequence)
    async with opened(service.stub.Subscribe, samples_open()) as stream:
        consumer = Consumer(stream)
        assignment = await stream.next("assignment")
        for each in assignment.assigned:
            consumer.epochs[each.shard] = each.epoch
            consumer.cursors[each.shard] = 2
            await consumer.start(each.shard, after=2)
        await consumer.until_count(HOSTS)
        assert {value for found in values(consumer).values() for value in found} == {3.0}


async def test_a_stale_epoch_does_not_start_a_shard(service: Running) -> None:
    await write(service, 1)
    async with opened(service.stub.Subscribe, samples_open()) as stream:
        for each in (await stream.next("assignment")).assigned:
            start = pb.ShardStart(shard=each.shard, epoch=each.epoch - 1)
            await stream.send(pb.SubscribeRequest(shard_start=start))
        await stream.nothing("samples", 0.6)


@pytest.mark.parametrize("start", ["latest", "from_time"])
async def test_a_subscription_may_begin_later(service: Running, start: str) -> None:
    service.clock.ahead_ms = -3_600_000
    await write(service, 1, ahead_ms=-3_600_000)
    service.clock.ahead_ms = 0
    position = pb.StartPosition(latest=True)
    if start == "from_time":
        position = pb.StartPosition()
        position.from_time.FromMilliseconds(NOW - 1_800_000)
    async with consuming(service, samples_open(start=position)) as consumer:
        await write(service, 2)
        await consumer.until_count(HOSTS)
        assert values(consumer) == {str(h): [2.0] for h in range(HOSTS)}
        assert not consumer.gaps


async def test_only_selected_series_are_delivered(service: Running) -> None:
    selector = 'cpu{host=~"1|3"}'
    async with consuming(service, samples_open(selector=selector)) as consumer:
        for sequence in range(1, 4):
            await write(service, sequence)
        await consumer.until_count(6)
        assert values(consumer) == {host: [1.0, 2.0, 3.0] for host in ("1", "3")}

        async def all_acked() -> bool:
            heads = await service.ingest.heads.now()
            rows = await execute(service, "SELECT acked_offset FROM ingest.shard_lease")
            return [row[0] for row in rows] == [heads.last_offset] * 4

        stepping = asyncio.create_task(_forever(consumer))
        await until(all_acked)
        stepping.cancel()
        await asyncio.gather(stepping, return_exceptions=True)


async def test_nothing_comes_without_credit(service: Running) -> None:
    for sequence in range(1, 21):
        await write(service, sequence)
    async with consuming(service, samples_open(credit=0)) as consumer:
        await consumer.until_shards(4)
        await consumer.stream.nothing("samples", 0.6)
        for given in range(10, 60, 10):
            await consumer.credit(10)
            await consumer.until_count(given)
            assert consumer.count < given + HOSTS
        await consumer.stream.nothing("samples", 0.6)
        await consumer.credit(10**6)
        await consumer.until_count(20 * HOSTS)


async def test_bytes_count_once_they_are_named(service: Running) -> None:
    for sequence in range(1, 21):
        await write(service, sequence)
    async with consuming(service, samples_open(credit=0)) as consumer:
        await consumer.until_shards(4)
        await consumer.credit(10**6, size=1)
        await consumer.step(ack=True)
        while consumer.count == 0:
            await consumer.step()
        await consumer.stream.nothing("samples", 0.5)
        await consumer.credit(0, size=10**7)
        await consumer.until_count(20 * HOSTS)


async def test_two_consumers_share_and_rebalance_without_loss(service: Running) -> None:
    await write(service, 1)
    async with consuming(service, samples_open("a")) as a:
        await a.until_count(HOSTS)
        async with consuming(service, samples_open("b")) as b:
            await asyncio.gather(a.until_shards(2), b.until_shards(2))
            assert not a.epochs.keys() & b.epochs.keys()
            await write(service, 2)
            stepping = [asyncio.create_task(_forever(c)) for c in (a, b)]

            async def both_have_all() -> bool:
                return a.count + b.count == 2 * HOSTS

            await until(both_have_all)
            for task in stepping:
                task.cancel()
            await asyncio.gather(*stepping, return_exceptions=True)
            kept = dict(a.epochs)
            await b.finish()
        await a.until_shards(4)
        assert all(a.epochs[shard] == epoch for shard, epoch in kept.items())
        assert all(epoch >= 3 for shard, epoch in a.epochs.items() if shard not in kept)
        await write(service, 3)
        await a.until_count(a.count + HOSTS)
        seen = values(a)
        for host, found in values(b).items():
            seen[host] = sorted(seen.get(host, []) + found)
        assert seen == {str(h): [1.0, 2.0, 3.0] for h in range(HOSTS)}


async def _forever(consumer: Consumer) -> None:
    while True:
        await consumer.step()


async def test_consumers_of_two_processes_share(
    service: Running, cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    async with (
        running(config(cleared_dsn, redis_url, keys), keys) as other,
        consuming(service, samples_open("a")) as a,
        consuming(other, samples_open("b")) as b,
    ):
        await asyncio.gather(a.until_shards(2), b.until_shards(2))
        await write(service, 1)
        await write(other, 2)
        stepping = [asyncio.create_task(_forever(c)) for c in (a, b)]

        async def have_all() -> bool:
            return a.count + b.count == 2 * HOSTS

        await until(have_all)
        for task in stepping:
            task.cancel()
        await asyncio.gather(*stepping, return_exceptions=True)
        assert values(a) | values(b) == {str(h): [1.0, 2.0] for h in range(HOSTS)}


async def test_a_lease_that_runs_out_is_taken_with_a_higher_epoch(hasty: Running) -> None:
    """The first holder does not answer the revocation; its acks count no more."""
    await write(hasty, 1)
    async with opened(hasty.stub.Subscribe, samples_open("a")) as silent:
        first = {each.shard: each.epoch for each in (await silent.next("assignment")).assigned}
        async with consuming(hasty, samples_open("b")) as b:
            revoked = list((await silent.next("assignment")).revoked)
            assert len(revoked) == 2
            await b.until_shards(2)
            assert sorted(b.epochs) == sorted(revoked)
            assert all(b.epochs[shard] == first[shard] + 1 for shard in revoked)
            for shard in revoked:
                up_to = pb.ShardCursor(shard=shard, cursor=10**6)
                await silent.send(pb.SubscribeRequest(ack=pb.SubscribeAck(up_to=up_to)))
            await silent.call.done_writing()
            while await silent.next() is not None:
                pass
            rows = await execute(hasty, "SELECT shard, acked_offset FROM ingest.shard_lease")
            assert {row["acked_offset"] for row in rows if row["shard"] in revoked} <= {0, 1}


async def test_a_dead_consumer_loses_its_shards(hasty: Running) -> None:
    """Its process is gone: the rows stay behind as a kill leaves them."""
    await write(hasty, 1)
    await execute(
        hasty,
        "INSERT INTO ingest.subscription (name, topic, owner) VALUES ('detector', 1, 'user:test')",
    )
    await execute(
        hasty,
        "INSERT INTO ingest.consumer VALUES ('detector', 'dead', 's1', now())",
    )
    await execute(
        hasty,
        """INSERT INTO ingest.shard_lease
           SELECT 'detector', n, 's1', 7, now() + interval '1 s', 0, 0 FROM generate_series(0, 3) n
        """,
    )
    async with consuming(hasty, samples_open("heir")) as heir:
        await heir.until_count(HOSTS)
        assert set(heir.epochs.values()) == {8}


async def test_the_same_consumer_replaces_its_older_stream(service: Running) -> None:
    async with opened(service.stub.Subscribe, samples_open()) as older:
        await older.next("assignment")
        async with consuming(service, samples_open()) as newer:
            await newer.until_shards(4)
            assert set(newer.epochs.values()) == {2}
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await older.next("never")
            assert status_of(caught.value) == ("ABORTED", "CONSUMER_REPLACED")
            await write(service, 1)
            await newer.until_count(HOSTS)


async def test_a_subscription_belongs_to_the_caller_that_opened_it_first(service: Running) -> None:
    """Or any reader could take the deliveries of the detector, or end its stream."""
    async with (
        opened(service.stub.Subscribe, samples_open()) as stream,
        service.called_by("user:stranger", "read:stream") as stranger,
        service.called_by("user:operator", "admin") as admin,
    ):
        await stream.next("assignment")
        async with opened(stranger.Subscribe, samples_open()) as refused:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await refused.next("never")
        assert status_of(caught.value) == ("PERMISSION_DENIED", "SUBSCRIPTION_OWNED")
        async with opened(admin.Subscribe, samples_open("c2")) as joined:
            await joined.next("opened")
        await stream.next("heartbeat")


async def test_heartbeats_tell_the_lag(service: Running) -> None:
    await write(service, 1)
    before_ms = int(time.time() * 1000)
    async with consuming(service, samples_open(credit=0)) as consumer:
        beat = await consumer.stream.next("heartbeat")
        while len(beat.lags) < 4:
            beat = await consumer.stream.next("heartbeat")
        assert sum(lag.lag for lag in beat.lags) == HOSTS
        assert before_ms <= beat.server_time.ToMilliseconds() <= time.time() * 1000


async def test_a_drain_is_announced_and_ends_the_stream(service: Running) -> None:
    async with consuming(service, samples_open()) as consumer:
        await consumer.until_shards(4)
        stopping = asyncio.create_task(service.ingest.server.stop(0, 60))
        await consumer.stream.next("draining")
        await consumer.finish()
        await stopping
    rows = await execute(service, "SELECT session_id FROM ingest.shard_lease")
    assert {row["session_id"] for row in rows} == {""}


async def test_a_cancelled_consumer_frees_its_shards(service: Running) -> None:
    async with consuming(service, samples_open("gone")) as consumer:
        await consumer.until_shards(4)

    async def freed() -> bool:
        rows = await execute(service, "SELECT session_id FROM ingest.shard_lease")
        return {row["session_id"] for row in rows} == {""}

    await until(freed)


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
    await execute(service, "DELETE FROM ingest.batch WHERE log_offset < 5")
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


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subscription": "Bad Name"}, "INVALID_SUBSCRIPTION"),
        ({"subscription": ""}, "INVALID_SUBSCRIPTION"),
        ({"consumer_id": ""}, "INVALID_SUBSCRIPTION"),
        ({"selector": "{"}, "INVALID_SELECTOR"),
        ({"mode": pb.SUBSCRIPTION_MODE_SHARED}, "MODE_UNSUPPORTED"),
        ({"topic": pb.TOPIC_UNSPECIFIED}, "MODE_UNSUPPORTED"),
        ({"max_attempts": 101}, "INVALID_SUBSCRIPTION"),
    ],
)
async def test_bad_subscriptions(shared: Running, changes: dict, reason: str) -> None:
    first = samples_open()
    for field, value in changes.items():
        setattr(first.open, field, value)
    async with opened(shared.stub.Subscribe, first) as stream:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.next("opened")
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize("field", ["heartbeat_interval", "ack_deadline"])
async def test_bad_durations(shared: Running, field: str) -> None:
    for milliseconds in (999, 3_600_001):
        first = samples_open()
        getattr(first.open, field).FromMilliseconds(milliseconds)
        async with opened(shared.stub.Subscribe, first) as stream:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.next("opened")
        assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_SUBSCRIPTION")


async def test_a_name_carries_one_topic(service: Running) -> None:
    async with opened(service.stub.Subscribe, samples_open(subscription="both")) as stream:
        await stream.next("opened")
    async with opened(service.stub.Subscribe, alerts_open(subscription="both")) as stream:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.next("opened")
    assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_SUBSCRIPTION")


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([pb.SubscribeRequest(credit=pb.SubscribeCredit(samples=1))], "OPEN_REQUIRED"),
        ([samples_open(), samples_open()], "OPEN_TWICE"),
        ([alerts_open(), alerts_open()], "OPEN_TWICE"),
        ([samples_open(), pb.SubscribeRequest()], "MESSAGE_EMPTY"),
    ],
)
async def test_a_broken_conversation_ends(shared: Running, frames: list, reason: str) -> None:
    async with opened(shared.stub.Subscribe) as stream:
        for frame in frames:
            await stream.send(frame)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.next("never")
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)


async def test_a_stream_ends_with_its_token(service: Running) -> None:
    token = service.minter.mint("user:short", ["read:stream"], -3.5)
    call = service.stub.Subscribe(metadata=(("authorization", f"Bearer {token}"),))
    async with opened(lambda: call, samples_open()) as stream:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.next("never")
    assert status_of(caught.value) == ("UNAUTHENTICATED", "TOKEN_EXPIRED")
