"""What the agent costs: share of a core and memory at its usual pace, beside what it may cost.

The real agent runs as a process and streams to the real ingest, which then goes away, so that the
readings stay in the spool. CPU is that of its process as the kernel counts it, from one reading to
another: start and imports are left out, and told apart.

    make bench-agent   or   bench/agent.py [--interval 15] [--readings 4]
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench.query import service
from mesh.auth import TokenMinter

CORE_SHARE_MAX, MEMORY_MAX_MB = 0.01, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the process took while it ran as `what` says."""

    what: str
    core_share: float
    memory_mb: float


async def main() -> None:
    """Measures and prints the table; fails above the limits."""
    options = parsed()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        place = Path(directory)
        async with service(place / "stores") as ingest:
            token = place / "token"
            minter = TokenMinter.from_file(place / "stores/gateway.pem", "gateway")
            token.write_text(minter.mint("user:agent", ["write:samples"], 24 * 3600))
            environment = {
                "SENSUS_AGENT_INGEST_TARGET": f"127.0.0.1:{ingest.port}",
                "SENSUS_AGENT_TOKEN_FILE": str(token),
                "SENSUS_AGENT_SPOOL_DIRECTORY": str(place / "spool"),
                "SENSUS_AGENT_METRICS_PORT": "0",
                "SENSUS_AGENT_INTERVAL_S": str(options.interval),
            }
            async with running(environment) as agent:
                start_s = await started(agent)
                streaming = await cost("streaming to ingest", agent, options)
                await ingest.ingest.server.stop(0, 0)
                costs = [streaming, await cost("ingest is away", agent, options)]
    show(options, start_s, costs)
    if any(c.core_share > CORE_SHARE_MAX or c.memory_mb > MEMORY_MAX_MB for c in costs):
        sys.exit("more than the agent may cost")


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--interval", type=float, default=15.0, help="seconds between readings")
    parser.add_argument("--readings", type=int, default=4, help="readings that are measured")
    return parser.parse_args()


@asynccontextmanager
async def running(environment: dict[str, str]) -> AsyncIterator[psutil.Process]:
    """The agent as a process."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.agent"),
        env={**os.environ, **environment},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        await child.wait()


async def started(agent: psutil.Process) -> float:
    """Waits for the first reading and its sending; the CPU seconds that all of it took."""
    await asyncio.sleep(5)
    return cpu_s(agent)


async def cost(what: str, agent: psutil.Process, options: argparse.Namespace) -> Cost:
    """Over so many whole intervals."""
    before_s, memory = cpu_s(agent), 0.0
    for _ in range(options.readings):
        await asyncio.sleep(options.interval)
        memory = max(memory, agent.memory_info().rss / 1e6)
    passed_s = options.readings * options.interval
    return Cost(what=what, core_share=(cpu_s(agent) - before_s) / passed_s, memory_mb=memory)


def cpu_s(agent: psutil.Process) -> float:
    """CPU seconds of the process so far."""
    times = agent.cpu_times()
    return float(times.user + times.system)


def show(options: argparse.Namespace, start_s: float, costs: list[Cost]) -> None:
    """The table."""
    processes = len(psutil.pids())
    table = Table(title=f"the agent, a reading every {options.interval:g} s, {processes} processes")
    for heading in ("", "share of a core", "of what it may", "memory, MB", "of what it may"):
        table.add_column(heading, justify="right")
    for each in costs:
        table.add_row(
            each.what,
            f"{each.core_share:.2%}",
            f"{each.core_share / CORE_SHARE_MAX:.2f}",
            f"{each.memory_mb:.1f}",
            f"{each.memory_mb / MEMORY_MAX_MB:.2f}",
        )
    console = Console()
    console.print(table)
    console.print(f"its start took {start_s:.2f} s of CPU")


if __name__ == "__main__":
    asyncio.run(main())
