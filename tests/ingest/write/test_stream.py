"""WriteSamples: one long stream that one bad sample never ends."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import grpc
import pytest

from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.config import Config, Limits
from tests.ingest.harness import (
    Running,
    Stream,
    batch_request,
    columns,
    config,
    labels,
    opened,
    query,
    running,
    status_of,
)

NOW = int(time.time() * 1000)


def open_frame(producer: str = "p") -> pb.WriteSamplesRequest:
    return pb.WriteSamplesRequest(open=pb.WriteOpen(producer_id=producer))


def series_frame(defined: dict[int, list[series_pb2.Label]]) -> pb.WriteSamplesRequest:
    series = [pb.SeriesDefinition(ref=ref, labels=given) for ref, given in defined.items()]
    return pb.WriteSamplesRequest(series=pb.SeriesDefinitions(series=series))


def batch_frame(sequence: int, rows: Iterable[tuple[int, int, float]]) -> pb.WriteSamplesRequest:
    batch = pb.SampleBatch(sequence=sequence, columns=columns(rows))
    return pb.WriteSamplesRequest(batch=batch)


def reason(ack: pb.WriteAck) -> str:
    return pb.SampleErrorReason.Name(ack.errors[0].reason).removeprefix("SAMPLE_ERROR_REASON_")


async def ended(stream: Stream) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.next("never")
    return status_of(caught.value)


async def test_the_limits_come_first(service: Running) -> None:
    async with opened(service.stub.WriteSamples, open_frame()) as stream:
        answer = await stream.next("opened")
    assert answer == pb.WriteOpened(
        initial_credit=16,
        max_batch_samples=100_000,
        max_message_bytes=16 * 1024 * 1024,
        max_series=100_000,
        last_sequence=0,
    )


async def test_a_restarted_sender_learns_its_last_sequence(shared: Running) -> None:
    await shared.stub.WriteBatch(batch_request("restarted", 41, [(1, NOW, 1.0)]))
    await shared.stub.WriteBatch(batch_request("other", 99, [(1, NOW, 1.0)]))
    async with opened(shared.stub.WriteSamples, open_frame("restarted")) as stream:
        assert (await stream.next("opened")).last_sequence == 41


async def test_series_are_defined_once_and_batches_are_acked(service: Running) -> None:
    async with opened(service.stub.WriteSamples, open_frame()) as stream:
        await stream.send(series_frame({5: labels(name="cpu"), 4_000_000_000: labels(name="mem")}))
        for sequence in range(1, 6):
            rows = [(5, NOW - sequence, 1.0), (4_000_000_000, NOW - sequence, 2.0)]
            await stream.send(batch_frame(sequence, rows))
        acks = [await stream.next("ack") for _ in range(5)]
        await stream.call.done_writing()
        assert await stream.next("never") is None
    assert sorted(ack.sequence for ack in acks) == [1, 2, 3, 4, 5]
    assert all((ack.accepted, ack.rejected) == (2, 0) for ack in acks)
    found = await query(service.stub, "mem", NOW - 100, NOW)
    assert [time for points in found.values() for time, _ in points] == list(range(NOW - 5, NOW))


async def test_the_stream_lives_on_after_every_kind_of_bad_batch(shared: Running) -> None:
    async with opened(shared.stub.WriteSamples, open_frame("bad-batches")) as stream:
        await stream.send(series_frame({1: labels(name="cpu"), 2: labels(host="nameless")}))
        unequal = batch_frame(2, [(1, NOW, 1.0)])
        unequal.batch.columns.values += b"x"
        large = batch_frame(3, [])
        large.batch.columns.series_refs = bytes(4 * 100_001)
        large.batch.columns.timestamps_ms = bytes(8 * 100_001)
        large.batch.columns.values = bytes(8 * 100_001)
        sent = {
            "INVALID_SEQUENCE": (batch_frame(0, [(1, NOW, 1.0)]), 1),
            "COLUMNS_UNEQUAL": (unequal, 1),
            "BATCH_TOO_LARGE": (large, 100_001),
            "BATCH_EMPTY": (batch_frame(4, []), 0),
            "UNKNOWN_SERIES": (batch_frame(5, [(7, NOW, 1.0)]), 1),
            "INVALID_LABELS": (batch_frame(6, [(2, NOW, 1.0)]), 1),
            "TOO_FAR_IN_FUTURE": (batch_frame(7, [(1, NOW + 10**7, 1.0)]), 1),
            "TOO_OLD": (batch_frame(8, [(1, 5, 1.0)]), 1),
        }
        for expected, (frame, rejected) in sent.items():
            await stream.send(frame)
            ack = await stream.next("ack")
            assert (reason(ack), ack.accepted, ack.rejected) == (expected, 0, rejected)
            assert ack.errors[0].index == 0
            assert ack.errors[0].retryable is (expected == "TOO_FAR_IN_FUTURE")
        await stream.send(batch_frame(9, [(1, NOW, 1.0)]))
        assert (await stream.next("ack")).accepted == 1


async def test_a_redefined_ref_means_the_new_series_for_later_batches(shared: Running) -> None:
    async with opened(shared.stub.WriteSamples, open_frame("redefined")) as stream:
        for sequence, name in enumerate(("first", "second"), start=1):
            await stream.send(series_frame({1: labels(name=name)}))
            await stream.send(batch_frame(sequence, [(1, NOW - 1000 + sequence, sequence)]))
        for _ in range(2):
            await stream.next("ack")
    first = await query(shared.stub, "first", NOW - 5000, NOW)
    second = await query(shared.stub, "second", NOW - 5000, NOW)
    assert list(first.values()) == [[(NOW - 999, 1.0)]]
    assert list(second.values()) == [[(NOW - 998, 2.0)]]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([batch_frame(1, [(1, 1, 1.0)])], ("INVALID_ARGUMENT", "OPEN_REQUIRED")),
        ([open_frame(), open_frame()], ("INVALID_ARGUMENT", "OPEN_TWICE")),
        ([open_frame("a b")], ("INVALID_ARGUMENT", "INVALID_PRODUCER_ID")),
        ([open_frame(), pb.WriteSamplesRequest()], ("INVALID_ARGUMENT", "MESSAGE_EMPTY")),
    ],
)
async def test_a_broken_conversation_ends(
    shared: Running, frames: list[pb.WriteSamplesRequest], expected: tuple[str, str]
) -> None:
    async with opened(shared.stub.WriteSamples) as stream:
        for frame in frames:
            await stream.send(frame)
        assert await ended(stream) == expected


async def test_a_stream_without_any_frame_needs_an_open(shared: Running) -> None:
    async with opened(shared.stub.WriteSamples) as stream:
        await stream.call.done_writing()
        assert await ended(stream) == ("INVALID_ARGUMENT", "OPEN_REQUIRED")


async def test_too_many_series_end_the_stream(
    cleared_dsn: str, redis_url: str, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is the one that `opened` tells; here a small one."""
    monkeypatch.setattr(Config, "limits", lambda _: Limits(max_stream_series=500))
    async with (
        running(config(cleared_dsn, redis_url, keys), keys) as service,
        opened(service.stub.WriteSamples, open_frame()) as stream,
    ):
        assert (await stream.next("opened")).max_series == 500
        for refs in (range(250), range(250, 500)):
            await stream.send(series_frame({r: labels(name="m", n=str(r)) for r in refs}))
        await stream.send(series_frame({n: labels(name="m", n="7") for n in range(500, 600)}))
        await stream.send(batch_frame(1, [(n, NOW, 1.0) for n in range(600)]))
        assert (await stream.next("ack")).accepted == 600
        await stream.send(series_frame({600: labels(name="m", n="one more")}))
        assert await ended(stream) == ("INVALID_ARGUMENT", "TOO_MANY_SERIES")


