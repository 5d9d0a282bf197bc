"""The supervisor keeps real child processes running and leaves none behind."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from cli.problem import Problem
from cli.processes.child import READY, SILENT, Answer, Event, Probe, State
from cli.processes.process import Program
from cli.processes.supervisor import Supervisor
from cli.product.service import Service

SERVE = """
    import pathlib, signal, sys, time
    def stop(*_):
        with open(sys.argv[1] + ".order", "a") as order:
            order.write(sys.argv[2] + "\\n")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    pathlib.Path(sys.argv[1], sys.argv[2]).touch()
    time.sleep(3600)
"""


async def yes() -> Answer:
    return READY


def service(
    directory: Path,
    name: str,
    *,
    code: str = SERVE,
    probe: Probe | None = None,
    **options: float,
) -> Service:
    """A child that leaves a file when it is ready and a line when it is told to stop."""

    async def left_a_file() -> Answer:
        return READY if (directory / name).exists() else SILENT

    command = (sys.executable, "-c", textwrap.dedent(code), str(directory), name)
    program = Program(command=command, log_file=directory / "logs" / f"{name}.log")
    return Service(name, program, probe or left_a_file, **options)


def stopped_in_order(directory: Path) -> list[str]:
    return Path(f"{directory}.order").read_text().split()


class Supervised:
    """A supervisor whose events can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self.supervisor = Supervisor(self._tell, first_delay_s=0.01)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def count(self, name: str, state: State) -> int:
        return sum(event.name == name and event.state is state for event in self.events)

    async def seen(self, name: str, state: State, *, times: int = 1) -> None:
        async with asyncio.timeout(120):
            while self.count(name, state) < times:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def supervised() -> AsyncIterator[Supervised]:
    recorder = Supervised()
    yield recorder
    await recorder.supervisor.stop()


async def test_children_are_stopped_in_reverse_order(
    tmp_path: Path, supervised: Supervised
) -> None:
    await supervised.supervisor.start([service(tmp_path, "store")])
    await supervised.supervisor.start([service(tmp_path, "ingest"), service(tmp_path, "gateway")])
    await supervised.supervisor.stop()
    assert stopped_in_order(tmp_path) == ["gateway", "ingest", "store"]


async def test_a_killed_child_is_started_again_and_it_is_told(
    tmp_path: Path, supervised: Supervised
) -> None:
    child = service(tmp_path, "ingest")
    await supervised.supervisor.start([child])
    first = child.pid
    os.kill(first, signal.SIGKILL)
    await supervised.seen("ingest", State.READY, times=2)
    assert child.pid != first
    ended = next(event for event in supervised.events if event.state is State.ENDED)
    assert ended.detail == "killed by SIGKILL"


async def test_delays_grow_while_a_child_keeps_ending(
    tmp_path: Path, supervised: Supervised
) -> None:
    """A probe that is too easily pleased must not hide that the child ends again and again."""
    child = service(tmp_path, "ingest", code="import sys; sys.exit(3)", probe=yes)
    await supervised.supervisor.start([child])
    await supervised.seen("ingest", State.WAITING, times=4)
    delays = [event.detail for event in supervised.events if event.state is State.WAITING]
    assert delays[:4] == [f"restart in {delay:g} s" for delay in (0.01, 0.02, 0.04, 0.08)]
    assert supervised.events[2].detail == "exit status 3"


async def test_a_child_that_ends_while_starting_says_why(
    tmp_path: Path, supervised: Supervised
) -> None:
    child = service(tmp_path, "ingest", code="raise SystemExit('SENSUS_X is not set')")
    with pytest.raises(Problem, match=r"(?s)ended while starting \(exit status 1\).*SENSUS_X is"):
        await supervised.supervisor.start([child])


async def test_a_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    never = service(tmp_path, "ingest", code="import time; time.sleep(3600)", start_timeout_s=0.3)
    with pytest.raises(Problem, match=r"ingest was not ready within 0\.3 s"):
        await never.start()
    assert never.pid is None


async def test_a_child_that_ignores_a_polite_stop_is_killed(tmp_path: Path) -> None:
    deaf = """
        import pathlib, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pathlib.Path(sys.argv[1], sys.argv[2]).touch()
        time.sleep(3600)
    """
    child = service(tmp_path, "deaf", code=deaf, stop_timeout_s=0.3)
    await child.start()
    process = psutil.Process(child.pid)
    await child.stop()
    assert not process.is_running()


async def test_children_get_no_signal_from_the_terminal(tmp_path: Path) -> None:
    child = service(tmp_path, "ingest")
    await child.start()
    assert os.getsid(child.pid) != os.getsid(0)
    await child.stop()
