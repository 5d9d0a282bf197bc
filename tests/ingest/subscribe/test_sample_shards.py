"""Consumers that share the shards of a subscription: moved, lost and taken, never held by two."""

import asyncio
from pathlib import Path

import grpc
import pytest

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import Consumer, consuming, samples_open
from tests.ingest.harness import Running, config, fetch, opened, running, status_of, until
from tests.ingest.subscribe.samples import HOSTS, forever, values, write


async def step_until_both_writes_are_read(a: Consumer, b: Consumer) -> None:
    """Both consumers read and acknowledge until they have two samples of each host between them."""
    stepping = [asyncio.create_task(forever(c)) for c in (a, b)]

    async def have_all() -> bool:
        return a.count + b.count == 2 * HOSTS

    await until(have_all)
    for task in stepping:
        task.cancel()
    await asyncio.gather(*stepping, return_exceptions=True)


async def test_two_consumers_share_and_rebalance_without_loss(service: Running) -> None:
    await write(service, 1)
    async with consuming(service, samples_open("a")) as a:
        await a.until_count(HOSTS)
        async with consuming(service, samples_open("b")) as b:
            await asyncio.gather(a.until_shards(2), b.until_shards(2))
            assert not a.epochs.keys() & b.epochs.keys()
            await write(service, 2)
            await step_until_both_writes_are_read(a, b)
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
        await step_until_both_writes_are_read(a, b)
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
            rows = await fetch(hasty, "SELECT shard, acked_offset FROM ingest.shard_lease")
            assert {row["acked_offset"] for row in rows if row["shard"] in revoked} <= {0, 1}


async def test_a_dead_consumer_loses_its_shards(hasty: Running) -> None:
    """Its process is gone: the rows stay behind as a kill leaves them."""
    await write(hasty, 1)
    await fetch(
        hasty,
        "INSERT INTO ingest.subscription (name, topic, owner) VALUES ('detector', 1, 'user:test')",
    )
    await fetch(
        hasty,
        "INSERT INTO ingest.consumer VALUES ('detector', 'dead', 's1', now())",
    )
    await fetch(
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


async def test_a_cancelled_consumer_frees_its_shards(service: Running) -> None:
    async with consuming(service, samples_open("gone")) as consumer:
        await consumer.until_shards(4)

    async def freed() -> bool:
        rows = await fetch(service, "SELECT session_id FROM ingest.shard_lease")
        return {row["session_id"] for row in rows} == {""}

    await until(freed)