async def test_a_sender_that_ignores_its_credit_is_cut_off(service: Running) -> None:
    async with opened(service.stub.WriteSamples, open_frame()) as stream:
        await stream.next("opened")
        await stream.send(series_frame({1: labels(name="cpu")}))
        unblock = await _block_commits(service)
        try:
            for sequence in range(1, 34):
                await stream.send(batch_frame(sequence, [(1, NOW, 1.0)] * 10))
            assert await ended(stream) == ("RESOURCE_EXHAUSTED", "CREDIT_EXCEEDED")
        finally:
            await unblock()


async def test_a_cancelled_sender_does_not_break_its_group(service: Running) -> None:
    unblock = await _block_commits(service)
    async with opened(service.stub.WriteSamples, open_frame("gone")) as gone:
        await gone.send(series_frame({1: labels(name="cpu")}))
        await gone.send(batch_frame(1, [(1, NOW, 1.0)]))
        await asyncio.sleep(0.2)
        gone.call.cancel()
    others = [
        asyncio.create_task(_write(service, batch_request(f"stays-{n}", 1, [(1, NOW, 1.0)])))
        for n in range(5)
    ]
    await asyncio.sleep(0.2)
    await unblock()
    assert [answer.ack.accepted for answer in await asyncio.gather(*others)] == [1] * 5


async def test_draining_lets_the_sender_finish(
    cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    settings = config(cleared_dsn, redis_url, keys, shutdown_grace_s=120.0)
    async with (
        running(settings, keys) as service,
        opened(service.stub.WriteSamples, open_frame()) as stream,
    ):
        await stream.next("opened")
        await stream.send(series_frame({1: labels(name="cpu")}))
        stopping = asyncio.create_task(service.ingest.server.stop(0, 120))
        assert (await stream.next("draining")).grace.ToMilliseconds() == 60_000
        await stream.send(batch_frame(1, [(1, NOW, 1.0)]))
        assert (await stream.next("ack")).accepted == 1
        await stream.call.done_writing()
        assert await stream.next("never") is None
        async with asyncio.timeout(60):
            await stopping


async def test_draining_ends_a_sender_that_does_not(
    cleared_dsn: str, redis_url: str, keys: Path
) -> None:
    settings = config(cleared_dsn, redis_url, keys, shutdown_grace_s=0.4)
    async with (
        running(settings, keys) as service,
        opened(service.stub.WriteSamples, open_frame()) as stream,
    ):
        await stream.next("opened")
        stopping = asyncio.create_task(service.ingest.server.stop(0, 60))
        await stream.next("draining")
        assert await stream.next("never") is None
        await stopping


async def _write(service: Running, request: pb.WriteBatchRequest) -> pb.WriteBatchResponse:
    return await service.stub.WriteBatch(request)


async def _block_commits(service: Running):
    """Holds the row that hands out positions; returns what lets go."""
    import asyncpg

    connection = await asyncpg.connect(service.dsn)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT 1 FROM ingest.head FOR UPDATE")

    async def release() -> None:
        await transaction.rollback()
        await connection.close()

    return release
