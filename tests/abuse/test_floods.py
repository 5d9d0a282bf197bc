"""One caller that floods, and another one that wants an answer."""

import asyncio
import os
import struct
import sys
import time
from pathlib import Path

import grpc
import psutil

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.abuse.methods import METHODS
from tests.product import Door

FLOOD = Path(__file__).with_name("flood.py")
STREAMS = 60
ROWS = 100_000
UNREAD_S = 5
MOST_MEGABYTES = 250


async def test_streams_opened_and_reset_leave_the_calls_of_others_alone(
    door: Door, service: str, port: int
) -> None:
    process = psutil.Process(door.process_id(service))
    before = process.memory_info().rss
    flood = await asyncio.create_subprocess_exec(
        sys.executable,
        str(FLOOD),
        str(port),
        METHODS[service].decode(),
        env=os.environ | {"PYTHONPATH": str(FLOOD.parents[2])},
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        while flood.returncode is None:
            await check(b"", timeout=60)
            await asyncio.sleep(0.02)
    assert flood.returncode == 0
    assert process.memory_info().rss - before < 200 * 2**20
    assert door.process_id(service) == process.pid


def refused_batch() -> ingest_pb2.SampleBatch:
    """A batch whose ack names a thousand errors."""
    batch = ingest_pb2.SampleBatch(sequence=1)
    batch.columns.series_refs = struct.pack("<I", 9) * ROWS
    batch.columns.timestamps_ms = struct.pack("<q", int(time.time() * 1000)) * ROWS
    batch.columns.values = struct.pack("<d", 1) * ROWS
    return batch


async def test_sender_that_reads_no_acks_makes_ingest_hold_a_bounded_number_of_bytes(
    door: Door,
) -> None:
    process = psutil.Process(door.process_id("ingest"))
    before, peak, stop = process.memory_info().rss, 0, time.monotonic() + UNREAD_S
    batch = refused_batch()

    async def send(number: int) -> None:
        stream = door.ingest.WriteSamples()
        opened = ingest_pb2.WriteOpen(producer_id=f"unread{number}")
        await stream.write(ingest_pb2.WriteSamplesRequest(open=opened))
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + UNREAD_S):
                while True:
                    await stream.write(ingest_pb2.WriteSamplesRequest(batch=batch))
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass
        finally:
            stream.cancel()

    sending = asyncio.gather(*(send(number) for number in range(STREAMS)))
    while time.monotonic() < stop:
        peak = max(peak, process.memory_info().rss)
        await asyncio.sleep(0.2)
    await sending
    assert peak - before < MOST_MEGABYTES * 2**20, f"{before >> 20} MB became {peak >> 20} MB"
    ack = await door.write("after-the-flood", {"after": [(int(time.time() * 1000), 1.0)]})
    assert ack.accepted == 1
