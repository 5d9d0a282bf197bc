"""`sensus up` as people use it: start, use, break, stop, start again."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from cli.demo.webhook import high_cpu, send_alert
from cli.problem import Problem
from cli.product import check_redis

REPOSITORY = Path(__file__).resolve().parents[2]
SENSUS = [sys.executable, "-c", "from cli.main import app; app()"]
FREE = [f"--{name}-port=0" for name in ("gateway", "ingest", "detector", "explainer")]
UP = [*SENSUS, "up", *FREE, "--metrics-base-port=0"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Up:
    """A running `sensus up` and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.process = process
        self.directory = directory
        self.output = ""

    @property
    def run(self) -> dict:
        return json.loads((self.directory / "run.json").read_text())

    @property
    def password(self) -> str:
        return re.search(r"user admin, password (\S+) \(shown", self.output)[1]

    async def prints(self, pattern: str, *, within_s: float = 90) -> None:
        """Waits until the output from here on has the pattern."""
        mark = len(self.output)
        async with asyncio.timeout(within_s):
            while not re.search(pattern, self.output[mark:]):
                line = await self.process.stdout.readline()
                assert line, f"it ended before it printed {pattern!r}:\n{self.output}"
                self.output += line.decode()

    async def ends(self) -> int:
        rest, _ = await self.process.communicate()
        self.output += rest.decode()
        return self.process.returncode


@asynccontextmanager
async def up(directory: Path, **settings: str) -> AsyncIterator[Up]:
    process = await asyncio.create_subprocess_exec(
        *(*UP, "--data-dir", str(directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=REPOSITORY,
        env={**os.environ, **settings},
    )
    running = Up(process, directory)
    try:
        await running.prints("Ctrl-C stops everything")
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def sensus(*arguments: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(*SENSUS, *map(str, arguments)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=REPOSITORY,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def family(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def test_a_life_of_the_product(shared_directory: Path) -> None:
    """First start, use, a crash of each process, a second `up`, Ctrl-C, second start."""
    directory = shared_directory / "data"
    async with up(directory) as first:
        await check_login(first)
        await check_send(first, shared_directory)
        await check_alert(first)
        status, output = await sensus("up", "--data-dir", directory)
        assert status == 1
        assert f"already in use by process {first.process.pid}" in output
        await check_restarts(first)
        children = family(first.process.pid)
        first.process.send_signal(signal.SIGINT)
        assert await first.ends() == 0
        stopped = re.findall(r"(\w+) +stopped", first.output)
        assert stopped == ["gateway", "explainer", "detector", "ingest", "redis", "postgres"]
        assert not any(child.is_running() for child in children)
    async with up(directory) as second:
        assert "shown only this once" not in second.output
        answer = await log_in(second, first.password)
        assert answer.status_code == 200


async def test_nothing_is_left_when_it_is_killed_and_the_next_start_works(
    shared_directory: Path,
) -> None:
    directory = shared_directory / "data"
    async with up(directory) as killed:
        children = family(killed.process.pid)
        killed.process.kill()
        await killed.ends()
    async with up(directory):
        pass
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 30)
    assert alive == []


async def test_servers_of_the_users_own_are_used_instead(
    shared_directory: Path, postgres_dsn: str, redis_url: str
) -> None:
    own = {"SENSUS_POSTGRES_DSN": postgres_dsn, "SENSUS_REDIS_URL": redis_url}
    async with up(shared_directory / "data", **own) as running:
        assert sorted(os.listdir(running.directory)) == ["keys", "lock", "logs", "run.json"]
        assert running.run["postgres_dsn"] == ""
        assert "PostgreSQL  yours (SENSUS_POSTGRES_DSN)\n" in running.output
        assert (await log_in(running, running.password)).status_code == 200


async def test_a_redis_of_ones_own_that_is_away_is_told_at_start() -> None:
    with pytest.raises(Problem, match="Redis at SENSUS_REDIS_URL cannot be used: "):
        await check_redis("redis://127.0.0.1:1/0")


async def log_in(running: Up, password: str) -> httpx.Response:
    url = running.run["gateway_url"]
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{url}/api/v1/auth/token", auth=("admin", password))


async def check_login(running: Up) -> None:
    answer = await log_in(running, running.password)
    assert answer.status_code == 200
    files = [path for path in running.directory.rglob("*") if path.is_file()]
    secret = running.password.encode()
    assert not [
        path for path in files if path.stat().st_size < 2**20 and secret in path.read_bytes()
    ]


async def check_send(running: Up, place: Path) -> None:
    now_s = time.time()
    good = [{"metric_name": "sent", "metric_value": n, "timestamp": now_s - n} for n in range(7)]
    bad = [{**good[0], "timestamp": now_s + 3600}, {"metric_name": "sent"}]
    file = place / "samples.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in good + bad))
    status, output = await sensus("send", "--data-dir", running.directory, file)
    assert status == 1
    assert "line 8: " in output
    assert "line 9: metric_value must be a number\n" in output
    assert output.endswith("7 samples stored, 2 refused\n")


async def check_alert(running: Up) -> None:
    """An alert posted over HTTP is seen by `tail` and explained by `explain`."""
    tail = await asyncio.create_subprocess_exec(
        *(*SENSUS, "tail", "--json", "--after=0", "--data-dir", str(running.directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    await asyncio.sleep(3)
    body = high_cpu(datetime.now(UTC), 99.0)
    url, token = running.run["gateway_url"], (await log_in(running, running.password)).json()
    await send_alert(url, token["access_token"], body)
    line = json.loads(await asyncio.wait_for(tail.stdout.readline(), 20))
    assert {"name": "alertname", "value": "HighCpuUsage"} in line["alert"]["labels"]
    tail.send_signal(signal.SIGINT)
    _, errors = await tail.communicate()
    assert (tail.returncode, errors) == (130, b"go on with: sensus tail --after 0\n")
    alert_id = line["alert"]["alert_id"]
    status, output = await sensus("explain", "--data-dir", running.directory, alert_id)
    assert status == 0
    assert re.search(r"(?s)gathering .*Explanation\n  Cause: .*trace [0-9a-f]{32}\n", output)
    status, output = await sensus("explain", "--data-dir", running.directory, "nothing")
    assert (status, output) == (
        1,
        "sensus: no alert and no anomaly has the id 'nothing': give the id at the end of a line of "
        "`sensus tail`; explanations, groups and series have other ids\n",
    )


async def check_restarts(running: Up) -> None:
    for name in ("ingest", "detector", "explainer", "gateway", "redis", "postgres"):
        os.kill(pid_of(running, name), signal.SIGKILL)
        await running.prints(rf"{name} +ended +killed by SIGKILL")
        await running.prints(rf"{name} +ready")


def pid_of(running: Up, name: str) -> int:
    marks = {"redis": "redis-server", "postgres": "bin/postgres"}
    mark = marks.get(name, f"services.{name}")
    return next(
        child.pid
        for child in psutil.Process(running.process.pid).children()
        if any(part.endswith(mark) or mark in part for part in child.cmdline()[:5])
    )
