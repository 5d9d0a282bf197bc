"""How long the three questions of one explanation take topology, with kept sums and without.

Twenty systems of six services were counted for 75 minutes in sixteen shards; a PostgreSQL of its
own holds the minutes. `CompareTraces` is asked from one, four and twenty minutes ago on, as the
explainer asks, with the default room for sums and with none: then every minute is read each time,
as it was before there was room. CPU and wall clock of one explanation, the best of rounds that
alternate; trust the ratio.

    make bench-compare   or   python -m bench.compare [--systems 20] [--rounds 10]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from cli.embedded.postgres import EmbeddedPostgres
from mesh import postgres
from mesh.clock import Clock, SystemClock
from mesh.migrations import migrate
from sensus.topology.v1 import topology_service_pb2 as pb
from services.topology.config import Config
from services.topology.minutes.minutes import Minutes
from services.topology.minutes.packing import packed
from services.topology.model import events as model
from services.topology.model.names import Named, Names
from services.topology.query.closed import ClosedMinutes
from services.topology.query.sides import Sides
from services.topology.servicer import Parts, TopologyServicer
from services.topology.store.examples import ExampleStore
from services.topology.store.minutes import MinuteStore
from services.topology.store.names import NameStore
from services.topology.store.patterns import PatternStore
from services.topology.store.versions import VersionStore
from services.topology.traces.settle import settle

SHARDS: Final = 16
MINUTES: Final = 75
TRACES: Final = 11
"""Of one system in a minute and shard: three a second in all."""
LEADS: Final = (1, 4, 20)
SERVICES: Final = ("box", "seats", "prices", "rates", "bank", "mailer")
SPANS: Final = (
    (1, 0, model.SERVER, 0, 80.0), (2, 1, model.CLIENT, 0, 22.0), (3, 2, model.SERVER, 2, 20.0),
    (4, 3, model.CLIENT, 2, 2.0), (5, 3, model.CLIENT, 2, 9.0), (6, 5, model.SERVER, 3, 8.0),
    (7, 1, model.CLIENT, 0, 32.0), (8, 7, model.SERVER, 1, 30.0), (9, 8, model.CLIENT, 1, 5.0),
    (10, 8, model.CLIENT, 1, 4.0), (11, 8, model.CLIENT, 1, 2.0), (12, 1, model.CLIENT, 0, 52.0),
    (13, 12, model.SERVER, 4, 50.0), (14, 13, model.CLIENT, 4, 5.0), (15, 1, model.CLIENT, 0, 2.0),
)  # fmt: skip
"""Of one trace: number, parent, kind, service, milliseconds. Spans that nobody answers have an
address."""
_PUT: Final = "INSERT INTO topology.minute VALUES ($1, $2, true, $3)"
_STANDING: Final = """
INSERT INTO topology.shard (shard, epoch, holder, second, final_before)
SELECT each, 1, 'bench', $1::bigint * 60, $1 FROM generate_series(0, $2) AS each
"""


async def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--systems", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    asked, clock = parser.parse_args(), SystemClock()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with EmbeddedPostgres(Path(directory)) as server:
            await migrate(server.dsn, ["topology"])
            async with postgres.open_pool(server.dsn, application_name="bench") as pool:
                now = clock.now_ms() // 60_000
                await _filled(pool, asked.systems, now)
                with ThreadPoolExecutor(1) as threads:
                    kept = _servicer(
                        pool, threads, clock, Config.__dataclass_fields__["sums_bytes"].default
                    )
                    read = _servicer(pool, threads, clock, 0)
                    first_s = (await _explained(kept, now))[1]
                    rounds = [
                        (await _explained(kept, now), await _explained(read, now))
                        for _ in range(asked.rounds)
                    ]
    _show(asked.systems, first_s, rounds)


async def _filled(pool: Any, systems: int, now: int) -> None:
    names = NameStore(pool)
    operations = {
        _operation(system, number): Named(
            f"shop{system}-{SERVICES[service]}", f"operation {number}"
        )
        for system in range(systems)
        for number, _, _, service, _ in SPANS
    }
    names.offer(Names(operations=operations, addresses={9: Named("", "redis")}), now * 60)
    await names.flush()
    contents = [_minute(systems, seed, now) for seed in range(4)]
    for place in range(MINUTES):
        rows = [(now - place, shard, contents[(place + shard) % 4]) for shard in range(SHARDS)]
        await pool.executemany(_PUT, rows)
    await pool.execute(_STANDING, now, SHARDS - 1)


def _operation(system: int, number: int) -> int:
    return 1000 + 100 * system + number


def _minute(systems: int, seed: int, now: int) -> bytes:
    """A minute of one shard: whose durations differ by a third."""
    dice, minutes = np.random.default_rng(seed), Minutes()
    for system in range(systems):
        rows = np.zeros((TRACES, len(SPANS)), model.EVENT)
        rows["trace_hi"], rows["trace_lo"] = seed + 1, np.arange(1, TRACES + 1)[:, None]
        for place, (number, parent, kind, _, length_ms) in enumerate(SPANS):
            own = rows[:, place]
            own["span_id"], own["parent"], own["kind"] = number, parent, kind
            own["operation"], own["peer"] = _operation(system, number), 9 * (kind == model.CLIENT)
            lengths_ns = 1e6 * length_ms * dice.lognormal(0, 0.3, TRACES)
            own["start_ns"] = now * 60_000_000_000
            own["end_ns"] = own["start_ns"] + lengths_ns.astype(np.uint64)
        minutes.add(settle(rows.ravel()), now * 60)
    (table,) = minutes.open.values()
    return packed(table)


def _servicer(pool: Any, threads: ThreadPoolExecutor, clock: Clock, room: Any) -> TopologyServicer:
    minutes = MinuteStore(pool)
    return TopologyServicer(
        Parts(
            sides=Sides(minutes, ClosedMinutes(minutes, threads, limit_bytes=room), threads),
            names=NameStore(pool),
            patterns=PatternStore(pool),
            examples=ExampleStore(pool),
            versions=VersionStore(pool),
            clock=clock,
            threads=threads,
        )
    )


async def _explained(servicer: TopologyServicer, now: int) -> tuple[float, float]:
    """Seconds of CPU and of the clock until all three are answered."""
    requests = [pb.CompareTracesRequest() for _ in LEADS]
    for request, lead in zip(requests, LEADS, strict=True):
        request.start_time.FromSeconds((now - lead) * 60)
    context: Any = None
    began_s, cpu_s = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(servicer.CompareTraces(each, context) for each in requests))
    assert all(each.coverage.observed.spans and each.edges for each in answers)
    return time.process_time() - cpu_s, time.perf_counter() - began_s


def _show(
    systems: int, first_s: float, rounds: Sequence[tuple[tuple[float, float], tuple[float, float]]]
) -> None:
    kept, read = ([each[which] for each in rounds] for which in (0, 1))
    table = Table(title=f"three comparisons of {systems} systems, ms")
    for column in ("", "CPU", "clock, half", "clock, all"):
        table.add_column(column, justify="right")
    for name, found in (("kept sums", kept), ("read each time", read)):
        clocks = [clock_s for _, clock_s in found]
        cells = (min(cpu_s for cpu_s, _ in found), statistics.median(clocks), max(clocks))
        table.add_row(name, *(f"{1000 * each:.0f}" for each in cells))
    ratio = min(cpu_s for cpu_s, _ in read) / min(cpu_s for cpu_s, _ in kept)
    console = Console(width=100)
    console.print(table)
    console.print(f"{ratio:.1f} times as fast; the first time {1000 * first_s:.0f} ms by the clock")


if __name__ == "__main__":
    asyncio.run(main())
