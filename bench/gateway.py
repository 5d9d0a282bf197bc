"""The gateway under load: beside FastAPI, at a steady pace with the commit, with open streams.

1. Webhooks without the commit, as fast as eight clients can. FastAPI parses and validates with
   pydantic, and makes the message for ingest. `bare`, the gateway's endpoint alone, does the same.
   `ours` has everything around a request too: authentication, limits, log, metrics, time limits,
   headers; `fastapi_door` most of it. The ratios are those of the CPU time a request costs the
   server, which a busy machine moves least. Bodies differ from request to request.
2. Webhooks with the commit at a fixed pace: time from when each was due to its answer, and what
   each costs the processes of the product until the last is answered. Where the sum comes near
   what the machine has, the times are those of a queue.
3. A thousand readers of one watch, and five hundred open consoles, which follow all: memory of the
   gateway before, with them, and a while later.

    make bench-gateway      or   python -m bench.gateway [--seconds 5] [--rounds 5] [--readers 1000]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.gateway_load import Target, answered, cpu_s, flood, post, server, webhook
from bench.product import cpu_s_by_process, until_idle
from cli.product.tokens import user_token
from tests.product import UNLIMITED, Door, started

SIZES = (1, 10, 100)
"""Alerts in a webhook."""
PAIRS = (("fastapi", "bare"), ("fastapi_door", "ours"))
"""Baseline and ours, which do the same."""
KINDS = tuple(kind for pair in PAIRS for kind in pair)
BODIES = 64
PACE_PER_S = 500.0
ONE_WATCH = "/api/v1/anomalies:watch?heartbeatInterval=5s"
ALL_WATCHES = "/api/v1/events"

console = Console(width=110)


async def main() -> None:
    """Measures and prints all three."""
    options = parsed()
    await beside_fastapi(options.seconds, options.rounds)
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with started(Path(directory) / "data", settings=UNLIMITED) as door:
            await until_idle(door.product)
            await paced(door, options.seconds)
            await streams(door, ONE_WATCH, options.readers, options.seconds)
            await streams(door, ALL_WATCHES, options.readers // 2, options.seconds)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=5, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison, in turn")
    parser.add_argument("--readers", type=int, default=1000, help="open streams")
    return parser.parse_args()


async def beside_fastapi(seconds: float, rounds: int) -> None:
    """The three servers in turn, several times; the medians."""
    table = Table(title="webhook without the commit: CPU µs a request, and the ratios")
    for column in ("alerts", "bytes", *KINDS, *(f"{base}/{own}" for base, own in PAIRS)):
        table.add_column(column, justify="right")
    async with AsyncExitStack() as stack:
        targets = {kind: await stack.enter_async_context(server(kind)) for kind in KINDS}
        for size in SIZES:
            bodies = [webhook(size, first=place * size) for place in range(BODIES)]
            seen = [await once(targets, bodies, seconds) for _ in range(rounds)]
            cells = [f"{size}", f"{len(bodies[0]):,}"]
            cells += [f"{statistics.median(one[kind] for one in seen):,.0f}" for kind in KINDS]
            cells += [
                f"{statistics.median(one[base] / one[own] for one in seen):.2f}"
                for base, own in PAIRS
            ]
            table.add_row(*cells)
    console.print(table)


async def once(
    targets: Mapping[str, Target], bodies: Sequence[bytes], seconds: float
) -> dict[str, float]:
    """CPU microseconds of a request, for each server."""
    found = {}
    for kind, target in targets.items():
        requests = [post(body, target.token) for body in bodies]
        _, used_s = await flood(target, requests, seconds)
        found[kind] = used_s * 1e6
    return found


async def paced(door: Door, seconds: float) -> None:
    """Webhooks of one alert, each another one, through the whole product."""
    port = int(door.http.base_url.port or 80)
    token = user_token(door.product.directory)
    lanes: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
        lanes.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    used_s = cpu_s_by_process(door.product)
    began_s = time.perf_counter()

    async def one(number: int) -> float:
        due_s = began_s + number / PACE_PER_S
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        reader, writer = await lanes.get()
        writer.write(post(webhook(1, first=number), token))
        await answered(reader)
        lanes.put_nowait((reader, writer))
        return time.perf_counter() - due_s

    spent_s = await asyncio.gather(*(one(number) for number in range(int(PACE_PER_S * seconds))))
    p50, p99 = np.percentile(spent_s, [50, 99]) * 1000
    each_ms = {
        name: (after_s - used_s[name]) * 1000 / len(spent_s)
        for name, after_s in cpu_s_by_process(door.product).items()
    }
    sum_ms, cores = sum(each_ms.values()), psutil.cpu_count() or 1
    dearest = sorted(each_ms.items(), key=lambda item: -item[1])
    console.print(
        f"webhook with the commit at {PACE_PER_S:.0f}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms\n"
        f"{sum_ms:.1f} ms of CPU each, of which {cores} cores have {cores / sum_ms * 1000:.0f}/s: "
        + ", ".join(f"{name} {ms:.2f}" for name, ms in dearest)
    )


async def streams(door: Door, path: str, readers: int, seconds: float) -> None:
    """Readers of live events that stay."""
    process = psutil.Process(door.process_id("gateway"))
    request = (
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n"
        b"Accept: text/event-stream\r\nAuthorization: Bearer "
        + user_token(door.product.directory).encode()
        + b"\r\n\r\n"
    )
    before = process.memory_info().rss
    port = int(door.http.base_url.port or 80)
    opened = [await reading(port, request) for _ in range(readers)]
    with_them = process.memory_info().rss
    used_s = cpu_s(process)
    await asyncio.sleep(4 * seconds)
    later = process.memory_info().rss
    share = (cpu_s(process) - used_s) / (4 * seconds)
    for drain in opened:
        drain.cancel()
    console.print(
        f"{readers} open streams of {path}: {mb((before, with_them, later))} MB before, with "
        f"them and {4 * seconds:.0f} s later; {share:.0%} of a core meanwhile"
    )


async def reading(port: int, request: bytes) -> "asyncio.Task[None]":
    """A reader whose stream has begun, and that reads on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head, head

    async def drain() -> None:
        while await reader.read(65536):
            pass
        writer.close()

    return asyncio.create_task(drain())


def mb(sizes: Sequence[int]) -> str:
    """Sizes in megabytes."""
    return ", ".join(f"{size / 2**20:.0f}" for size in sizes)


if __name__ == "__main__":
    asyncio.run(main())
