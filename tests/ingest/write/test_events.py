"""OTLP traces and logs through the service: durable before the answer, once, without secrets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from redis.asyncio import Redis

from mesh.interceptors import client_interceptors
from mesh.wire import OWN_CONNECTIONS
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.model.events import EVENT, RECORD
from tests.databases import execute, fetch
from tests.ingest.harness import Running, Stream, config, opened, running, status_of, until
from tests.ingest.otlp.events import NOW_NS, logs, traces

PLENTY = 1_000_000


class EventConsumer:
    """Holds every shard, and keeps what is delivered."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.epochs: dict[int, int] = {}
        self.deliveries: list[pb.EventDelivery] = []
        self.gaps: list[pb.Gap] = []

    @property
    def rows(self) -> np.ndarray[Any, Any]:
        """All rows so far."""
        return np.concatenate(
            [np.empty(0, EVENT), *(np.frombuffer(d.rows, EVENT) for d in self.deliveries)]
        )

    async def step(self, *, ack: bool = True) -> pb.SubscribeResponse:
        """Takes one frame and answers it."""
        frame: pb.SubscribeResponse = await self._stream.next()
        match frame.WhichOneof("frame"):
            case "assignment":
                for each in frame.assignment.assigned:
                    self.epochs[each.shard] = each.epoch
                    start = pb.ShardStart(shard=each.shard, epoch=each.epoch)
                    await self._stream.send(pb.SubscribeRequest(shard_start=start))
            case "gap":
                self.gaps.append(frame.gap)
            case "events":
                self.deliveries.append(frame.events)
                place = pb.ShardCursor(shard=frame.events.shard, cursor=frame.events.cursor)
                if ack:
                    done = pb.SubscribeAck(up_to=place)
                    await self._stream.send(pb.SubscribeRequest(ack=done))
        return frame

    async def until(self, rows: int) -> None:
        """Steps until so many rows came."""
        while len(self.rows) < rows:
            await self.step()


@asynccontextmanager
async def consuming(service: Running, name: str = "counts") -> AsyncIterator[EventConsumer]:
    """A consumer of all events."""
    open_ = pb.SubscribeOpen(
        subscription=name,
        consumer_id="c1",
        topic=pb.TOPIC_EVENTS,
        mode=pb.SUBSCRIPTION_MODE_SHARDED,
        initial_credit=pb.SubscribeCredit(samples=PLENTY),
    )
    async with opened(service.stub.Subscribe) as stream:
        await stream.send(pb.SubscribeRequest(open=open_))
        yield EventConsumer(stream)


