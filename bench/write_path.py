"""From a sender to the commit: what a batch costs beside an INSERT of the same bytes.

Raw: each batch is one INSERT of three bytea columns (series, times, values) in a transaction of its
own, on twelve connections. Ours: one `WriteSamples` stream with twelve batches under way, into an
ingest process that nobody subscribes to; a batch counts when it is acknowledged. Both stand on the
same PostgreSQL and take turns. Then batches are sent on a schedule, and the time from when each was
due to its ack is taken. Then the CPU of ingest and PostgreSQL for a sample, by number of series.

    make bench-write-path   or   python -m bench.write_path [--seconds 10] [--rate 50000]
"""

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import asyncpg
import grpc
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.chain import Sender, paced
from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import TokenMinter, generate_key_files
from mesh.clients import open_channel
from mesh.migrations import migrate
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from tests.ports import free_port
from tests.product import INGEST, Door

REPOSITORY = Path(__file__).resolve().parent.parent
BATCHES = (1000, 10_000)
SERIES = (1000, 10_000, 100_000)
LANES = 12
ROUNDS = 3
console = Console(width=100)
_producers = (f"bench-{number}" for number in itertools.count())


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A started ingest and its PostgreSQL."""

    dsn: str
    ingest: "ingest_grpc.IngestServiceAsyncStub"
    process_ids: dict[str, int]

    def cpu_s(self) -> float:
        """What both have spent since their start, children that have ended included."""
        return sum(
            self._spent_s(each)
            for pid in self.process_ids.values()
            for each in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        )

    def _spent_s(self, process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    async def spent(
        self, act: Callable[[], Awaitable[float]], seconds: float
    ) -> tuple[float, float]:
        """Samples a second that `act` measures over so many seconds, and CPU µs of a sample."""
        before_s = self.cpu_s()
        per_s = await act()
        return per_s, 1e6 * (self.cpu_s() - before_s) / (per_s * seconds)


async def main() -> None:
    """Prints three tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="length of each measurement")
    parser.add_argument("--rate", type=int, default=50_000, help="samples a second, paced")
    parser.add_argument("--series", type=int, default=max(SERIES), help="most series")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with machine(Path(directory)) as started:
            await compare(started, options.seconds)
            await on_schedule(started, options.rate, options.seconds)
            await by_series(started, options.series, options.seconds)


