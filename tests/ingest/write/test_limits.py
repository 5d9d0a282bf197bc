"""What one caller may bring: the others have their room, whatever it does."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from prometheus_client import REGISTRY

from mesh.errors import from_rpc_error
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, batch_request, config, labels, opened, running, status_of

NOW = int(time.time() * 1000)


@pytest.fixture(scope="module")
async def limited(reused_dsn: str, redis_server: object, keys: Path) -> AsyncIterator[Running]:
    """Three series a caller, and one sample a second."""
    settings = config(
        reused_dsn, redis_server.url, keys, max_caller_series=3, max_caller_samples_per_s=1
    )
    async with running(settings, keys, only=("committer",)) as started:
        yield started


def bomb(sequence: int, first: int) -> pb.WriteBatchRequest:
    """Five samples, each of a series of its own."""
    series = {n: labels(name="bomb", n=str(first + n)) for n in range(5)}
    return batch_request("p", sequence, [(n, NOW, 1.0) for n in range(5)], series)


def refused(reason: str) -> float:
    return REGISTRY.get_sample_value("sensus_samples_refused_total", {"reason": reason}) or 0.0


async def test_a_bomb_of_series_leaves_room_for_others(limited: Running) -> None:
    before = refused("SERIES_LIMIT")
    async with limited.called_by("user:bomber", "write:samples") as bomber:
        first = (await bomber.WriteBatch(bomb(1, 0))).ack
        second = (await bomber.WriteBatch(bomb(2, 100))).ack
    assert (first.accepted, first.rejected) == (3, 2)
    assert (second.accepted, second.rejected) == (0, 5)
    assert {error.reason for error in second.errors} == {pb.SAMPLE_ERROR_REASON_SERIES_LIMIT}
    assert refused("SERIES_LIMIT") - before == 7
    async with limited.called_by("user:other", "write:samples") as other:
        assert (await other.WriteBatch(bomb(1, 200))).ack.accepted == 3
        # what somebody else has brought already costs nothing
        assert (await other.WriteBatch(bomb(2, 0))).ack.accepted == 3


async def test_who_sends_too_fast_is_told_when_to_go_on(limited: Running) -> None:
    many = [(n % 2, NOW - n, 1.0) for n in range(40)]
    async with limited.called_by("user:fast", "write:samples") as fast:
        assert (await fast.WriteBatch(batch_request("p", 1, many))).ack.accepted == 40
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await fast.WriteBatch(batch_request("p", 2, many))
        assert status_of(caught.value) == ("RESOURCE_EXHAUSTED", "SAMPLE_RATE_EXCEEDED")
        wait_s = from_rpc_error(caught.value).retry_after_s
        assert wait_s is not None
        assert 1 <= wait_s <= 30
    async with limited.called_by("user:calm", "write:samples") as calm:
        assert (await calm.WriteBatch(batch_request("p", 1, many[:2]))).ack.accepted == 2


async def test_a_stream_over_its_rate_waits_for_its_acks(limited: Running) -> None:
    async with limited.called_by("user:streamer", "write:samples") as stub:
        first = pb.WriteSamplesRequest(open=pb.WriteOpen(producer_id="s"))
        async with opened(stub.WriteSamples, first) as stream:
            await stream.next("opened")
            await stream.send(
                pb.WriteSamplesRequest(
                    series=pb.SeriesDefinitions(
                        series=[pb.SeriesDefinition(ref=1, labels=labels(name="waits"))]
                    )
                )
            )
            for sequence, rows in ((1, 11), (2, 1)):
                request = batch_request("s", sequence, [(1, NOW - n, 1.0) for n in range(rows)])
                await stream.send(pb.WriteSamplesRequest(batch=request.batch))
            acks = [await stream.next("ack", timeout_s=30.0) for _ in range(2)]
    assert [(ack.sequence, ack.accepted) for ack in acks] == [(1, 11), (2, 1)]
