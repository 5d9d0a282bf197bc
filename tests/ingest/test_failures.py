"""What was acknowledged is there once, whatever fails."""

import asyncio
from pathlib import Path

import asyncpg
import grpc
import pytest

from mesh.errors import from_rpc_error
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.consumers import alerts_open
from tests.ingest.cuttable import NOW, Cuttable, answered, one, write_through
from tests.ingest.harness import (
    Running,
    alert,
    batch_request,
    columns,
    config,
    fetch,
    labels,
    opened,
    query,
    running,
    status_of,
    until,
)


async def stored(service: Running) -> list[float]:
    found = await query(service.stub, "cpu", NOW - 60_000, NOW + 60_000)
    return [value for points in found.values() for _, value in points]


async def waits_for_lock(service: Running, table: str) -> int:
    """How many questions about a table wait for somebody else's transaction."""
    return len(
        await fetch(
            service,
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            f"AND datname = current_database() AND query LIKE '%ingest.{table}%'",
        )
    )


@pytest.mark.parametrize("failure", ["cut", "stall"])
async def test_without_the_database_senders_are_told_to_come_back(
    cuttable: Cuttable, failure: str
) -> None:
    service = cuttable.service
    await write_through(service, one(1))
    getattr(cuttable.database, failure)()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.stub.WriteBatch(one(2), timeout=60)
    assert status_of(caught.value) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    assert from_rpc_error(caught.value).retry_after_s == 1.0
    cuttable.database.open()
    assert (await write_through(service, one(2))).accepted == 1
    assert await stored(service) == [1.0, 2.0]


async def test_a_stream_outlives_the_database(cuttable: Cuttable) -> None:
    service = cuttable.service
    frame = pb.WriteSamplesRequest(open=pb.WriteOpen(producer_id="s"))
    async with opened(service.stub.WriteSamples, frame) as stream:
        definition = pb.SeriesDefinition(ref=1, labels=labels(name="cpu", host="s"))
        series = pb.SeriesDefinitions(series=[definition])
        await stream.next("opened")
        await stream.send(pb.WriteSamplesRequest(series=series))
        batch = pb.SampleBatch(sequence=1, columns=columns([(1, NOW, 1.0), (1, NOW + 1, 2.0)]))
        cuttable.database.cut()
        await stream.send(pb.WriteSamplesRequest(batch=batch))
        ack = await stream.next("ack")
        assert (ack.accepted, ack.rejected, ack.duplicate) == (0, 2, False)
        (error,) = ack.errors
        assert error.reason == pb.SAMPLE_ERROR_REASON_UNAVAILABLE
        assert (error.index, error.retryable) == (0, True)
        cuttable.database.open()
        while ack.accepted == 0:
            await stream.send(pb.WriteSamplesRequest(batch=batch))
            ack = await stream.next("ack")
        assert ack.accepted == 2
    assert await stored(service) == [1.0, 2.0]


async def test_killed_connections_lose_and_double_nothing(cuttable: Cuttable) -> None:
    """Backends die at random moments under load; every sender repeats what has no answer."""
    service = cuttable.service
    stop = asyncio.Event()

    acked = 0

    async def kill() -> int:
        killed, seen = 0, -1
        while not stop.is_set():
            await asyncio.sleep(0.15)
            if acked == seen:
                continue  # a busy machine gets on first
            seen = acked
            rows = await fetch(
                service,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'ingest' AND datname = current_database()",
            )
            killed += len(rows)
        return killed

    killing = asyncio.create_task(kill())

    async def send(producer: int) -> None:
        nonlocal acked
        for sequence in range(1, 41):
            rows = [(producer, NOW - 50_000 + sequence, float(sequence))]
            ack = await write_through(service, batch_request(f"p{producer}", sequence, rows))
            assert ack.accepted == 1
            acked += 1

    try:
        await asyncio.gather(*(send(n) for n in range(4)))
    finally:
        stop.set()
        killed = await killing
    assert killed > 0
    rows = await fetch(service, "SELECT count(*), sum(sample_count) FROM ingest.batch")
    assert tuple(rows[0]) == (160, 160)
    heads = (await fetch(service, "SELECT last_offset, shard_totals FROM ingest.head"))[0]
    assert (heads["last_offset"], sum(heads["shard_totals"])) == (160, 160)


async def test_alerts_wait_for_the_database(cuttable: Cuttable) -> None:
    request = pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)])
    cuttable.database.cut()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await cuttable.service.stub.WriteAlerts(request, timeout=60)
    assert status_of(caught.value) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")


