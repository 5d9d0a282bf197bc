"""A child that lives but does not serve is restarted; one that is slow is left alone."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from cli.processes.child import Answer, Event, SilenceLimits, State
from cli.processes.liveness import occupied_s
from cli.processes.process import Program
from cli.processes.supervisor import Supervisor
from cli.product.probes import http_probe
from cli.product.service import Service
from tests.ports import free_port

SERVE = """
    import asyncio, signal, sys, time

    async def answer(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(status + b"\\r\\ncontent-length: 0\\r\\n\\r\\n")
        await writer.drain()
        writer.close()

    def compute():
        until_s = time.monotonic() + 4
        while time.monotonic() < until_s:
            pass

    def refuse():
        global status
        status = b"HTTP/1.1 503 Service Unavailable"

    async def main():
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
        loop.add_signal_handler(signal.SIGUSR1, time.sleep, 3600)  # deadlock
        loop.add_signal_handler(signal.SIGUSR2, server.close)
        loop.add_signal_handler(signal.SIGALRM, compute)
        loop.add_signal_handler(signal.SIGURG, refuse)
        await asyncio.sleep(3600)

    status = b"HTTP/1.1 200 OK"
    asyncio.run(main())
"""
QUICK = SilenceLimits(every_s=0.1, idle_s=1.0, busy_s=60.0, unready_s=0.5)


class Watched:
    """A supervised HTTP server and what is told about it."""

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.events: list[Event] = []
        self._news = asyncio.Event()
        program = Program(
            command=(sys.executable, "-c", textwrap.dedent(SERVE), str(port)),
            log_file=directory / "child.log",
        )
        probe = partial(http_probe, f"http://127.0.0.1:{port}/readyz")
        self.child = Service("child", program, probe, patience=QUICK)
        self.supervisor = Supervisor(self._tell, first_delay_s=0.01)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def states(self) -> list[State]:
        return [event.state for event in self.events]

    async def until(self, true: Callable[[], bool], *, within_s: float = 120) -> None:
        async with asyncio.timeout(within_s):
            while not true():
                self._news.clear()
                await self._news.wait()

    async def until_told(self, state: State) -> str:
        await self.until(lambda: state in self.states())
        return next(event.detail for event in self.events if event.state is state)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched(tmp_path)
    await watched.supervisor.start([watched.child])
    yield watched
    await watched.supervisor.stop()


@pytest.mark.parametrize(
    ("number", "activity"),
    [(signal.SIGSTOP, "stopped"), (signal.SIGUSR1, "idle"), (signal.SIGUSR2, "idle")],
    ids=["stopped", "deadlocked", "port closed"],
)
async def test_a_child_that_lives_but_does_not_serve_is_restarted(
    watched: Watched, number: signal.Signals, activity: str
) -> None:
    pid = watched.child.pid
    os.kill(pid, number)
    detail = await watched.until_told(State.SILENT)
    assert detail.startswith("no answer for ")
    assert detail.endswith(f" s, {activity}; killing process {pid}")
    await watched.until(lambda: watched.states().count(State.READY) == 2)
    assert watched.states()[-5:] == [
        *(State.SILENT, State.ENDED, State.WAITING, State.STARTING, State.READY)
    ]
    assert (await watched.child.probe()).ready


async def test_a_child_that_computes_is_slow_and_not_dead(watched: Watched) -> None:
    pid = watched.child.pid
    os.kill(pid, signal.SIGALRM)
    assert "busy; it has 60 s" in await watched.until_told(State.SLOW)
    await watched.until(lambda: watched.states().count(State.READY) == 2)
    assert watched.child.pid == pid
    assert State.SILENT not in watched.states()


async def test_a_child_that_answers_no_is_told_and_not_restarted(watched: Watched) -> None:
    """Its database may be away: a restart would not bring that back."""
    pid = watched.child.pid
    os.kill(pid, signal.SIGURG)
    assert (await watched.until_told(State.UNREADY)).startswith("503")
    await asyncio.sleep(3 * QUICK.idle_s)
    assert watched.child.pid == pid
    assert State.ENDED not in watched.states()


async def test_a_fault_of_the_probe_is_told_and_kills_nobody(tmp_path: Path) -> None:
    asked = 0

    async def broken() -> Answer:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise OSError("too many open files")
        return Answer(alive=True, ready=True)

    watched = Watched(tmp_path)
    watched.child._probe = broken
    try:
        await watched.supervisor.start([watched.child])
        assert "too many open files" in await watched.until_told(State.UNREADY)
        assert State.ENDED not in watched.states()
    finally:
        await watched.supervisor.stop()


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux tells who waits")
async def test_a_process_that_gets_no_processor_is_not_idle() -> None:
    """Two that compute on one processor: each is occupied while the other computes."""
    loop = ("sh", "-c", "while :; do :; done")
    both = [await asyncio.create_subprocess_exec(*loop) for _ in range(2)]
    try:
        for each in both:
            os.sched_setaffinity(each.pid, {min(os.sched_getaffinity(0))})
        process = psutil.Process(both[0].pid)

        def waited_s() -> float:
            times = process.cpu_times()
            return occupied_s(process) - times.user - times.system

        async with asyncio.timeout(60):
            while waited_s() < 0.5:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        for each in both:
            each.kill()
            await each.wait()
