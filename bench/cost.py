"""What samples, series and incidents cost each process, and what larger loads then need.

The real product on this machine: CPU as the kernel counts it, less what the same processes take
when nobody sends anything; memory as PSS; writes as PostgreSQL counts them. The last table is
reckoned from the first one, and says so.

    make bench-cost   or   python -m bench.cost [--scrapes 100] [--series 20000] [--incidents 200]
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from bench.detect_speed import bytes_per_series
from bench.receivers import INTERVAL_MS, body, cpu_s, memory, scored, send
from cli.product.tokens import user_token
from tests.notifier.peers import Hook, served_hook
from tests.product import UNLIMITED, Door, eventually, started, webhook

KNOWN, A_BODY = 2000, 2000
REST_S = 20.0
BUSY = 0.6
"""Share of its cores that a replica may be busy: the rest is for peaks, and for who died."""
LOADS = ((10_000, 10**6), (100_000, 3 * 10**6), (1_000_000, 10**7))
"""Samples a second, and series."""
SETTINGS = UNLIMITED | {
    "SENSUS_RATE_METRICS": "1000000",
    "SENSUS_NOTIFIER_PRIVATE_HOSTS": "127.0.0.1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything at one moment: CPU seconds and bytes by process, bytes written and stored."""

    at_s: float
    cpu: dict[str, float]
    memory: dict[str, int]
    wal: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Between two readings, without what idling takes; CPU by process."""

    cpu: dict[str, float]
    wal: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Of so many each; `idle` in cores, memory in bytes before the first and after the last."""

    idle: dict[str, float]
    idle_memory: dict[str, int]
    end_memory: dict[str, int]
    sample: Spent
    series: Spent
    incident: Spent
    samples: int
    new_series: int
    incidents: int


async def main() -> None:
    """Measures and prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scrapes", type=int, default=100, help=f"of {KNOWN} known series")
    parser.add_argument("--series", type=int, default=20_000, help="new ones")
    parser.add_argument("--incidents", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensus-cost-") as directory:
        async with (
            served_hook() as hook,
            started(Path(directory) / "data", settings=SETTINGS) as door,
        ):
            costs = await measured(door, hook, options)
    show(costs)
    show_loads(costs)


async def measured(door: Door, hook: Hook, options: argparse.Namespace) -> Costs:
    """Idles, sends samples of known series, then new series, then alerts."""
    token = user_token(door.product.directory, scopes=["write:samples"])
    url = f"{door.product.run.gateway_url}/api/v1/write"
    headers = {"Authorization": f"Bearer {token}"}
    first_ms = int(time.time() * 1000) - (options.scrapes + 2) * INTERVAL_MS
    sent = 0

    async def scrapes(numbers: range, which: range) -> None:
        nonlocal sent
        slices = [
            [body(numbers[start : start + A_BODY], first_ms, each) for each in which]
            for start in range(0, len(numbers), A_BODY)
        ]
        await send(url, headers, slices)
        sent += len(numbers) * len(which)
        await scored(door, sent)
        await asyncio.sleep(REST_S)  # what is put off is part of it

    await scrapes(range(KNOWN), range(1))
    idle, first = await idling(door)

    async def spent(work: Callable[[], Awaitable[None]]) -> Spent:
        usual, start = await idling(door)  # anew: what is held makes idling dearer
        await work()
        return between(start, await reading(door), usual)

    sample = await spent(lambda: scrapes(range(KNOWN), range(1, 1 + options.scrapes)))
    new = range(KNOWN, KNOWN + options.series)
    series = await spent(lambda: scrapes(new, range(1)))
    await route(door, hook)
    incident = await spent(lambda: incidents(door, hook, options.incidents))
    return Costs(
        idle=idle,
        idle_memory=first.memory,
        end_memory=(await reading(door)).memory,
        sample=sample,
        series=series,
        incident=incident,
        samples=KNOWN * options.scrapes,
        new_series=options.series,
        incidents=options.incidents,
    )


async def reading(door: Door) -> Reading:
    """What is known now."""
    processes: dict[str, list[psutil.Process]] = {}
    for child in door.product.children:
        own = psutil.Process(child.pid)
        processes[child.name] = [own, *own.children(recursive=True)]
    connection = await asyncpg.connect(door.product.run.postgres_dsn)
    try:
        wal = await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        stored = await connection.fetchval("SELECT pg_database_size(current_database())")
    finally:
        await connection.close()
    return Reading(
        at_s=time.perf_counter(),
        cpu={name: sum(of_each(cpu_s, found)) for name, found in processes.items()},
        memory={name: int(sum(of_each(memory, found))) for name, found in processes.items()},
        wal=int(wal),
        stored=stored,
    )


def of_each(
    measure: Callable[[Sequence[psutil.Process]], float], processes: list[psutil.Process]
) -> Iterator[float]:
    """Of one that has ended meanwhile nothing: its CPU is with its parent by then."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            yield measure([process])


