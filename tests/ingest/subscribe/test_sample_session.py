"""SHARDED subscriptions: ordered, from the place that was asked for, within credit."""

import asyncio
import time

import grpc
import pytest

from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import Consumer, alerts_open, consuming, samples_open
from tests.ingest.harness import Running, fetch, opened, status_of, until
from tests.ingest.subscribe.samples import HOSTS, NOW, forever, values, write


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
            rows = await fetch(service, "SELECT acked_offset FROM ingest.shard_lease")
            return [row[0] for row in rows] == [heads.last_offset] * 4

        stepping = asyncio.create_task(forever(consumer))
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
    rows = await fetch(service, "SELECT session_id FROM ingest.shard_lease")
    assert {row["session_id"] for row in rows} == {""}


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
