"""Sends a profile of load to a product of its own, and counts afterwards what was kept.

Requests are sent when they are due, whether or not earlier ones were answered, so a slow answer
does not slow the load. Fails when something that was acknowledged is not stored.

    make load PROFILE=spike   or   python -m bench.load baseline|stress|spike|sustained [--scale 1]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table

from bench.load.profiles import PROFILES, Pace, Profile
from bench.load.report import HEADER, page, rows
from bench.load.senders import ALERT, POSTS_METRIC, SAMPLES_METRIC, Answer, answered, senders
from tests.product import UNLIMITED, Door, started

TICK_S, PROGRESS_S = 0.05, 10.0
AT_ONCE_MOST = 256
SETTINGS = UNLIMITED | {"SENSUS_RATE_METRICS": "1000000"}

Memory = dict[str, list[tuple[float, float]]]


async def main() -> None:
    """Runs the profile, prints its table, writes the page."""
    options = _parsed()
    profile = PROFILES[options.profile]
    if options.seconds:
        profile = replace(profile, seconds=options.seconds)
    with tempfile.TemporaryDirectory(prefix="sensus-load-") as directory:
        async with started(Path(directory) / "data", settings=SETTINGS) as door:
            answers, memory = await _run(door, profile, options.scale)
            lost = await _lost(door, answers)
    verdict = f"LOST: {lost}" if lost else "nothing acknowledged was lost"
    _print(answers, profile.seconds)
    text = page(f"Load: {profile.name}", answers, profile.seconds, memory, verdict)
    options.report.write_text(text)
    Console().print(f"{options.report}: {verdict}")
    if lost:
        sys.exit(1)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("profile", choices=PROFILES)
    parser.add_argument("--scale", type=float, default=1.0, help="of the usual pace")
    parser.add_argument("--seconds", type=float, help="shorter or longer than the profile")
    parser.add_argument("--report", type=Path, default=Path("load.html"))
    return parser.parse_args()


async def _run(door: Door, profile: Profile, scale: float) -> tuple[list[Answer], Memory]:
    began_s = time.perf_counter()
    sending = senders(door)
    due = Counter[str]()
    running: set[asyncio.Task[Answer]] = set()
    answers: list[Answer] = []
    memory: Memory = {}
    told_s = looked_s = now_s = 0.0

    def done(task: "asyncio.Task[Answer]") -> None:
        running.discard(task)
        answers.append(task.result())

    while now_s < profile.seconds:
        await asyncio.sleep(TICK_S)
        before_s, now_s = now_s, time.perf_counter() - began_s
        factor = scale * profile.factor(min(1.0, now_s / profile.seconds))
        for kind, send in sending.items():
            due[kind] += getattr(Pace(), kind) * factor * (now_s - before_s)
            while due[kind] >= 1:
                due[kind] -= 1
                if len(running) < AT_ONCE_MOST:
                    task = asyncio.create_task(answered(kind, send, began_s))
                    running.add(task)
                    task.add_done_callback(done)
                else:
                    held_back = Answer(
                        kind=kind, sent_s=now_s, took_s=0, acknowledged=0, error="held back"
                    )
                    answers.append(held_back)
        if now_s - looked_s >= 1:
            looked_s = now_s
            _look(door, now_s, memory)
        if now_s - told_s >= PROGRESS_S:
            told_s = now_s
            Console().print(f"{now_s:4.0f} s  {len(answers)} answers, {len(running)} under way")
    await asyncio.gather(*running)
    return answers, memory


def _look(door: Door, now_s: float, memory: Memory) -> None:
    for child in door.product.children:
        if child.pid:
            memory.setdefault(child.name, []).append((now_s, _size_mb(child.pid)))


def _size_mb(pid: int) -> float:
    """Of a process and all below it; of memory that several share each has its part."""
    parent, total = psutil.Process(pid), 0
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


async def _lost(door: Door, answers: Sequence[Answer]) -> str:
    """What was acknowledged and is not stored, in words; empty when that is nothing."""
    acknowledged = Counter[str]()
    for each in answers:
        acknowledged[each.kind] += each.acknowledged
    connection = await asyncpg.connect(door.product.run.postgres_dsn)
    count = "SELECT count(*) FROM ingest.metrics WHERE metric_name = $1"
    alerts = "SELECT count(*) FROM ingest.alert WHERE labels ->> 'alertname' = $1"
    try:
        stored = {
            "batches": await connection.fetchval(count, SAMPLES_METRIC),
            "posts": await connection.fetchval(count, POSTS_METRIC),
            "alerts": await connection.fetchval(alerts, ALERT),
        }
    finally:
        await connection.close()
    return ", ".join(
        f"{acknowledged[kind] - kept} of {acknowledged[kind]} {kind}"
        for kind, kept in stored.items()
        if kept < acknowledged[kind]
    )


def _print(answers: Sequence[Answer], seconds: float) -> None:
    table = Table(*HEADER, box=None)
    for row in rows(answers, seconds):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
