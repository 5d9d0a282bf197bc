"""The newest samples of one series and of a thousand, against a plain (series_id, at) table.

15 minutes of 10,000 series at 15 s are written through the front door, batch by batch, and copied
into a plain table on the same PostgreSQL. Ours is asked by `QuerySamples` with a selector, and the
whole answer is read off the wire; the plain table is asked in SQL for series it already knows, so
the ratio is to our disadvantage. First everything lies in the log, then in compacted chunks.

    python bench/query.py [--batch 1000] [--series 10000] [--minutes 15] [--repeats 9]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import numpy as np
from rich.console import Console
from rich.table import Table

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.auth import generate_key_files
from mesh.migrations import migrate
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, config, running

INTERVAL_MS = 15_000
GROUP = 1000
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
ONE, THOUSAND, VIEW = "one series", "1000 series", "one series in SQL, ingest.samples"

Times = dict[str, float]


async def main() -> None:
    """Measures all three ways and prints the table."""
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with service(Path(directory)) as running_service:
            end_ms = await load(running_service, options)
            plain = await measure_plain(running_service, options, end_ms)
            fresh = await measure_ours(running_service, options, end_ms)
            running_service.clock.ahead_ms = 24 * 3_600_000
            await running_service.ingest.compactor.compact()
            running_service.clock.ahead_ms = 0
            compacted = await measure_ours(running_service, options, end_ms)
    show(options, plain, fresh, compacted)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--batch", type=int, default=1000, help="samples per batch")
    parser.add_argument("--series", type=int, default=10_000, help="different series")
    parser.add_argument("--minutes", type=float, default=15, help="length of the history")
    parser.add_argument("--repeats", type=int, default=9, help="questions per median")
    return parser.parse_args()


@asynccontextmanager
async def service(directory: Path) -> AsyncIterator[Running]:
    """The ingest service on stores of its own."""
    generate_key_files(directory, ["ingest", "detector", "explainer", "gateway"])
    async with (
        EmbeddedPostgres(directory / "postgres") as postgres,
        EmbeddedRedis(directory / "redis") as redis,
    ):
        await migrate(postgres.dsn, ["ingest"], MIGRATIONS)
        settings = config(
            postgres.dsn, redis.url, directory, shard_count=16, max_caller_series=1_000_000
        )
        only = ("committer", "publisher")
        async with running(settings, directory, only=only) as started:
            yield started


async def load(service: Running, options: argparse.Namespace) -> int:
    """Writes the history as senders do, scrape by scrape; the time of its last sample."""
    steps = int(options.minutes * 60_000 / INTERVAL_MS)
    end_ms = int(time.time() * 1000)
    sequence = 0
    for step in range(steps):
        time_ms = end_ms - (steps - 1 - step) * INTERVAL_MS
        requests = []
        for first in range(0, options.series, options.batch):
            sequence += 1
            refs = np.arange(first, min(first + options.batch, options.series), dtype="<u4")
            requests.append(batch(sequence, refs, time_ms))
        await asyncio.gather(*(service.stub.WriteBatch(each) for each in requests))
    await copy_plain(service)
    return end_ms


def batch(sequence: int, refs: "np.ndarray", time_ms: int) -> pb.WriteBatchRequest:
    """One sample of each of the series."""
    definitions = [
        pb.SeriesDefinition(
            ref=ref,
            labels=[
                series_pb2.Label(name="__name__", value="load"),
                series_pb2.Label(name="host", value=str(ref)),
                series_pb2.Label(name="group", value=str(ref // GROUP)),
            ],
        )
        for ref in refs.tolist()
    ]
    columns = pb.SampleColumns(
        series_refs=refs.tobytes(),
        timestamps_ms=np.full(len(refs), time_ms, "<i8").tobytes(),
        values=np.random.default_rng(sequence).random(len(refs)).astype("<f8").tobytes(),
    )
    return pb.WriteBatchRequest(
        producer_id="bench",
        series=definitions,
        batch=pb.SampleBatch(sequence=sequence, columns=columns),
    )


async def copy_plain(service: Running) -> None:
    """The same samples as one row each."""
    connection = await asyncpg.connect(service.dsn)
    rows = await connection.fetch(
        "SELECT series_ids, timestamps_ms, sample_values FROM ingest.batch"
    )
    await connection.execute(
        "CREATE TABLE plain (series_id bigint, at_ms bigint, value float8, "
        "PRIMARY KEY (series_id, at_ms))"
    )
    for row in rows:
        columns = zip(
            np.frombuffer(row[0], "<i8").tolist(),
            np.frombuffer(row[1], "<i8").tolist(),
            np.frombuffer(row[2], "<f8").tolist(),
            strict=True,
        )
        await connection.copy_records_to_table("plain", records=list(columns))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def measure_plain(service: Running, options: argparse.Namespace, end_ms: int) -> Times:
    """Rows of series that are known by number."""
    connection = await asyncpg.connect(service.dsn)
    ids = [row[0] for row in await connection.fetch("SELECT series_id FROM ingest.series")]
    question = "SELECT * FROM plain WHERE series_id = ANY($1) AND at_ms BETWEEN $2 AND $3"
    start_ms = end_ms - int(options.minutes * 60_000)

    async def ask(count: int) -> None:
        await connection.fetch(question, ids[:count], start_ms, end_ms)

    found = {
        ONE: await median_ms(options, lambda: ask(1)),
        THOUSAND: await median_ms(options, lambda: ask(GROUP)),
    }
    await connection.close()
    return found


async def measure_ours(service: Running, options: argparse.Namespace, end_ms: int) -> Times:
    """Series that a selector matches, off the wire; and one series through the SQL function."""
    connection = await asyncpg.connect(service.dsn)
    in_sql = (
        "SELECT timestamp, metric_value "
        "FROM ingest.samples(to_timestamp($1::bigint / 1000), to_timestamp($2::bigint / 1000)) "
        """WHERE labels @> '{"host": "7"}'"""
    )
    start_ms = end_ms - 60_000
    found = {
        ONE: await median_ms(options, lambda: ask(service, 'load{host="7"}', 1, options, end_ms)),
        THOUSAND: await median_ms(
            options, lambda: ask(service, 'load{group="3"}', GROUP, options, end_ms)
        ),
        VIEW: await median_ms(options, lambda: connection.fetch(in_sql, start_ms, end_ms)),
    }
    await connection.close()
    return found


async def ask(
    service: Running, selector: str, series: int, options: argparse.Namespace, end_ms: int
) -> None:
    """Reads a whole answer and counts it."""
    request = pb.QuerySamplesRequest(selector=selector)
    request.start_time.FromMilliseconds(end_ms - int(options.minutes * 60_000))
    request.end_time.FromMilliseconds(end_ms + 1)
    count = 0
    async for response in service.stub.QuerySamples(request):
        count += sum(len(part.values) for part in response.series)
    if count != series * int(options.minutes * 60_000 / INTERVAL_MS):
        raise RuntimeError(f"{selector} gave {count} samples")


async def median_ms(
    options: argparse.Namespace, question: Callable[[], Awaitable[object]]
) -> float:
    """The median time of one question, after a first one that warms caches."""
    await question()
    times = []
    for _ in range(options.repeats):
        started_s = time.perf_counter()
        await question()
        times.append(1000 * (time.perf_counter() - started_s))
    return statistics.median(times)


def show(options: argparse.Namespace, plain: Times, fresh: Times, compacted: Times) -> None:
    """One row per question."""
    history = f"{options.minutes:g} min at 15 s"
    table = Table(title=f"{options.series} series, {history}, batches of {options.batch}")
    for column in ("question", "plain table", "ours, log", "ratio", "ours, chunks", "ratio"):
        table.add_column(column, justify="left" if column == "question" else "right")
    for question in fresh:
        base = plain.get(question)
        table.add_row(
            question,
            f"{base:.1f} ms" if base else "",
            f"{fresh[question]:.1f} ms",
            f"{fresh[question] / base:.1f}" if base else "",
            f"{compacted[question]:.1f} ms",
            f"{compacted[question] / base:.1f}" if base else "",
        )
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
