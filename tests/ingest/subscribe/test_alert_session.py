"""SHARED subscriptions: competing consumers, deadlines, attempts, dead letters."""

import asyncio
import dataclasses
import time

import asyncpg
import grpc
import pytest

from mesh.postgres import open_pool
from mesh.selector import Selector
from sensus.core.v1 import alert_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.store.deliveries import DeliveryStore, QueueTerms
from tests.ingest.conftest import HASTY_TTL_S
from tests.ingest.consumers import alerts_open, consuming
from tests.ingest.harness import Running, Stream, alert, opened, status_of, until

NOW = int(time.time() * 1000)
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED


async def write(service: Running, *alerts: alert_pb2.Alert) -> list[str]:
    answer = await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))
    return list(answer.alert_ids)


async def ack(stream: Stream, *delivery_ids: str) -> None:
    await stream.send(pb.SubscribeRequest(ack=pb.SubscribeAck(delivery_ids=delivery_ids)))


async def nack(stream: Stream, *delivery_ids: str, after_ms: int = 0, **more: object) -> None:
    frame = pb.SubscribeNack(delivery_ids=delivery_ids, **more)
    frame.redeliver_after.FromMilliseconds(after_ms)
    await stream.send(pb.SubscribeRequest(nack=frame))


async def dead_letters(service: Running, name: str = "explainer") -> list[pb.DeadLetter]:
    request = pb.ListDeadLettersRequest(subscription=name)
    return list((await service.stub.ListDeadLetters(request)).dead_letters)


async def nothing_waits(service: Running) -> bool:
    """Whether the queue is empty: what is not in it cannot come."""
    connection = await asyncpg.connect(service.dsn)
    try:
        return await connection.fetchval("SELECT NOT EXISTS (SELECT 1 FROM ingest.delivery)")
    finally:
        await connection.close()


async def waiting(service: Running, count: int) -> bool:
    """Whether so many deliveries are not acked."""
    connection = await asyncpg.connect(service.dsn)
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM ingest.delivery") == count)
    finally:
        await connection.close()


async def test_worse_severities_are_delivered_first_and_equal_ones_by_age(
    service: Running,
) -> None:
    """One critical alert does not wait behind a storm of warnings."""
    storm = [alert(start_ms=NOW - 9000 + n, host=f"w{n}", severity="warning") for n in range(40)]
    warnings = await write(service, *storm)
    (critical,) = await write(service, alert(start_ms=NOW, host="c", severity="critical"))
    (info,) = await write(service, alert(start_ms=NOW, host="i", severity="info"))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        await stream.next("opened")
        found = [(await stream.next("alert")).alert.alert_id for _ in range(42)]
    assert (found[0], found[-1]) == (critical, info)
    assert sorted(found[1:-1]) == sorted(warnings)


async def test_past_and_coming_alerts_are_delivered(service: Running) -> None:
    (first,) = await write(service, alert(start_ms=NOW - 5000, host="a"))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        terms = await stream.next("opened")
        assert (terms.shard_count, len(terms.session_id)) == (1, 32)
        delivery = await stream.next("alert")
        assert (delivery.alert.alert_id, delivery.attempt) == (first, 1)
        await ack(stream, delivery.delivery_id)
        (second,) = await write(service, alert(start_ms=NOW - 5000, host="b"))
        assert (await stream.next("alert")).alert.alert_id == second


async def test_acked_alerts_do_not_come_again(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 5000))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        await ack(stream, (await stream.next("alert")).delivery_id)
        await until(lambda: nothing_waits(service))
        await stream.nothing("alert", 0.1)


async def test_each_change_carries_the_state_it_brought(service: Running) -> None:
    await write(service, alert(FIRING, start_ms=NOW - 5000))
    await write(service, alert(RESOLVED, start_ms=NOW - 5000, end_ms=NOW - 100))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        deliveries = [await stream.next("alert") for _ in range(2)]
    assert [each.alert.state for each in deliveries] == [FIRING, RESOLVED]
    assert [each.alert.HasField("end_time") for each in deliveries] == [False, True]


async def test_a_late_firing_is_delivered_as_resolved(service: Running) -> None:
    await write(service, alert(RESOLVED, start_ms=NOW - 5000, end_ms=NOW - 100))
    await write(service, alert(FIRING, start_ms=NOW - 5000))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        states = [(await stream.next("alert")).alert.state for _ in range(2)]
    assert states == [RESOLVED, RESOLVED]


async def test_consumers_compete(service: Running) -> None:
    async with (
        opened(service.stub.Subscribe, alerts_open("a", credit=20)) as a,
        opened(service.stub.Subscribe, alerts_open("b", credit=20)) as b,
    ):
        await a.next("opened")
        await b.next("opened")
        sent = await write(service, *[alert(start_ms=NOW - n, host=str(n)) for n in range(40)])
        seen = []
        for stream in (a, b):
            for _ in range(20):
                delivery = await stream.next("alert")
                seen.append(delivery.alert.alert_id)
                await ack(stream, delivery.delivery_id)
        assert sorted(seen) == sorted(sent)