async def forget(redis_url: str) -> None:
    """Loses all that Redis has."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()


def spans_of_traces(count: int) -> Any:
    """Two spans of each of so many traces."""
    return traces(
        *(
            {"trace_id": (trace + 1).to_bytes(16, "big"), "attributes": {"http.route": "/a"}}
            for trace in range(count)
            for _ in range(2)
        )
    )


async def test_spans_come_by_shard_with_the_names_of_their_ids(service: Running) -> None:
    answer = await TraceServiceStub(service.channel).Export(spans_of_traces(40))
    assert not answer.HasField("partial_success")
    async with consuming(service) as consumer:
        await consumer.until(80)
    shards: dict[bytes, set[int]] = {}
    for delivery in consumer.deliveries:
        names = {each.id: (each.service, each.name) for each in delivery.names.operations}
        for row in np.frombuffer(delivery.rows, EVENT):
            assert names[int(row["operation"])] == ("shop", "work")
            shards.setdefault(bytes(row["trace_id"]), set()).add(delivery.shard)
    assert len(shards) == 40
    assert all(len(held) == 1 for held in shards.values())
    assert len(set.union(*shards.values())) == 4


async def test_a_body_that_comes_again_counts_once(service: Running) -> None:
    stub = TraceServiceStub(service.channel)
    request = spans_of_traces(3)
    await asyncio.gather(*(stub.Export(request) for _ in range(5)))
    await LogsServiceStub(service.channel).Export(logs({"body": "x", "severity_number": 17}))
    async with consuming(service) as consumer:
        await consumer.until(7)
        assert len(consumer.rows) == 7
    heads = await service.ingest.events.heads.now()
    assert sum(heads.totals) == 7


async def test_what_redis_has_lost_comes_from_the_log(service: Running, redis_url: str) -> None:
    await TraceServiceStub(service.channel).Export(spans_of_traces(10))
    await forget(redis_url)
    async with consuming(service) as consumer:
        await consumer.until(20)


async def test_the_clock_of_an_idle_log_goes_on(service: Running) -> None:
    before = await service.ingest.events.heads.now()
    service.clock.ahead_ms += 6000
    async with consuming(service) as consumer:
        while {d.shard for d in consumer.deliveries if not d.rows} != {0, 1, 2, 3}:
            await consumer.step()
        at_s = [d.commit_time.seconds for d in consumer.deliveries]
    assert at_s == sorted(at_s)

    async def gone_on() -> bool:
        heads = await service.ingest.events.heads.now()
        return heads.last_offset > before.last_offset

    await until(gone_on)
    after = await service.ingest.events.heads.now()
    assert sum(after.totals) == sum(before.totals)


async def test_old_events_go_and_their_reader_hears_of_the_gap(
    cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    """Without what fills Redis: there the events of before might still be."""
    settings = config(cleared_dsn, redis_url, keys)
    async with running(settings, keys, only=("event_committer",)) as service:
        stub = TraceServiceStub(service.channel)
        await stub.Export(spans_of_traces(8))
        async with consuming(service) as consumer:
            await consumer.until(16)
        await stub.Export(traces({"trace_id": bytes(15) + b"\x09"}))
        service.clock.ahead_ms += 3_600_000
        await service.ingest.events.retention.tidy()
        assert not await fetch(service.dsn, "SELECT 1 FROM ingest.event_batch")
        await stub.Export(traces({"trace_id": bytes(15) + b"\x09", "name": "later"}))
        async with consuming(service) as consumer:
            await consumer.until(1)
        assert consumer.gaps


async def test_a_commit_that_fails_takes_its_new_partition_with_it_and_the_next_makes_it(
    migrated_dsn: str, redis_url: str, keys: Path
) -> None:
    settings = config(migrated_dsn, redis_url, keys)
    async with running(settings, keys, only=("event_committer",)) as service:
        stub = TraceServiceStub(service.channel)
        rename = "ALTER TABLE ingest.event_batch RENAME COLUMN {} TO {}"
        await execute(service.dsn, rename.format("examples", "gone"))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Export(spans_of_traces(1))
        await execute(service.dsn, rename.format("gone", "examples"))
        await stub.Export(spans_of_traces(1))
        assert sum((await service.ingest.events.heads.now()).totals) == 2


async def test_a_refused_record_is_counted_and_costs_no_other(shared: Running) -> None:
    answer = await TraceServiceStub(shared.channel).Export(traces({"span_id": b"1"}, {}))
    assert answer.partial_success.rejected_spans == 1
    assert "span_id" in answer.partial_success.error_message
    answer = await LogsServiceStub(shared.channel).Export(logs({"trace_id": b"1"}, {}))
    assert answer.partial_success.rejected_log_records == 1


async def test_what_is_no_request_is_its_senders_fault(shared: Running) -> None:
    for signal in ("trace.v1.TraceService", "logs.v1.LogsService"):
        export = shared.channel.unary_unary(f"/opentelemetry.proto.collector.{signal}/Export")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await export(b"\x0a\x7f")
        assert status_of(caught.value) == ("INVALID_ARGUMENT", "BODY_BROKEN")


async def test_each_signal_needs_its_scope(shared: Running) -> None:
    tokens = client_interceptors(
        tokens=lambda: shared.minter.mint("user:sender", ["write:samples", "write:logs"], 3600)
    )
    target = f"127.0.0.1:{shared.port}"
    async with grpc.aio.insecure_channel(target, OWN_CONNECTIONS, interceptors=tokens) as channel:
        await LogsServiceStub(channel).Export(logs({}))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await TraceServiceStub(channel).Export(traces({}))
    assert status_of(caught.value) == ("PERMISSION_DENIED", "SCOPE_MISSING")


async def test_a_sender_of_too_many_events_is_told_to_wait(
    cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    settings = config(cleared_dsn, redis_url, keys, max_caller_events_per_s=1)
    async with running(settings, keys) as limited:
        stub = TraceServiceStub(limited.channel)
        await stub.Export(spans_of_traces(30))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Export(spans_of_traces(31))
    assert status_of(caught.value) == ("RESOURCE_EXHAUSTED", "SAMPLE_RATE_EXCEEDED")


SECRETS = (
    "hunter2hunter",
    "bob@example.com",
    "4111 1111 1111 1111",
    "SELECT name FROM people",
    "tok_0123456789abcdef",
    "10.1.2.3",
    "correct-horse",
)


async def test_nothing_secret_is_kept(service: Running) -> None:
    """Not in the log, not in its names, not in its examples, whatever a sender puts where."""
    said = {
        "db.query.text": "SELECT name FROM people",
        "db.statement": "SELECT name FROM people",
        "db.system": "postgresql",
        "url.full": "https://bob@example.com:hunter2hunter@pay/x?token=tok_0123456789abcdef",
        "enduser.id": "bob@example.com",
        "client.address": "10.1.2.3",
        "http.request.header.authorization": "Bearer tok_0123456789abcdef",
    }
    failed = {
        "exception.type": "E",
        "exception.message": "password=hunter2hunter card 4111 1111 1111 1111 bob@example.com",
        "exception.stacktrace": 'File "/a/b.py", line 1, in f\n  log_in("correct-horse")',
    }
    span = {"kind": 3, "attributes": said, "events": [failed], "error": True}
    await TraceServiceStub(service.channel).Export(
        traces(span, {"name": "GET /people/bob@example.com"})
    )
    line = "user bob@example.com paid by 4111 1111 1111 1111 with password hunter2hunter"
    await LogsServiceStub(service.channel).Export(
        logs(
            {"body": line, "severity_number": 17, "trace_id": bytes(15) + b"\1"},
            {"body": f"{line} token=tok_0123456789abcdef"},
            {"body": "Authorization: Bearer tok_0123456789abcdef", "severity_number": 13},
        )
    )
    query = "SELECT event_batch::text, names, examples, event_rows FROM ingest.event_batch"
    stored = await fetch(service.dsn, query)
    assert len(stored) >= 2
    for row in stored:
        held = b"".join(part.encode() if isinstance(part, str) else part for part in row)
        assert not [secret for secret in SECRETS if secret.encode() in held]
    held = b"".join(row[2] for row in stored)
    assert b"b.py:1 f" in held


async def test_records_of_errors_carry_their_example(service: Running) -> None:
    failed = {"body": "charge 17 failed", "severity_number": 17, "trace_id": bytes(15) + b"\7"}
    await LogsServiceStub(service.channel).Export(logs(failed, {"body": "fine"}))
    async with consuming(service) as consumer:
        await consumer.until(2)
    (example,) = (each for d in consumer.deliveries for each in d.examples)
    assert (example.message, example.trace_id) == ("charge 17 failed", bytes(15) + b"\7")
    (record,) = consumer.rows[consumer.rows["kind"] == RECORD]
    assert (record["parent"], record["start_ns"]) == (example.pattern, NOW_NS)
