"""Where the time of a sample goes in ingest: a table by module, and a flame graph for speedscope.

`bench.write_path` tells how much a sample costs; this tells where. Batches are sent as fast as they
are acknowledged while py-spy looks at the stacks of ingest a hundred times a second; threads that
wait for work are left out. A row is the innermost module of ours, and the library that it called.
Compiled code has no name of its own: what gRPC writes stands with the interceptor that called it.

    make bench-write-profile   or   python -m bench.write_profile [--batch 1000] [--seconds 20]
"""

import argparse
import asyncio
import re
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.write_path import LANES, Machine, machine, rate, sender

FLAME: Final = Path("write_profile.speedscope.json")
_PER_S: Final = 100
_LEAST: Final = 0.01
_FRAME: Final = re.compile(r"\((?P<file>[^():]*)(?::\d+)?\)$")
_OURS: Final = re.compile(r"/((?:services|mesh|gen)/.*)")
_WAITING: Final = ("/threading.py", "/concurrent/futures/thread.py", "/queue.py")
console = Console(width=110)


async def main() -> None:
    """Prints the table and writes the flame graph."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=1000, help="samples of a batch")
    parser.add_argument("--series", type=int, default=1000, help="series that take turns")
    parser.add_argument("--seconds", type=float, default=20, help="length of each of two looks")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sensus-bench-") as directory:
        async with machine(Path(directory)) as started:
            async with sender(started, options.batch, options.series).open() as stream:
                for _ in range(LANES):
                    await stream.send()
                send = partial(rate, stream.send, options.batch, options.seconds + 1)
                stacks = Path(directory) / "stacks"
                (per_s, spent_us), _ = await asyncio.gather(
                    started.spent(send, options.seconds + 1),
                    record_stacks(started, options.seconds, "raw", stacks),
                )
                await asyncio.gather(
                    send(), record_stacks(started, options.seconds, "speedscope", FLAME)
                )
            print_table(stacks.read_text(), options.batch, per_s, spent_us)
    console.print(f"flame graph: {FLAME}, which https://www.speedscope.app and `speedscope` show")


async def record_stacks(started: Machine, seconds: float, form: str, into: Path) -> None:
    """Records the stacks of ingest for so long, in a form of py-spy.

    Raises:
        SystemExit: py-spy may not look at another process.
    """
    spy = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("py-spy")),
        *("record", "--pid", str(started.process_ids["ingest"]), "--output", str(into)),
        *("--format", form, "--duration", str(round(seconds)), "--rate", str(_PER_S)),
        "--full-filenames",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await spy.communicate()
    if spy.returncode:
        raise SystemExit(f"py-spy cannot look at ingest (run as root?): {errors.decode()[-500:]}")


def print_table(stacks: str, batch: int, per_s: float, spent_us: float) -> None:
    """Shares of the stacks by what ran."""
    places = Counter[str]()
    for line in stacks.splitlines():
        frames, _, seen = line.rpartition(" ")
        if (name := place(frames.split(";"))) is not None:
            places[name] += int(seen)
    looks = sum(places.values())
    console.print(
        f"batches of {batch:,}: {per_s:,.0f} samples a second, {spent_us:.2f} µs of CPU each, "
        f"with PostgreSQL; {looks:,} looks at ingest"
    )
    table = Table()
    table.add_column("what runs in ingest")
    table.add_column("share", justify="right")
    for name, count in places.most_common():
        if count >= _LEAST * looks:
            table.add_row(name, f"{100 * count / looks:.1f} %")
    console.print(table)


def place(frames: list[str]) -> str | None:
    """What a stack is in, as `services/ingest/store/log.py: asyncpg`; None of a thread that waits.

    >>> place(["append (/s/services/ingest/log.py:3)", "fetch (/v/site-packages/asyncpg/a.py:4)"])
    'services/ingest/log.py: asyncpg'
    >>> place(["main (/s/mesh/process.py:9)", "run (/usr/lib/python3.11/asyncio/runners.py:8)"])
    'event loop, gRPC in it'
    """
    files = [found["file"] if (found := _FRAME.search(each)) else "" for each in frames]
    if files[-1].endswith(_WAITING):
        return None
    if files[-1].endswith("asyncio/runners.py"):
        return "event loop, gRPC in it"
    ours = [found[1] for each in files if (found := _OURS.search(each))]
    _, is_library, beyond = files[-1].partition("site-packages/")
    if not ours:
        return beyond.partition("/")[0] or "Python"
    return f"{ours[-1]}: {beyond.partition('/')[0]}" if is_library else ours[-1]


if __name__ == "__main__":
    asyncio.run(main())
