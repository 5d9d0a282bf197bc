"""The sender keeps each batch until its ack, across anything the server may do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from mesh import wire
from sensus_client import (
    Ack,
    Batch,
    Counts,
    MemoryOutbox,
    Outbox,
    RefusedError,
    Rejection,
    Sample,
    SampleSender,
    Spool,
    UnavailableError,
    connect,
    open_sender,
)
from sensus_client.channel import KEEPALIVE_MS, Channel
from tests.client.scripted_ingest import (
    Responses,
    ScriptedIngest,
    cannot_commit,
    dies_before_the_ack,
    drains,
    falls_silent,
    finds_the_token_too_old,
    has_a_reason_of_later,
    has_room_for_two_series,
    knows_the_producer,
    listening,
    refuses,
    well,
)
from tests.product import eventually


@asynccontextmanager
async def serving(ingest: ScriptedIngest) -> AsyncIterator[Channel]:
    async with listening(ingest) as target, connect(target) as channel:
        yield channel


def sample(value: float) -> Sample:
    return Sample.of({"__name__": f"metric_{value:g}"}, value, timestamp_ms=1)


async def send_four(ingest: ScriptedIngest, outbox: Outbox | None = None) -> list[int]:
    """Sends 0 to 3, one per batch, and returns the sequences whose ack came."""
    acked: list[int] = []
    async with (
        serving(ingest) as channel,
        open_sender(
            channel, "test", outbox=outbox, acked=lambda ack: acked.append(ack.sequence)
        ) as sender,
    ):
        for value in range(4):
            await sender.send([sample(value)])
    return acked


SCRIPTS = {
    "well": [well],
    "dies once": [dies_before_the_ack, well],
    "dies twice": [dies_before_the_ack, dies_before_the_ack, well],
    "drains after each batch": [drains],
    "cannot commit": [cannot_commit, well],
    "token too old": [finds_the_token_too_old, well],
    "room for two series": [has_room_for_two_series],
}


@pytest.mark.parametrize("scripts", SCRIPTS.values(), ids=SCRIPTS.keys())
@pytest.mark.parametrize("kept", ["memory", "disk"])
async def test_every_sample_is_stored_once_and_acked_once(
    scripts: list[Callable[..., Responses]], kept: str, tmp_path: Path
) -> None:
    ingest = ScriptedIngest(*scripts)
    outbox = await Spool.open(tmp_path) if kept == "disk" else None
    acked = await send_four(ingest, outbox)
    assert sorted(acked) == list(ingest.values_by_sequence)
    assert list(ingest.values_by_sequence.values()) == [[0], [1], [2], [3]]
    assert outbox is None or outbox.counts == Counts(bytes=outbox.counts.bytes)


async def test_a_producer_that_is_known_goes_on_above_its_last_sequence() -> None:
    ingest = ScriptedIngest(knows_the_producer)
    await send_four(ingest)
    assert sorted(ingest.values_by_sequence) == [42, 43, 44, 45]


async def test_a_sequence_that_was_given_does_not_depend_on_the_server() -> None:
    ingest = ScriptedIngest(knows_the_producer)
    await send_four(ingest, MemoryOutbox(first_sequence=7))
    assert sorted(ingest.values_by_sequence) == [7, 8, 9, 10]


async def test_a_refusal_is_told_and_not_tried_again() -> None:
    with pytest.raises(RefusedError, match=r"this needs write:samples \(PERMISSION_DENIED\)"):
        await asyncio.wait_for(send_four(ScriptedIngest(refuses)), 60)


async def test_patience_with_a_server_that_cannot_commit_has_an_end() -> None:
    with pytest.raises(UnavailableError, match="the database is away"):
        async with (
            serving(ScriptedIngest(cannot_commit)) as channel,
            open_sender(channel, "test", patience_s=0.1) as sender,
        ):
            await sender.send([sample(1)])


async def test_a_server_that_falls_silent_is_called_again() -> None:
    ingest = ScriptedIngest(falls_silent, well)
    async with serving(ingest) as channel:
        outbox = MemoryOutbox()
        sender = SampleSender(channel, outbox, producer_id="test", ack_timeout_s=0.2)
        running = asyncio.create_task(sender.run())
        await sender.send([sample(1)])
        await asyncio.wait_for(sender.flush(), 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert ingest.values_by_sequence == {1: [1]}


async def test_what_is_left_at_the_end_stays_in_a_spool_and_is_an_error_without(
    tmp_path: Path,
) -> None:
    async with connect("127.0.0.1:1") as channel:
        spool = await Spool.open(tmp_path)
        async with open_sender(channel, outbox=spool, flush_timeout_s=0.01) as sender:
            await sender.write([sample(1)])
        spool = await Spool.open(tmp_path)
        assert spool.counts.pending_samples == 1
        await spool.close()
        with pytest.raises(UnavailableError, match=r"no ack within 0\.01 s"):
            async with open_sender(channel, "test", flush_timeout_s=0.01) as sender:
                await sender.write([sample(1)])


async def test_samples_join_until_a_batch_is_full_or_old_enough() -> None:
    ingest = ScriptedIngest(well)
    async with serving(ingest) as channel:
        outbox = MemoryOutbox()
        sender = SampleSender(
            channel, outbox, producer_id="test", batch_samples=3, batch_age_s=0.05
        )
        running = asyncio.create_task(sender.run())
        for value in range(7):
            await sender.write([sample(value)])
        async with asyncio.timeout(60):
            while len(ingest.values_by_sequence) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert ingest.values_by_sequence == {1: [0, 1, 2], 2: [3, 4, 5], 3: [6]}


async def test_full_memory_waits_or_drops_the_oldest_and_counts_it() -> None:
    waiting = MemoryOutbox(max_samples=2)
    dropping = MemoryOutbox(max_samples=2, when_full="drop_oldest")
    for outbox in (waiting, dropping):
        outbox.begin(0)
        await outbox.put(Batch.of([sample(1)]))
        await outbox.put(Batch.of([sample(2)]))
    third = asyncio.create_task(waiting.put(Batch.of([sample(3)])))
    await asyncio.sleep(0)
    await dropping.put(Batch.of([sample(3)]))
    assert dropping.counts == Counts(
        pending_batches=2, pending_samples=2, dropped_batches=1, dropped_samples=1
    )
    assert (await dropping.after(0))[0] == 2
    assert not third.done()
    await waiting.settle(1)
    await asyncio.wait_for(third, 60)
    assert (await waiting.after(1))[0] == 2


async def test_a_sample_that_cannot_be_sent_is_refused_at_once() -> None:
    channel = Channel(grpc.aio.insecure_channel("127.0.0.1:1"), None)
    sender = SampleSender(channel, MemoryOutbox(), producer_id="test")
    with pytest.raises(ValueError, match="must be Unicode text"):
        await sender.write([Sample.of({"__name__": "a\udcff"}, 1.0, timestamp_ms=1)])
    with pytest.raises(ValueError, match="bytes, send at most 1048576"):
        await sender.write([Sample.of({"__name__": "a" * (2 << 20)}, 1.0, timestamp_ms=1)])
    with pytest.raises(ValueError, match="a batch of 0 samples: send 1 to 100000"):
        await sender.send([])
    for value, timestamp_ms, message in (
        (1.0, 2**63, "a timestamp is beyond 64 bits"),
        (1.0, 1.5, "a timestamp is no whole number of milliseconds"),
        ("one", 1, "a value is no number"),
        (10**400, 1, "a value is no number"),
    ):
        bad = Sample.of({"__name__": "a"}, value, timestamp_ms=timestamp_ms)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=message):
            await sender.send([bad])


async def test_a_reason_that_is_not_known_yet_ends_nothing() -> None:
    acks: list[Ack] = []
    async with (
        serving(ScriptedIngest(has_a_reason_of_later)) as channel,
        open_sender(channel, "test", acked=acks.append) as sender,
    ):
        await sender.send([sample(1)])
    assert acks[0].rejections == (Rejection(0, "SAMPLE_ERROR_REASON_999", "of a later version"),)


async def test_a_token_file_that_is_no_text_is_told_and_read_again(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"\xff")
    async with (
        listening(ScriptedIngest(well)) as target,
        connect(target, token=token.read_text) as channel,
        open_sender(channel, "test") as sender,
    ):

        async def failure() -> str | None:
            return sender.sent.last_failure or None

        told = await eventually(failure, what="a failure")
        assert told.startswith("the token cannot be read: 'utf-8' codec")
        token.write_text("good")
        await sender.send([sample(1)])
        await asyncio.wait_for(sender.flush(), 60)


def test_client_pings_no_faster_than_the_server_allows() -> None:
    allowed = dict(wire.server_options(1, 1))["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert allowed <= KEEPALIVE_MS