@asynccontextmanager
async def machine(directory: Path) -> AsyncIterator[Machine]:
    """Stores of its own, and an ingest process that serves."""
    generate_key_files(directory, ["ingest", "gateway"])
    port = free_port()
    async with (
        EmbeddedPostgres(directory / "postgres") as postgres,
        EmbeddedRedis(directory / "redis") as redis,
    ):
        await migrate(postgres.dsn, ["ingest"], REPOSITORY / "migrations")
        environment = os.environ | {
            "SENSUS_POSTGRES_DSN": postgres.dsn,
            "SENSUS_REDIS_URL": redis.url,
            "SENSUS_INGEST_GRPC_PORT": str(port),
            "SENSUS_INGEST_METRICS_PORT": "0",
            "SENSUS_INGEST_MAX_CALLER_SAMPLES_PER_S": str(10**9),
            "SENSUS_GATEWAY_TARGET": "off",
            "SENSUS_AUTH_JWKS_FILE": str(directory / "jwks.json"),
            "SENSUS_AUTH_KEY_FILE": str(directory / "ingest.pem"),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.ingest", cwd=REPOSITORY, env=environment,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        minter = TokenMinter.from_file(directory / "gateway.pem", "gateway")
        token = minter.mint("user:bench", ["write:samples"], 3600)
        target = f"127.0.0.1:{port}"
        try:
            async with open_channel(
                target, service=INGEST, tokens=lambda: token, caller="bench", default_timeout_s=60
            ) as channel:
                await ready(channel)
                pids = {"ingest": process.pid, "postgres": cast("int", postgres.pid)}
                stub = ingest_grpc.IngestServiceStub(channel)
                yield Machine(dsn=postgres.dsn, ingest=stub, process_ids=pids)
        finally:
            process.terminate()
            await process.wait()


async def ready(channel: grpc.aio.Channel) -> None:
    """Returns when ingest serves."""
    await asyncio.wait_for(channel.channel_ready(), 60)


def sender(started: Machine, batch: int, series: int) -> Sender:
    """A stream of batches of so many samples, over so many series in turn."""
    door = cast("Door", argparse.Namespace(ingest=started.ingest))
    return Sender(door, argparse.Namespace(batch=batch, series=series), next(_producers))


async def compare(started: Machine, seconds: float) -> None:
    """Raw inserts and ours in turn: the best round of each, and the CPU of PostgreSQL and ingest.

    A machine that has other work takes less from CPU than from samples a second.
    """
    table = Table(title="sender to commit, samples a second, CPU µs a sample")
    for column in ("batch", "raw inserts", "ours", "ours / raw", "raw, µs", "ours, µs"):
        table.add_column(column, justify="right")
    pool = await asyncpg.create_pool(started.dsn, min_size=LANES, max_size=LANES)
    await pool.execute("CREATE TABLE raw (series bytea, times bytea, values bytea)")
    for column in ("series", "times", "values"):
        await pool.execute(f"ALTER TABLE raw ALTER {column} SET STORAGE EXTERNAL")
    for batch in BATCHES:
        raw, ours, length = [], [], seconds / ROUNDS
        async with sender(started, batch, batch).open() as stream:
            await stream.send()
            for _ in range(ROUNDS):
                plain = partial(raw_rate, pool, batch, length)
                raw.append(await started.spent(plain, length))
                sent = partial(rate, stream.send, batch, length)
                ours.append(await started.spent(sent, length))
        (most_raw, _), (most_ours, _) = max(raw), max(ours)
        cheapest = (min(spent for _, spent in side) for side in (raw, ours))
        table.add_row(
            f"{batch:,}",
            f"{most_raw:,.0f}",
            f"{most_ours:,.0f}",
            f"{most_ours / most_raw:.2f}",
            *(f"{each:.2f}" for each in cheapest),
        )
    await pool.execute("DROP TABLE raw")
    await pool.close()
    console.print(table)


async def raw_rate(pool: Any, batch: int, seconds: float) -> float:
    """Samples a second of plain inserts."""
    columns = [np.random.default_rng(n).bytes(8 * batch) for n in range(3)]

    async def insert() -> None:
        await pool.execute("INSERT INTO raw VALUES ($1, $2, $3)", *columns)

    return await rate(insert, batch, seconds)


async def rate(act: Callable[[], Awaitable[None]], batch: int, seconds: float) -> float:
    """Samples a second of batches, twelve at once."""
    start_s, done = time.perf_counter(), 0

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - start_s < seconds:
            await act()
            done += 1

    await asyncio.gather(*(lane() for _ in range(LANES)))
    return done * batch / (time.perf_counter() - start_s)


async def on_schedule(started: Machine, per_s: int, seconds: float) -> None:
    """Acks of batches that are sent when they are due, whatever became of those before."""
    table = Table(title=f"acks at {per_s:,} samples a second")
    for column in ("batch", "p50 ms", "p99 ms"):
        table.add_column(column, justify="right")
    for batch in BATCHES:
        async with sender(started, batch, batch).open() as stream:
            for _ in range(LANES):
                await stream.send()
            taken = await paced(stream.send, per_s / batch, seconds)
        p50, p99 = np.percentile(taken, [50, 99]) * 1000
        table.add_row(f"{batch:,}", f"{p50:.1f}", f"{p99:.1f}")
    console.print(table)


async def by_series(started: Machine, most: int, seconds: float) -> None:
    """CPU for a sample when so many series take turns and all are known."""
    table = Table(title="CPU of ingest and PostgreSQL, batches of 10,000")
    for column in ("series", "µs a sample"):
        table.add_column(column, justify="right")
    batch = max(BATCHES)
    for series in (each for each in SERIES if each <= most):
        async with sender(started, batch, series).open() as stream:
            for _ in range(max(LANES, series // batch)):
                await stream.send()
            _, spent = await started.spent(partial(rate, stream.send, batch, seconds), seconds)
        table.add_row(f"{series:,}", f"{spent:.2f}")
    console.print(table)


if __name__ == "__main__":
    asyncio.run(main())
