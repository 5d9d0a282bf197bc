"""Bytes per sample on disk after compaction, beside Prometheus' own blocks of the same samples.

Some hours of a machine's metrics at 15 s are written scrape by scrape and compacted every five
minutes of their time, as in a running installation, with a VACUUM after each step where autovacuum
would come. Ours is what PostgreSQL reports of the partitions: rows, dead rows, TOAST and index, and
beside it their packed bytes alone. Theirs is what `promtool` makes of the same samples: chunks and
index of its blocks.

    python -m bench.chunks [--series 2000] [--hours 4]
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bench.query import service
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb

INTERVAL_MS = 15_000
HOUR_MS = 3_600_000
STEP_MS = 300_000
F64 = npt.NDArray[np.float64]

_SIZES = """
SELECT sum(pg_table_size(child.oid))::bigint AS rows,
       sum(pg_indexes_size(child.oid))::bigint AS index,
       (SELECT sum(octet_length(packed))::bigint FROM ingest.chunk) AS packed
FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'ingest.chunk'::regclass
"""


async def main() -> None:
    """Measures both and prints the table."""
    options = parsed()
    steps = int(options.hours * HOUR_MS / INTERVAL_MS)
    start_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS - int(options.hours * HOUR_MS)
    values = machine(options.series, steps)
    table = Table(title=f"{options.series} series of a machine, {options.hours:g} h at 15 s")
    for column in ("bytes per sample", "all", "values and times", "index"):
        table.add_column(column, justify="left" if column == "bytes per sample" else "right")
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        ours = await measure_ours(Path(directory), values, start_ms)
        table.add_row("ours, steady", *(f"{size / values.size:.2f}" for size in ours["steady"]))
        table.add_row("ours, VACUUM FULL", *(f"{s / values.size:.2f}" for s in ours["rewritten"]))
        if shutil.which("promtool"):
            theirs = measure_prometheus(Path(directory), values, start_ms)
            table.add_row("Prometheus blocks", *(f"{size / values.size:.2f}" for size in theirs))
        else:
            print("promtool is not installed: nothing to compare with")
    Console().print(table)
    if ours["steady"][0] > 6 * values.size:
        sys.exit("more than 6 bytes per sample")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=2000, help="different series")
    parser.add_argument("--hours", type=float, default=4, help="length of the history")
    return parser.parse_args()


def machine(series: int, steps: int) -> F64:
    """What a machine reports, one row per series: a sixth of each kind."""
    random = np.random.default_rng(1)
    made = np.empty((series, steps))
    for row in range(series):
        noise = random.normal(size=steps)
        steps_up = random.poisson(40, steps).astype(np.float64)
        made[row] = (
            np.full(steps, float(random.integers(0, 2**40))),  # limits, versions, states
            np.cumsum(steps_up * random.integers(1, 2000)),  # bytes, requests
            np.round(np.cumsum(random.random(steps) * 15), 2),  # seconds of CPU
            np.round(50 + 10 * np.sin(np.arange(steps) / 400) + noise, 1),  # per cent, as printed
            np.round(8e9 + 1e8 * np.cumsum(noise) / 50) // 4096 * 4096,  # bytes of memory
            steps_up / (steps_up + 100),  # ratios that were divided: all bits
        )[row % 6]
    return made


async def measure_ours(directory: Path, values: F64, start_ms: int) -> dict[str, list[int]]:
    """Sizes as they are in a running installation, and of the same rows written anew."""
    async with service(directory) as running:
        connection = await asyncpg.connect(running.dsn)
        now_ms, done_ms = int(time.time() * 1000), start_ms
        for step in range(values.shape[1]):
            at_ms = start_ms + step * INTERVAL_MS
            running.clock.ahead_ms = at_ms - now_ms
            await running.stub.WriteBatch(scrape(step, values[:, step], at_ms))
            if at_ms - done_ms >= STEP_MS:
                done_ms = at_ms
                await running.ingest.compactor.compact()
                await connection.execute("VACUUM ingest.chunk")
        running.clock.ahead_ms = start_ms + values.shape[1] * INTERVAL_MS + HOUR_MS - now_ms
        await running.ingest.compactor.compact()
        found = {"steady": await sizes(connection)}
        await connection.execute("VACUUM FULL ingest.chunk")
        found["rewritten"] = await sizes(connection)
        await connection.close()
    return found


async def sizes(connection: asyncpg.Connection) -> list[int]:
    """Bytes in all, packed, and of the index."""
    [row] = await connection.fetch(_SIZES)
    return [row["rows"] + row["index"], row["packed"], row["index"]]


def scrape(step: int, values: F64, at_ms: int) -> pb.WriteBatchRequest:
    """One sample of each series."""
    refs = np.arange(len(values), dtype="<u4")
    return pb.WriteBatchRequest(
        producer_id="bench",
        series=[
            pb.SeriesDefinition(
                ref=ref,
                labels=[
                    series_pb2.Label(name="__name__", value=f"metric_{ref % 6}"),
                    series_pb2.Label(name="instance", value=f"host-{ref // 6}"),
                ],
            )
            for ref in refs.tolist()
        ],
        batch=pb.SampleBatch(
            sequence=step + 1,
            columns=pb.SampleColumns(
                series_refs=refs.tobytes(),
                timestamps_ms=np.full(len(refs), at_ms, "<i8").tobytes(),
                values=values.astype("<f8").tobytes(),
            ),
        ),
    )


def measure_prometheus(directory: Path, values: F64, start_ms: int) -> list[int]:
    """Bytes in all, of the chunks, and of the index of the blocks that promtool makes."""
    text, blocks = directory / "samples.txt", directory / "blocks"
    with text.open("w") as file:
        file.writelines(exposition(values, start_ms))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks)],
        check=True,
        capture_output=True,
    )
    sizes = {path: path.stat().st_size for path in blocks.rglob("*") if path.is_file()}
    chunks = sum(size for path, size in sizes.items() if path.parent.name == "chunks")
    index = sum(size for path, size in sizes.items() if path.name == "index")
    return [sum(sizes.values()), chunks, index]


def exposition(values: F64, start_ms: int) -> Iterator[str]:
    """The samples as OpenMetrics text, metric by metric."""
    for kind in range(6):
        yield f"# TYPE metric_{kind} gauge\n"
        for row in range(kind, len(values), 6):
            labels = f'metric_{kind}{{instance="host-{row // 6}"}}'
            for step, value in enumerate(values[row].tolist()):
                yield f"{labels} {value!r} {(start_ms + step * INTERVAL_MS) / 1000:.3f}\n"
    yield "# EOF\n"


if __name__ == "__main__":
    asyncio.run(main())
