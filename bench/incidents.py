"""How long one change and one page take with 100,000 incidents and a million members stored.

Keep's own figure for one change among 10,000 alerts is ten seconds. Our store is filled by COPY,
one incident in twenty open; then alerts are placed one by one and 500 at a time, people
acknowledge, and pages of 100 are listed. Everything runs on an embedded PostgreSQL that syncs.

    make bench-incidents   or   python -m bench.incidents [--incidents 100000] [--members 10]
"""

import argparse
import asyncio
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.embedded.postgres import EmbeddedPostgres
from mesh.clock import SystemClock
from mesh.migrations import DIRECTORY, migrate
from mesh.postgres import open_pool
from mesh.selector import parse
from services.incidents.correlator import Settings
from services.incidents.keeper.actions import Actions, Request
from services.incidents.keeper.grouping import Grouping
from services.incidents.lifecycle import people
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import Change, Kind, Severity
from services.incidents.model.incident import Incident, IncidentState
from services.incidents.store.incidents import IncidentFilter, IncidentStore
from services.incidents.store.lease import LeaseStore
from services.incidents.store.transaction import IncidentTransaction, incident_row

if TYPE_CHECKING:
    from mesh.postgres import Pool

CHANGE_MAX_MS, PAGE_MAX_MS = 50.0, 100.0
OPEN_EVERY = 20
SERVICES = 500
STORMS = (50, 5_000)
"""Alerts that were there before the one that is timed."""


def incident(number: int, members: int, now_ms: int) -> Incident:
    """One of many; every twentieth is open."""
    is_open = number % OPEN_EVERY == 0
    service = f"service-{number % SERVICES}"
    start_ms = now_ms - 90_000_000 + number * 800
    return Incident(
        incident_id=f"i-{number:016x}",
        state=IncidentState.OPEN if is_open else IncidentState.RESOLVED,
        severity=1 + number % 3,
        title=f"HighLatency at {service} ({members})",
        labels={"alertname": "HighLatency", "service": service},
        services={service: members},
        member_count=members,
        firing_count=1 if is_open else 0,
        start_ms=start_ms,
        open_ms=start_ms,
        resolve_ms=0 if is_open else start_ms + 600_000,
        resolved_by="" if is_open else "user:anna",
        event_no=1,
    )


def member_rows(number: int, members: int, start_ms: int) -> Iterator[tuple[Any, ...]]:
    """Members of one incident; of an open one the last fires."""
    labels = {"alertname": "HighLatency", "service": f"service-{number % SERVICES}"}
    for each in range(members):
        fires = number % OPEN_EVERY == 0 and each == members - 1
        mark = f"{number}-{each}"
        pairs = {**labels, "pod": mark}
        end_ms = 0 if fires else start_ms + 500_000
        of = (f"i-{number:016x}", number + 1, 1, mark, pairs, 2, start_ms, end_ms, 4)
        yield (mark, *of, labels["service"], [])


async def fill(pool: "Pool", count: int, members: int, now_ms: int) -> None:
    """Stores them by COPY."""
    async with pool.acquire() as connection:
        for first in range(0, count, 5000):
            numbers = range(first, min(count, first + 5000))
            made = [incident(each, members, now_ms) for each in numbers]
            rows = [incident_row(each, n + 1) for n, each in zip(numbers, made, strict=True)]
            await connection.copy_records_to_table(
                "incident", schema_name="incidents", records=rows
            )
            stored = [
                row
                for n, each in zip(numbers, made, strict=True)
                for row in member_rows(n, members, each.start_ms)
            ]
            await connection.copy_records_to_table(
                "member", schema_name="incidents", records=stored
            )
        await connection.execute("UPDATE incidents.head SET last_event = $1", count)
        await connection.execute("ANALYZE")


def alerts(count: int, now_ms: int, run: str) -> list[Change]:
    """Alerts that begin, each alone at a service of its own."""
    return [
        Change(
            member_id=f"{run}-{n}",
            kind=Kind.ALERT,
            fingerprint=f"{run}-{n}",
            labels={"alertname": "New", "service": f"{run}-{n}"},
            severity=Severity.CRITICAL,
            start_ms=now_ms + n * 7_000,
        )
        for n in range(count)
    ]


