"""The same remote-write load into Prometheus, VictoriaMetrics and Sensus, one after the other.

Scrapes of many series, 2,000 samples a body, a connection for each 2,000 series, as Prometheus
sends them. Taken is what each spends of CPU and holds in memory (PSS) for the samples that it
answered. Of Sensus first the road to the commit alone: gateway, ingest, PostgreSQL and Redis; then
all of it, the detector that scores every sample included. What they promise differs: Prometheus and
VictoriaMetrics answer before their log is on the disk, ours after the commit.

    python -m bench.receivers [--series 10000] [--scrapes 100]
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import cramjam
import httpx
import psutil
from rich.console import Console
from rich.table import Table

from cli.product.tokens import user_token
from tests.ingest.prometheus.messages import WriteRequest
from tests.peers.conftest import running
from tests.ports import free_port
from tests.product import UNLIMITED, Door, started

SAMPLES_A_BODY = 2000
INTERVAL_MS = 15_000
HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
ROAD = ("gateway", "ingest", "postgres", "redis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a receiver spent on the load."""

    name: str
    samples_per_s: float
    cpu_s: float
    memory_bytes: int


async def main() -> None:
    """Measures all and prints the table."""
    options = parsed()
    slices = load(options.series, options.scrapes)
    samples = options.series * options.scrapes
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as name:
        directory = Path(name)
        for receiver in (prometheus, victoria_metrics):
            async with receiver(directory) as target:
                if target is not None:
                    costs.append(await measured(*target, slices, samples))
        costs += await measured_sensus(directory, slices, samples)
    show(costs, samples)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--series", type=int, default=10_000, help="different series")
    parser.add_argument("--scrapes", type=int, default=100, help="samples of each")
    return parser.parse_args()


def load(series: int, scrapes: int) -> list[list[bytes]]:
    """For each 2,000 series their bodies, scrape by scrape; the values are counters."""
    first_ms = int(time.time() * 1000) - scrapes * INTERVAL_MS
    return [
        [
            body(range(start, min(start + SAMPLES_A_BODY, series)), first_ms, scrape)
            for scrape in range(scrapes)
        ]
        for start in range(0, series, SAMPLES_A_BODY)
    ]


def body(numbers: Iterable[int], first_ms: int, scrape: int) -> bytes:
    """One sample of some series."""
    request = WriteRequest()
    for number in numbers:
        one = request.timeseries.add()
        for name, value in (
            ("__name__", f"http_requests_{number % 50}_total"),
            ("instance", f"10.0.{number // 2500}.{number // 50 % 50}:9100"),
            ("job", "node"),
        ):
            one.labels.add(name=name, value=value)
        one.samples.add(
            timestamp=first_ms + scrape * INTERVAL_MS, value=float(number + scrape * (number % 7))
        )
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


Target = tuple[str, str, dict[str, str], Callable[[], list[psutil.Process]]]
"""Name, URL, headers, and the processes of a receiver."""


@asynccontextmanager
async def prometheus(directory: Path) -> AsyncIterator[Target | None]:
    """Debian's Prometheus as a receiver."""
    port = free_port()
    (directory / "prometheus.yml").write_text("global: {}\n")
    options = [
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
    ]
    url = f"http://127.0.0.1:{port}"
    async with foreign("prometheus", options, f"{url}/-/ready", directory) as processes:
        yield processes and ("Prometheus", f"{url}/api/v1/write", {}, processes)


@asynccontextmanager
async def victoria_metrics(directory: Path) -> AsyncIterator[Target | None]:
    """Debian's VictoriaMetrics as a receiver."""
    port = free_port()
    options = [
        f"-storageDataPath={directory}/victoria",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=1",
    ]
    url = f"http://127.0.0.1:{port}"
    async with foreign("victoria-metrics", options, f"{url}/health", directory) as processes:
        yield processes and ("VictoriaMetrics", f"{url}/api/v1/write", {}, processes)


