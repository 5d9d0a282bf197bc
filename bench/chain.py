"""From a sender to a scored sample: the naive chain and ours, in one run on one machine.

Naive: one POST, one INSERT, one XADD and one `predict` per sample (`bench/naive_chain.py`), eight
clients at once. Ours: one `WriteSamples` stream of batches; a sample counts when the detector has
scored it and its checkpoint is committed. Both stand on the same kind of PostgreSQL and Redis.

Then both are paced at a third of their limit, and the time from the send to the acknowledgement is
taken per request (naive) and per batch (ours), from the moment the schedule says it should be
sent, so that a stall is not hidden.

    make bench            or   python -m bench.chain [--batch 1000] [--series 1000] [--seconds 20]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.clients import closing
from sensus.detector.v1 import detector_service_pb2 as detector_pb2
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb2
from tests.product import UNLIMITED, Door, started

NAIVE_CLIENTS = 8
SCORING = detector_pb2.DETECTOR_PHASE_SCORING


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One side of the table."""

    samples_per_s: float
    paced_samples_per_s: float
    latencies_s: "np.ndarray[tuple[int], np.dtype[np.float64]]"


async def main() -> None:
    """Measures both sides and prints the table."""
    options = parsed()
    naive = await measure_naive(options)
    ours = await measure_ours(options)
    show(options, naive, ours)
    if ours.samples_per_s < 1000 * naive.samples_per_s:
        sys.exit(f"below 1000 times the naive chain at batch {options.batch}")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--batch", type=int, default=1000, help="samples per batch")
    parser.add_argument("--series", type=int, default=1000, help="different series")
    parser.add_argument("--seconds", type=float, default=20, help="length of each measurement")
    return parser.parse_args()


# the naive side


async def measure_naive(options: argparse.Namespace) -> Measured:
    """Its greatest rate, then its latency at a third of that."""
    async with naive_service() as post:
        await asyncio.gather(*(post() for _ in range(50)))
        rate = await naive_rate(post, options.seconds)
        latencies = await paced(post, rate / 3, options.seconds)
    return Measured(samples_per_s=rate, paced_samples_per_s=rate / 3, latencies_s=latencies)


@asynccontextmanager
async def naive_service() -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """The naive service in a process of its own, on stores of its own."""
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with (
            EmbeddedPostgres(Path(directory) / "postgres") as postgres,
            EmbeddedRedis(Path(directory) / "redis") as redis,
            naive_process(postgres.dsn, redis.url) as url,
            httpx.AsyncClient(trust_env=False, timeout=60) as client,
        ):
            body = {"metric_name": "cpu", "metric_value": 0.5, "labels": {"host": "a", "core": "1"}}

            async def post() -> None:
                (await client.post(f"{url}/metrics", json=body)).raise_for_status()

            yield post