async def test_unacked_deliveries_come_again_and_are_buried(service: Running) -> None:
    (alert_id,) = await write(service, alert(start_ms=NOW - 5000))
    first_frame = alerts_open(max_attempts=2, deadline_s=1)
    async with opened(service.stub.Subscribe, first_frame) as stream:
        attempts = [(await stream.next("alert")).attempt for _ in range(2)]
        assert attempts == [1, 2]
        (letter,) = await until(lambda: dead_letters(service))
    assert (letter.alert.alert_id, letter.attempts) == (alert_id, 2)
    assert letter.reason == "ack deadline exceeded"
    assert letter.bury_time.ToMilliseconds() > NOW


async def test_a_delivery_of_a_dead_consumer_goes_to_another(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 5000))
    async with opened(service.stub.Subscribe, alerts_open("a", deadline_s=1)) as stream:
        first = await stream.next("alert")
    async with opened(service.stub.Subscribe, alerts_open("b")) as stream:
        second = await stream.next("alert")
        assert (first.attempt, second.attempt) == (1, 2)
        await ack(stream, first.delivery_id)
        await until(lambda: nothing_waits(service))
        await stream.nothing("alert", 0.1)


async def test_a_consumer_that_comes_back_gets_at_once_what_it_has_not_acked(
    service: Running,
) -> None:
    await write(service, *[alert(start_ms=NOW - n, host=str(n)) for n in range(3)])
    async with opened(service.stub.Subscribe, alerts_open("a")) as stream:
        first, *others = [await stream.next("alert") for _ in range(3)]
        await ack(stream, first.delivery_id)
        await until(lambda: waiting(service, 2))
    async with opened(service.stub.Subscribe, alerts_open("a")) as stream:
        again = [await stream.next("alert") for _ in range(2)]
        await stream.nothing("alert", 0.7)
    assert [each.alert for each in again] == [each.alert for each in others]
    assert [each.attempt for each in again] == [2, 2]


async def test_deliveries_of_a_consumer_that_is_gone_go_to_another(hasty: Running) -> None:
    """Not while it may come back, and not those of one that is only slow."""
    await write(hasty, alert(start_ms=NOW - 5000))
    async with opened(hasty.stub.Subscribe, alerts_open("b")) as other:
        await other.next("opened")
        its = await other.next("alert")
        async with opened(hasty.stub.Subscribe, alerts_open("a")) as stream:
            await stream.nothing("alert", 1.5 * HASTY_TTL_S)
    async with opened(hasty.stub.Subscribe, alerts_open("a")) as stream:
        await stream.nothing("alert", 0.2)
        again = await stream.next("alert")
    assert (again.alert, again.attempt) == (its.alert, 2)


async def test_deliveries_of_a_consumer_that_leaves_go_to_another_at_once(
    service: Running,
) -> None:
    await write(service, alert(start_ms=NOW - 5000))
    async with opened(service.stub.Subscribe, alerts_open("a")) as stream:
        await stream.next("alert")
        await stream.call.done_writing()
        assert await stream.next("never") is None
    async with opened(service.stub.Subscribe, alerts_open("b")) as stream:
        assert (await stream.next("alert")).attempt == 2


async def test_what_was_leased_but_never_sent_is_sent(service: Running) -> None:
    """As after a commit whose answer was lost; a stream that was replaced leases nothing."""
    await write(service, *[alert(start_ms=NOW - n, host=str(n)) for n in range(2)])
    async with opened(service.stub.Subscribe, alerts_open("a", credit=0)) as stream:
        session = (await stream.next("opened")).session_id
        async with open_pool(service.dsn, application_name="test") as pool:
            store = DeliveryStore(pool, absent_after_s=60.0)
            terms = QueueTerms(
                subscription="explainer",
                consumer_id="a",
                session_id=session,
                selector=Selector(),
                ack_deadline_s=3600.0,
                max_attempts=5,
            )
            await store.fill(terms)
            old = dataclasses.replace(terms, session_id="older")
            assert not await store.claim(old, 9)
            one, two = await store.claim(terms, 9)
            assert not await store.claim(terms, 9)
            await store.reclaim(terms, {one.delivery_id})
            (again,) = await store.claim(terms, 9)
            assert (again.delivery_id, again.attempt) == (two.delivery_id, 2)


async def test_a_nack_brings_a_delivery_back_when_it_says(service: Running) -> None:
    await write(service, alert(start_ms=NOW - 5000))
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        first = await stream.next("alert")
        sooner = asyncio.create_task(asyncio.sleep(0.6))
        await nack(stream, first.delivery_id, after_ms=700)
        second = await stream.next("alert")
        assert sooner.done()
        assert second.attempt == 2
        await nack(stream, first.delivery_id, permanent=True)
        await stream.nothing("alert", 0.6)
        assert await dead_letters(service) == []


