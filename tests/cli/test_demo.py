"""The demonstration runs unattended, on this machine's own metrics, and leaves nothing behind."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cli.demo.load import cpu_load
from cli.demo.machine import BURNER, Machine

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-c", "from cli.main import app; app()", "demo"]


def test_the_machine_always_reads_the_same_series() -> None:
    machine = Machine({"self": os.getpid()})
    first, second = machine.read(), machine.read()
    assert [sample.labels for sample in first] == [sample.labels for sample in second]
    assert len({sample.labels for sample in first}) == len(first)
    assert all(("host", os.uname().nodename) in sample.labels for sample in first)
    assert len({sample.timestamp_ms for sample in first}) == 1


async def test_the_load_is_real_and_ends_with_its_block(tmp_path: Path) -> None:
    machine = Machine({})
    async with cpu_load(tmp_path / "load.log") as pids:
        machine.watch(pids)
        assert len(pids) == psutil.cpu_count()
        await asyncio.sleep(1)
        (burned,) = [s.value for s in machine.read() if ("service", BURNER) in s.labels]
    assert burned > 20
    assert not any(map(psutil.pid_exists, pids))


@pytest.mark.e2e
@pytest.mark.timeout(180)
async def test_the_demonstration_explains_the_load_it_makes(tmp_path: Path) -> None:
    began_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *DEMO,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert time.monotonic() - began_s < 120
    assert BURNER in output.partition("Suspects")[2]
    assert "\x1b" not in output
    assert os.listdir(tmp_path) == []