@asynccontextmanager
async def naive_process(dsn: str, redis_url: str) -> AsyncIterator[str]:
    """The process, once it answers."""
    port = 18999
    script = str(Path(__file__).with_name("naive_chain.py"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, script, dsn, redis_url, str(port)
    )
    try:
        await answering(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def answering(url: str) -> None:
    """Returns when there is any answer."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(300):
            try:
                await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return
    sys.exit("the naive service did not start")


async def naive_rate(post: Callable[[], Awaitable[None]], seconds: float) -> float:
    """Samples a second with eight clients."""
    end_s = time.perf_counter() + seconds
    sent = 0

    async def client() -> None:
        nonlocal sent
        while time.perf_counter() < end_s:
            await post()
            sent += 1

    start_s = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(NAIVE_CLIENTS)))
    return sent / (time.perf_counter() - start_s)


async def paced(
    act: Callable[[], Awaitable[None]], per_s: float, seconds: float
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Acts on a fixed schedule; seconds from when each act was due to when it was done."""
    start_s = time.perf_counter()

    async def one(due_s: float) -> float:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        await act()
        return time.perf_counter() - due_s

    count = max(1, int(per_s * seconds))
    return np.array(await asyncio.gather(*(one(start_s + i / per_s) for i in range(count))))


# our side


class Sender:
    """One WriteSamples stream that knows which batches are acknowledged."""

    def __init__(self, door: Door, options: argparse.Namespace, producer: str = "bench") -> None:
        """Nothing is sent yet. Of a producer each batch counts once, so streams need several."""
        self._producer = producer
        self._door = door
        self._batch, self._series = options.batch, options.series
        self._random = np.random.default_rng(7)
        self._at_ms = int(time.time() * 1000) - 86_400_000
        self._next_row = 0
        self._sequence = 0
        self._acked: dict[int, asyncio.Future[None]] = {}
        self._room = asyncio.Semaphore(0)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Sender"]:
        """Opens the stream and defines the series."""
        async with closing(self._door.ingest.WriteSamples()) as call:
            self._call = call
            await call.write(
                ingest_pb2.WriteSamplesRequest(
                    open=ingest_pb2.WriteOpen(producer_id=self._producer)
                )
            )
            await call.write(ingest_pb2.WriteSamplesRequest(series=definitions(self._series)))
            reader = asyncio.create_task(self._read())
            try:
                yield self
            finally:
                reader.cancel()

    async def send(self) -> None:
        """Sends one batch and returns when it is acknowledged."""
        await self._room.acquire()
        batch = self._next_batch()
        done = self._acked[batch.sequence] = asyncio.get_running_loop().create_future()
        await self._call.write(ingest_pb2.WriteSamplesRequest(batch=batch))
        await done

    async def _read(self) -> None:
        async for response in self._call:
            if response.HasField("opened"):
                self._give(response.opened.initial_credit)
            elif response.HasField("credit"):
                self._give(response.credit.batches)
            elif response.HasField("ack"):
                if response.ack.errors:
                    sys.exit(f"a sample was refused: {response.ack.errors[0]}")
                self._acked.pop(response.ack.sequence).set_result(None)
                self._give(1)

    def _give(self, batches: int) -> None:
        for _ in range(batches):
            self._room.release()

    def _next_batch(self) -> ingest_pb2.SampleBatch:
        """The next rows of a scrape: every series in turn, then the next point in time."""
        rows = np.arange(self._next_row, self._next_row + self._batch)
        self._next_row += self._batch
        self._sequence += 1
        refs = (rows % self._series).astype("<u4")
        at_ms = (self._at_ms + rows // self._series * 1000).astype("<i8")
        values = (50 + 10 * np.sin(rows / 5e4) + self._random.normal(size=self._batch)).astype(
            "<f8"
        )
        return ingest_pb2.SampleBatch(
            sequence=self._sequence,
            columns=ingest_pb2.SampleColumns(
                series_refs=refs.tobytes(), timestamps_ms=at_ms.tobytes(), values=values.tobytes()
            ),
        )


def definitions(count: int) -> ingest_pb2.SeriesDefinitions:
    """`count` series of one metric."""
    message = ingest_pb2.SeriesDefinitions()
    for ref in range(count):
        series = message.series.add(ref=ref)
        series.labels.add(name="__name__", value="bench_value")
        series.labels.add(name="instance", value=f"host-{ref}")
    return message


async def measure_ours(options: argparse.Namespace) -> Measured:
    """Its greatest rate from the sender to the checkpoint, then its latency at a third of that."""
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with (
            started(Path(directory) / "data", settings=UNLIMITED) as door,
            Sender(door, options).open() as sender,
        ):
            await warm(door, sender, options)
            rate = await our_rate(door, sender, options)
            batches_per_s = rate / 3 / options.batch
            latencies = await paced(sender.send, batches_per_s, options.seconds)
    return Measured(samples_per_s=rate, paced_samples_per_s=rate / 3, latencies_s=latencies)


async def warm(door: Door, sender: Sender, options: argparse.Namespace) -> None:
    """Sends until a model is active and every series is past its own warm-up."""
    while True:
        for _ in range(10):
            await sender.send()
        status = await door.status()
        if status.phase == SCORING and status.warm_series_count >= options.series:
            return await until_processed(door, sender)
        await asyncio.sleep(0.05)


async def our_rate(door: Door, sender: Sender, options: argparse.Namespace) -> float:
    """Samples a second, from the first send to the checkpoint of the last."""
    start_s = time.perf_counter()
    before = sender._sequence
    lanes = 12

    async def lane() -> None:
        while time.perf_counter() - start_s < options.seconds:
            await sender.send()

    await asyncio.gather(*(lane() for _ in range(lanes)))
    await until_processed(door, sender)
    sent: int = (sender._sequence - before) * options.batch
    return sent / (time.perf_counter() - start_s)


async def until_processed(door: Door, sender: Sender) -> None:
    """Returns when everything sent is scored and checkpointed."""
    while (await door.status()).processed_samples < sender._next_row:
        await asyncio.sleep(0.05)


# the table


def show(options: argparse.Namespace, naive: Measured, ours: Measured) -> None:
    """Prints both sides and their ratio."""
    table = Table(title=f"sender to scored sample, batch {options.batch}, {options.series} series")
    for column in (
        "chain",
        "samples/s",
        "ratio",
        "paced at, samples/s",
        "ack p50 ms",
        "ack p99 ms",
    ):
        table.add_column(column, justify="right" if column != "chain" else "left")
    for name, side in (("naive, one by one", naive), ("ours", ours)):
        p50, p99 = np.percentile(side.latencies_s, [50, 99]) * 1000
        table.add_row(
            name,
            f"{side.samples_per_s:,.0f}",
            f"{side.samples_per_s / naive.samples_per_s:,.0f}",
            f"{side.paced_samples_per_s:,.0f}",
            f"{p50:.1f}",
            f"{p99:.1f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    asyncio.run(main())