def storm(first: int, count: int, now_ms: int) -> list[Change]:
    """Alerts of one storm: 50 a second, each of a series of its own."""
    return [
        Change(
            member_id=f"storm-{n}",
            kind=Kind.ALERT,
            fingerprint=f"storm-{n}",
            labels={"alertname": "Storm", "service": f"storm-{n % 300}", "env": "storm"},
            severity=Severity.WARNING,
            start_ms=now_ms + n * 20,
        )
        for n in range(first, first + count)
    ]


async def timed(works: list[Callable[[], Awaitable[Any]]]) -> tuple[float, float]:
    """Median and 95 % quantile in milliseconds."""
    taken = []
    for work in works:
        began_s = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=20)[-1]


async def measure(pool: "Pool", count: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Each kind of work."""
    clock, times = SystemClock(), Times()
    fence = await LeaseStore(pool, lease_s=3600).hold("bench")
    grouping = Grouping(pool, clock, Settings(), times, ("bench", fence or 0))
    now_ms = clock.now_ms()
    began_s = time.perf_counter()
    await grouping.changes("alerts", 1, alerts(1, now_ms, "first"))
    print(f"first change, with all that is read before it: {time.perf_counter() - began_s:.1f} s")
    single = alerts(repeats, now_ms, "single")
    batch = alerts(500 * 10, now_ms, "batch")
    acts, store = Actions(pool, clock, times), IncidentStore(pool)
    storms: dict[str, tuple[float, float]] = {}
    for size in STORMS:
        begun = 0 if size == STORMS[0] else STORMS[0] + repeats
        for n in range(begun, size, 500):
            await grouping.changes("alerts", 2 * 10**6 + n, storm(n, min(500, size - n), now_ms))
        storms[f"one into a storm of {size:,}"] = await timed(
            [
                partial(grouping.changes, "alerts", 3 * 10**6 + size + n, [each])
                for n, each in enumerate(storm(size, repeats, now_ms))
            ]
        )

    async def acknowledge(number: int) -> None:
        async def work(current: IncidentTransaction, at_ms: int) -> bytes:
            before = await acts.one(current, f"i-{number:016x}")
            await acts.act(current, [people.acknowledge(before, "user:anna", at_ms)], "user:anna")
            return b""

        await acts.run(Request(actor="user:anna", request_id="", content=b""), work)

    def page(**wanted: Any) -> Callable[[], Awaitable[Any]]:
        asked = dataclasses.replace(IncidentFilter(selector=parse("")), **wanted)
        return lambda: store.page(asked, 2**62, 101)

    service = parse('{service="service-7"}')
    opened = [number * OPEN_EVERY for number in range(min(repeats, count // OPEN_EVERY))]
    return storms | {
        "one alert placed": await timed(
            [partial(grouping.changes, "alerts", n, [c]) for n, c in enumerate(single, 2)]
        ),
        "500 alerts placed": await timed(
            [
                partial(grouping.changes, "alerts", 10**6 + n, batch[n : n + 500])
                for n in range(0, 5000, 500)
            ]
        ),
        "one acknowledged": await timed([partial(acknowledge, n) for n in opened]),
        "page of all": await timed([page()] * repeats),
        "page of open critical": await timed([page(states=(1, 2, 3), min_severity=3)] * repeats),
        "page of one service": await timed([page(selector=service)] * repeats),
        "page of words": await timed([page(words=("latency", "service-77"))] * repeats),
        "page of what is nowhere": await timed([page(words=("nowhere",))] * 20),
    }


async def main() -> None:
    """Prints all figures; status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with EmbeddedPostgres(Path(directory) / "postgres") as postgres:
            await migrate(postgres.dsn, ["incidents"], DIRECTORY)
            async with open_pool(postgres.dsn, application_name="bench") as pool:
                now_ms = SystemClock().now_ms()
                await fill(pool, options.incidents, options.members, now_ms)
                found = await measure(pool, options.incidents, options.repeats)
    for name, (median, p95) in found.items():
        print(f"{name:26s} median {median:7.1f} ms   p95 {p95:7.1f} ms")
    small, large = (found[f"one into a storm of {size:,}"][0] for size in STORMS)
    print(f"a storm a hundred times larger costs {large / small:.1f} times as much for each alert")
    changes = max(found[name][1] for name in ("one alert placed", "one acknowledged"))
    slowest = max(p95 for name, (_, p95) in found.items() if name.startswith("page of"))
    if changes > CHANGE_MAX_MS or slowest > PAGE_MAX_MS:
        sys.exit(f"missed: change p95 {changes:.1f} ms, page p95 {slowest:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