async def idling(door: Door) -> tuple[dict[str, float], Reading]:
    """Cores that each process takes while nobody sends anything, and the state after that."""
    start = await reading(door)
    await asyncio.sleep(REST_S)
    end = await reading(door)
    took_s = end.at_s - start.at_s
    return {name: (end.cpu[name] - start.cpu[name]) / took_s for name in end.cpu}, end


def between(start: Reading, end: Reading, idle: dict[str, float]) -> Spent:
    """What was spent from one reading to the next."""
    took_s = end.at_s - start.at_s
    return Spent(
        cpu={
            name: max(0.0, end.cpu[name] - start.cpu[name] - took_s * idle[name]) for name in idle
        },
        wal=end.wal - start.wal,
        stored=end.stored - start.stored,
    )


async def route(door: Door, hook: Hook) -> None:
    """Every incident is told to one receiver."""
    routing = f"""
route: {{receiver: r}}
receivers: [{{name: r, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""
    (await door.http.put("/api/v1/routing", json={"yaml": routing})).raise_for_status()


async def incidents(door: Door, hook: Hook, count: int) -> None:
    """Alerts that have nothing to do with each other: explained, grouped, told."""
    for number in range(count):
        starts_at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        labels = {"severity": "critical", "env": f"cost-{number}", "service": f"cost-{number}"}
        posted = webhook(f"Cost{number}", starts_at=starts_at, **labels)
        (await door.http.post("/api/v1/alerts", json=posted)).raise_for_status()

    async def told() -> bool | None:
        return len(hook.taken) >= count or None

    await eventually(told, within_s=600, what="a notice of every incident")
    await asyncio.sleep(REST_S)


def show(costs: Costs) -> None:
    """What was measured, one row a process."""
    table = Table(
        "process",
        "idle, cores",
        "idle, MiB",
        "after all, MiB",
        "cores per 1,000 samples/s",
        "ms CPU a new series",
        "ms CPU an incident",
        title=f"Measured: {costs.samples:,} samples, {costs.new_series:,} series, "
        f"{costs.incidents:,} incidents",
    )
    for name in costs.idle:
        table.add_row(
            name,
            f"{costs.idle[name]:.3f}",
            f"{costs.idle_memory[name] / 2**20:.0f}",
            f"{costs.end_memory[name] / 2**20:.0f}",
            f"{1000 * costs.sample.cpu[name] / costs.samples:.4f}",
            f"{1000 * costs.series.cpu[name] / costs.new_series:.3f}",
            f"{1000 * costs.incident.cpu[name] / costs.incidents:.1f}",
        )
    Console(width=140).print(table)
    for what, spent, count in (
        ("sample", costs.sample, costs.samples),
        ("new series", costs.series, costs.new_series),
        ("incident", costs.incident, costs.incidents),
    ):
        print(
            f"PostgreSQL, for each {what}: {spent.wal / count:,.0f} bytes of WAL, "
            f"{spent.stored / count:,.0f} bytes stored"
        )


def show_loads(costs: Costs) -> None:
    """What larger loads need by these figures, with nothing that grows in another way."""
    per_series = bytes_per_series(100_000)
    print(f"the engine of the detector holds {per_series} bytes a series")
    table = Table(
        "samples/s",
        "series",
        *("gateway", "ingest", "detector", "detector, GiB", "postgres", "WAL, MB/s", "redis"),
        title=f"Reckoned: cores at {BUSY:.0%} busy",
    )
    for rate, series in LOADS:

        def cores(name: str, rate: int = rate) -> str:
            busy = rate * costs.sample.cpu[name] / costs.samples + costs.idle[name]
            return f"{math.ceil(10 * busy / BUSY) / 10:,.1f}"

        table.add_row(
            f"{rate:,}",
            f"{series:,}",
            *map(cores, ("gateway", "ingest", "detector")),
            f"{series * per_series / 2**30:.1f}",
            cores("postgres"),
            f"{rate * costs.sample.wal / costs.samples / 1e6:,.1f}",
            cores("redis"),
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    asyncio.run(main())