@pytest.mark.parametrize("failure", ["cut", "stall"])
async def test_alerts_without_an_answer_may_be_stored_and_are_told_again(
    cuttable: Cuttable, failure: str
) -> None:
    """The commit is done, its answer is lost: the sender hears UNAVAILABLE and repeats."""
    service = cuttable.service
    request = pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW, host=h) for h in ("a", "b")])
    connection = await asyncpg.connect(service.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT 1 FROM ingest.alert_head FOR UPDATE")
    writing = asyncio.ensure_future(service.stub.WriteAlerts(request, timeout=60))
    await until(lambda: waits_for_lock(service, "alert_head"))
    getattr(cuttable.database, failure)()
    await transaction.rollback()
    await connection.close()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await writing
    assert status_of(caught.value) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    assert from_rpc_error(caught.value).retry_after_s == 1.0
    cuttable.database.open()
    answer = await until(lambda: answered(service.stub.WriteAlerts, request))
    assert answer.accepted + answer.duplicates == 2
    assert len((await service.stub.ListAlerts(pb.ListAlertsRequest())).alerts) == 2
    again = await service.stub.WriteAlerts(request)
    assert (again.accepted, again.duplicates) == (0, 2)


async def test_an_ack_is_noted_though_its_consumer_half_closes_meanwhile(
    cuttable: Cuttable,
) -> None:
    service = cuttable.service
    await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)]))
    connection = await asyncpg.connect(service.dsn)
    async with opened(service.stub.Subscribe, alerts_open()) as stream:
        delivery_id = (await stream.next("alert")).delivery_id
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM ingest.delivery FOR UPDATE")
            done = pb.SubscribeAck(delivery_ids=[delivery_id])
            await stream.send(pb.SubscribeRequest(ack=done))
            await until(lambda: waits_for_lock(service, "delivery"))
            await stream.call.done_writing()
            await asyncio.sleep(0.1)
        assert await stream.next("never") is None
    assert await connection.fetchval("SELECT count(*) FROM ingest.delivery") == 0
    await connection.close()


@pytest.mark.parametrize("kind", ["ack", "nack"])
async def test_an_ack_that_cannot_be_noted_ends_the_stream(cuttable: Cuttable, kind: str) -> None:
    service = cuttable.service
    await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[alert(start_ms=NOW)]))
    async with opened(service.stub.Subscribe, alerts_open(deadline_s=1)) as stream:
        ids = [(await stream.next("alert")).delivery_id]
        cuttable.database.cut()
        frames = {
            "ack": pb.SubscribeRequest(ack=pb.SubscribeAck(delivery_ids=ids)),
            "nack": pb.SubscribeRequest(nack=pb.SubscribeNack(delivery_ids=ids)),
        }
        await stream.send(frames[kind])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.next("never")
    assert status_of(caught.value) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    cuttable.database.open()
    async with opened(service.stub.Subscribe, alerts_open("c2")) as stream:
        assert (await stream.next("alert")).attempt >= 2


async def test_a_full_installation_takes_known_series_only(
    cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    async with running(config(cleared_dsn, redis_url, keys, max_series=3), keys) as service:
        rows = [(n, NOW, 1.0) for n in range(5)]
        ack = (await service.stub.WriteBatch(batch_request("p", 1, rows))).ack
        assert (ack.accepted, ack.rejected) == (3, 2)
        assert {error.reason for error in ack.errors} == {pb.SAMPLE_ERROR_REASON_SERIES_LIMIT}
        assert not any(error.retryable for error in ack.errors)
        ack = (await service.stub.WriteBatch(batch_request("p", 2, rows))).ack
        assert (ack.accepted, ack.rejected) == (3, 2)
        ack = (await service.stub.WriteBatch(batch_request("p", 3, [(9, NOW, 1.0)]))).ack
        assert (ack.accepted, ack.rejected) == (0, 1)


async def test_another_number_of_shards_is_refused(
    service: Running, redis_url: str, keys: Path
) -> None:
    from mesh.config import ConfigError

    with pytest.raises(ConfigError, match="SENSUS_SHARD_COUNT is 8, but this database has 4"):
        async with running(config(service.dsn, redis_url, keys, shard_count=8), keys):
            pass


async def test_a_cancelled_query_stops_its_work(service: Running) -> None:
    rows = [(n, NOW - 100, 1.0) for n in range(50)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    connection = await asyncpg.connect(service.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE ingest.chunk IN ACCESS EXCLUSIVE MODE")
    request = pb.QuerySamplesRequest(selector="cpu")
    request.start_time.FromMilliseconds(NOW - 1000)
    call = service.stub.QuerySamples(request)
    reading = asyncio.create_task(call.read())

    await until(lambda: waits_for_lock(service, "chunk"))
    call.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    async def stopped() -> bool:
        return await waits_for_lock(service, "chunk") == 0

    await until(stopped, 20)  # sooner than a question is given up
    await transaction.rollback()
    await connection.close()