@asynccontextmanager
async def foreign(
    program: str, options: Sequence[str], ready_url: str, directory: Path
) -> AsyncIterator[Callable[[], list[psutil.Process]] | None]:
    """A foreign program that answers; None where it is not installed."""
    path = shutil.which(program)
    if path is None:
        print(f"{program} is not installed: left out")
        yield None
        return
    before = {each.pid for each in psutil.Process().children()}
    async with running([path, *options], directory / f"{program}.log"):
        await answering(ready_url)
        yield lambda: [each for each in psutil.Process().children() if each.pid not in before]


async def answering(url: str) -> None:
    """Returns when the answer is a good one."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


async def measured_sensus(
    directory: Path, slices: Sequence[Sequence[bytes]], samples: int
) -> list[Cost]:
    """The road to the commit, and all processes."""
    async with started(directory / "data", settings=UNLIMITED) as door:
        token = user_token(door.product.directory, scopes=["write:samples"])
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{door.product.run.gateway_url}/api/v1/write"

        def processes(names: Sequence[str] = ()) -> list[psutil.Process]:
            found = [
                psutil.Process(child.pid)
                for child in door.product.children
                if not names or child.name in names
            ]
            return [*found, *(below for each in found for below in each.children(recursive=True))]

        await send(url, headers, [slices[0][:1]])  # compiles the reader
        whole_before = cpu_s(processes())
        target = ("Sensus, to the commit", url, headers, lambda: processes(ROAD))
        road = await measured(*target, slices, samples)
        await scored(door, samples)
        spent_s = cpu_s(processes()) - whole_before
        whole = Cost(
            name="Sensus, all, scored",
            samples_per_s=road.samples_per_s,
            cpu_s=spent_s,
            memory_bytes=memory(processes()),
        )
    return [road, whole]


async def scored(door: Door, samples: int) -> None:
    """Waits until the detector has seen the samples."""
    for _ in range(600):
        if (await door.status()).processed_samples >= samples:
            return
        await asyncio.sleep(0.5)


async def measured(
    name: str,
    url: str,
    headers: dict[str, str],
    processes: Callable[[], list[psutil.Process]],
    slices: Sequence[Sequence[bytes]],
    samples: int,
) -> Cost:
    """Sends everything and reads off what it cost."""
    before_s, start_s = cpu_s(processes()), time.perf_counter()
    await send(url, headers, slices)
    took_s = time.perf_counter() - start_s
    return Cost(
        name=name,
        samples_per_s=samples / took_s,
        cpu_s=cpu_s(processes()) - before_s,
        memory_bytes=memory(processes()),
    )


async def send(url: str, headers: dict[str, str], slices: Sequence[Sequence[bytes]]) -> None:
    """Posts the bodies of each slice in their order."""
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:

        async def lane(bodies: Sequence[bytes]) -> None:
            for content in bodies:
                answer = await client.post(url, content=content, headers=HEADERS | headers)
                while answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # as senders do
                    await asyncio.sleep(0.1)
                    answer = await client.post(url, content=content, headers=HEADERS | headers)
                answer.raise_for_status()

        await asyncio.gather(*map(lane, slices))


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """User and system time so far, of children that have ended too."""
    return sum(sum(each.cpu_times()[:4]) for each in processes)


def memory(processes: Sequence[psutil.Process]) -> int:
    """Resident bytes; what several processes share counts once."""
    return sum(each.memory_full_info().pss for each in processes)


def show(costs: Sequence[Cost], samples: int) -> None:
    """One row per receiver."""
    table = Table(title=f"{samples:,} samples by remote write, {SAMPLES_A_BODY} a body")
    for column in ("receiver", "samples/s", "samples per CPU second", "MB", "samples/s per MB"):
        table.add_column(column, justify="left" if column == "receiver" else "right")
    for each in costs:
        megabytes = each.memory_bytes / 1e6
        table.add_row(
            each.name,
            f"{each.samples_per_s:,.0f}",
            f"{samples / each.cpu_s:,.0f}",
            f"{megabytes:,.0f}",
            f"{each.samples_per_s / megabytes:,.0f}",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    asyncio.run(main())