async def test_a_permanent_nack_buries_and_redrive_brings_back(service: Running) -> None:
    ids = await write(service, *[alert(start_ms=NOW - n * 1000, host=str(n)) for n in range(3)])
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        deliveries = [await stream.next("alert") for _ in ids]
        for number, delivery in enumerate(deliveries):
            await nack(stream, delivery.delivery_id, permanent=True, reason=f"bad {number}")

        async def all_buried() -> bool:
            return len(await dead_letters(service)) == 3

        await until(all_buried)
        letters = await dead_letters(service)
        assert [letter.reason for letter in letters] == ["bad 2", "bad 1", "bad 0"]
        page = await service.stub.ListDeadLetters(
            pb.ListDeadLettersRequest(subscription="explainer", page_size=2)
        )
        rest = await service.stub.ListDeadLetters(
            pb.ListDeadLettersRequest(
                subscription="explainer", page_size=2, page_token=page.next_page_token
            )
        )
        assert [len(page.dead_letters), len(rest.dead_letters)] == [2, 1]
        assert rest.next_page_token == ""
        answer = await service.stub.RedriveDeadLetters(
            pb.RedriveDeadLettersRequest(
                subscription="explainer",
                delivery_ids=[letters[0].delivery_id, "999999", "not an id"],
            )
        )
        assert answer.redriven == 1
        again = await stream.next("alert")
        assert (again.attempt, again.alert.alert_id) == (1, letters[0].alert.alert_id)
        assert len(await dead_letters(service)) == 2


async def test_credit_bounds_deliveries(service: Running) -> None:
    await write(service, *[alert(start_ms=NOW - n, host=str(n)) for n in range(10)])
    async with opened(service.stub.Subscribe, alerts_open(credit=3)) as stream:
        for _ in range(3):
            await stream.next("alert")
        await stream.nothing("alert", 0.6)
        await stream.send(pb.SubscribeRequest(credit=pb.SubscribeCredit(samples=2)))
        for _ in range(2):
            await stream.next("alert")
        await stream.nothing("alert", 0.6)


async def test_only_selected_alerts_become_deliveries(service: Running) -> None:
    await write(service, *[alert(start_ms=NOW, host=host) for host in ("a", "b", "c")])
    async with opened(service.stub.Subscribe, alerts_open(selector='{host!="b"}')) as stream:
        hosts = set()
        for _ in range(2):
            delivery = await stream.next("alert")
            hosts |= {each.value for each in delivery.alert.labels if each.name == "host"}
            await ack(stream, delivery.delivery_id)
        assert hosts == {"a", "c"}
        beat = await stream.next("heartbeat")
        while beat.lags[0].lag:
            beat = await stream.next("heartbeat")
        assert (beat.lags[0].head_cursor, beat.lags[0].delivered_cursor) == (3, 3)


@pytest.mark.parametrize("latest", [True, False])
async def test_a_subscription_may_begin_now_or_at_a_time(service: Running, latest: bool) -> None:
    service.clock.ahead_ms = -3_600_000
    await write(service, alert(start_ms=NOW - 7_200_000, host="old"))
    service.clock.ahead_ms = 0
    position = pb.StartPosition(latest=True)
    if not latest:
        position = pb.StartPosition()
        position.from_time.FromMilliseconds(NOW - 1_800_000)
    async with opened(service.stub.Subscribe, alerts_open(start=position)) as stream:
        await stream.next("opened")
        (fresh,) = await write(service, alert(start_ms=NOW - 1000, host="new"))
        assert (await stream.next("alert")).alert.alert_id == fresh
        await stream.nothing("alert", 0.7)


async def test_the_same_consumer_replaces_its_older_stream(service: Running) -> None:
    async with opened(service.stub.Subscribe, alerts_open()) as older:
        await older.next("opened")
        async with opened(service.stub.Subscribe, alerts_open()) as newer:
            await newer.next("opened")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await older.next("never")
    assert status_of(caught.value) == ("ABORTED", "CONSUMER_REPLACED")


async def test_a_drain_is_announced(service: Running) -> None:
    async with consuming(service, alerts_open()) as consumer:
        stopping = asyncio.create_task(service.ingest.server.stop(0, 60))
        await consumer.stream.next("draining")
        await consumer.finish()
        await stopping


async def test_bad_dead_letter_requests(shared: Running) -> None:
    cases = [
        (shared.stub.ListDeadLetters, pb.ListDeadLettersRequest(), "INVALID_SUBSCRIPTION"),
        (
            shared.stub.ListDeadLetters,
            pb.ListDeadLettersRequest(subscription="a", page_token="x"),
            "INVALID_PAGE_TOKEN",
        ),
        (
            shared.stub.ListDeadLetters,
            pb.ListDeadLettersRequest(subscription="a", page_size=5000),
            "INVALID_PAGE_SIZE",
        ),
        (shared.stub.RedriveDeadLetters, pb.RedriveDeadLettersRequest(), "INVALID_SUBSCRIPTION"),
        (
            shared.stub.RedriveDeadLetters,
            pb.RedriveDeadLettersRequest(subscription="a"),
            "DELIVERY_IDS_EMPTY",
        ),
    ]
    for method, request, reason in cases:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(request)
        assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)
