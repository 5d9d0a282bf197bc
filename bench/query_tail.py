"""Few series among many while nothing is compacted: with the index of the tail, and without.

The first scrape of all series is written through the front door, in batches of scattered series as
the shards of a remote write send them; the same rows at later times follow by COPY. Both ways are
asked in one run, on one log: without the index every question looks at the series of every batch.

    python -m bench.query_tail [--series 100000] [--minutes 15] [--batch 1000] [--repeats 9]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.query import INTERVAL_MS, batch, service
from mesh import postgres
from services.ingest.model.points import Columns
from services.ingest.store.samples import SampleStore
from services.ingest.store.tail_index import TailIndex
from tests.ingest.harness import Running

COPIED = (
    "received_day, log_offset, received_at, producer_id, sequence, sample_count, min_time_ms, "
    "max_time_ms, shards, row_ends, previous, totals, series_ids, timestamps_ms, sample_values"
)


async def main() -> None:
    """Measures and prints the table."""
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with service(Path(directory)) as running:
            end_ms = int(time.time() * 1000)
            wrote_s = await load(running, options, end_ms)
            table = await measured(running, options, end_ms)
    console = Console()
    console.print(table)
    console.print(f"the first scrape was written in {wrote_s:.2f} s")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=100_000, help="different series")
    parser.add_argument("--minutes", type=float, default=15, help="what is not compacted")
    parser.add_argument("--batch", type=int, default=1000, help="samples per batch")
    parser.add_argument("--repeats", type=int, default=9, help="questions per median")
    return parser.parse_args()


async def load(running: Running, options: argparse.Namespace, end_ms: int) -> float:
    """Writes the tail; how long the scrape through the front door took, in seconds."""
    refs = np.random.default_rng(7).permutation(options.series).astype("<u4")
    steps = int(options.minutes * 60_000 / INTERVAL_MS)
    first_ms = end_ms - (steps - 1) * INTERVAL_MS
    began_s = time.perf_counter()
    for place, start in enumerate(range(0, len(refs), options.batch)):
        request = batch(place + 1, refs[start : start + options.batch], first_ms)
        answer = await running.stub.WriteBatch(request)
        if answer.ack.accepted != len(refs[start : start + options.batch]):
            raise RuntimeError(f"refused: {answer}")
    wrote_s = time.perf_counter() - began_s
    connection = await asyncpg.connect(running.dsn)
    rows = [
        dict(row)
        for row in await connection.fetch(f"SELECT {COPIED} FROM ingest.batch ORDER BY log_offset")
    ]
    for step in range(1, steps):
        later = [again(row, step * len(rows), first_ms + step * INTERVAL_MS) for row in rows]
        await connection.copy_records_to_table(
            "batch", schema_name="ingest", columns=COPIED.split(", "), records=later
        )
    await connection.execute("VACUUM ANALYZE ingest.batch")
    await connection.close()
    return wrote_s


def again(row: dict[str, object], ahead: int, time_ms: int) -> tuple[object, ...]:
    """The same series at another time."""
    count = int(str(row["sample_count"]))
    changed = row | {
        "log_offset": int(str(row["log_offset"])) + ahead,
        "sequence": int(str(row["sequence"])) + ahead,
        "min_time_ms": time_ms,
        "max_time_ms": time_ms,
        "timestamps_ms": np.full(count, time_ms, "<i8").tobytes(),
    }
    return tuple(changed.values())


async def measured(running: Running, options: argparse.Namespace, end_ms: int) -> Table:
    """One row per question."""
    samples = int(options.minutes * 60_000 / INTERVAL_MS) * options.series
    table = Table(title=f"{samples:,} samples of {options.series:,} series, not compacted")
    for column in ("question", "every batch", "index", "times as fast"):
        table.add_column(column, justify="left" if column == "question" else "right")
    async with postgres.open_pool(running.dsn, application_name="bench", max_size=8) as pool:
        index = TailIndex(pool)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        tail = await index.tail()
        made_ms = 1000 * (time.perf_counter() - began_s)
        cpu_ms = 1000 * (time.process_time() - cpu_s)
        ways = (SampleStore(pool, TailIndex(pool, max_bytes=0)), SampleStore(pool, index))
        rows = await pool.fetch("SELECT series_id, shard FROM ingest.series ORDER BY series_id")
        for count in (1, 20, 200, 1000):
            chosen = np.random.default_rng(count).choice(len(rows), count, replace=False)
            by_shard: dict[int, list[int]] = {}
            for n in chosen:
                by_shard.setdefault(rows[n]["shard"], []).append(rows[n]["series_id"])

            async def ask(
                way: SampleStore, by_shard: dict[int, list[int]] = by_shard, count: int = count
            ) -> None:
                found = await way.recent(by_shard, end_ms - 24 * 3_600_000, end_ms + 1)
                whole(found, samples // options.series * count)

            every, indexed = [await median_ms(options, ask, way) for way in ways]
            name = f"{count} series" if count > 1 else "one series"
            table.add_row(name, f"{every:.1f} ms", f"{indexed:.1f} ms", f"{every / indexed:.1f}")
        caught_up = await median_ms(options, lambda _: index.tail(), ways[1])
    size = f"{tail.size_bytes / 2**20:.1f} MiB"
    table.add_row(f"index made anew ({size})", "", f"{made_ms:.0f} ms", "")
    table.add_row("  CPU for a million samples", "", f"{1e6 * cpu_ms / samples:.0f} ms", "")
    table.add_row("index when nothing is new", "", f"{caught_up:.1f} ms", "")
    return table


def whole(found: Columns, expected: int) -> None:
    """Fails unless the answer has as many samples as were written."""
    if len(found.values) != expected:
        raise RuntimeError(f"{len(found.values)} samples instead of {expected}")


async def median_ms(
    options: argparse.Namespace,
    ask: Callable[[SampleStore], Awaitable[object]],
    way: SampleStore,
) -> float:
    """The median time of one question, after a first one that warms caches."""
    await ask(way)
    times = []
    for _ in range(options.repeats):
        began_s = time.perf_counter()
        await ask(way)
        times.append(1000 * (time.perf_counter() - began_s))
    return statistics.median(times)


if __name__ == "__main__":
    asyncio.run(main())
