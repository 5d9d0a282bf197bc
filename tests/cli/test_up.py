"""`sensus up` as people use it: start, use, break, stop, start again."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from cli.commands.up import up as start_up
from cli.demo.webhook import high_cpu, send_alert
from cli.problem import Problem, command_text
from cli.product.product import check_redis
from mesh.auth import generate_key_files
from tests.databases import execute
from tests.product import eventually

REPOSITORY = Path(__file__).resolve().parents[2]
SENSUS = [sys.executable, "-c", "from cli.main import app; app()"]
NAMES = ("gateway", "ingest", "detector", "explainer", "incidents", "notifier", "topology")
FREE = [f"--{name}-port=0" for name in NAMES]
UP = [*SENSUS, "up", *FREE, "--metrics-base-port=0"]

pytestmark = pytest.mark.e2e


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

    async def prints(self, pattern: str, *, within_s: float = 300) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The processes that are killed, and those that are stopped, one after another."""

    killed: Sequence[str]
    silent: Sequence[str]


SHORT = Faults(killed=("gateway", "postgres"), silent=("redis",))
LONG = Faults(
    killed=(
        "agent",
        "ingest",
        "detector",
        "explainer",
        "incidents",
        "notifier",
        "topology",
        "gateway",
        "redis",
        "postgres",
    ),
    silent=("ingest", "redis", "postgres"),
)


@pytest.mark.parametrize(
    "faults",
    [pytest.param(SHORT, id="short"), pytest.param(LONG, id="long", marks=pytest.mark.long)],
)
async def test_a_life_of_the_product(shared_directory: Path, faults: Faults) -> None:
    """Start, use, crashes, a second `up`, kill -9, start, Ctrl-C."""
    directory = shared_directory / "data"
    generate_key_files(directory / "keys", ["ingest", "gateway"])  # as an earlier version did
    key = (directory / "keys/ingest.pem").read_bytes()
    async with up(directory) as first:
        assert (directory / "keys/ingest.pem").read_bytes() == key
        if os.geteuid() == 0:
            check_account(first)
        await check_login(first)
        await check_agent(first)
        await check_send(first, shared_directory)
        await check_alert(first)
        status, output = await sensus("up", "--data-dir", directory)
        assert status == 1
        assert f"already in use by process {first.process.pid}" in output
        await check_restarts(first, faults.killed)
        await check_silences(first, faults.silent)
        children = family(first.process.pid)
        first.process.kill()
        await first.ends()
    async with up(directory) as second:
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, 120)
        assert alive == []
        assert "shown only this once" not in second.output
        answer = await log_in(second, first.password)
        assert answer.status_code == 200
        children = family(second.process.pid)
        second.process.send_signal(signal.SIGINT)
        assert await second.ends() == 0
        stopped = re.findall(r"(\w+) +stopped", second.output)
        answering = ["topology", "notifier", "incidents", "explainer", "detector", "ingest"]
        assert stopped == ["agent", "gateway", *answering, "redis", "postgres"]
        assert not any(child.is_running() for child in children)


def check_account(running: Up) -> None:
    """As root the children are a plain user, and it alone reads their keys."""
    users = {child.username() for child in psutil.Process(running.process.pid).children()}
    assert len(users) == 1
    assert "root" not in users
    kept = running.directory / "keys/ingest.pem"
    assert kept.stat().st_uid != 0
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent.stat().st_uid == 0  # or a service could plant a link for root to follow
    assert kept.parent.stat().st_mode & 0o027 == 0


async def test_servers_of_the_users_own_are_used_instead(
    shared_directory: Path, postgres_dsn: str, redis_url: str
) -> None:
    await execute(postgres_dsn, "CREATE ROLE theirs SUPERUSER LOGIN PASSWORD 'secret'")
    dsn = postgres_dsn.replace("sensus@", "theirs:secret@")
    own = {"SENSUS_POSTGRES_DSN": dsn, "SENSUS_REDIS_URL": redis_url}
    async with up(shared_directory / "data", **own) as running:
        kept = ["agent", "keys", "lock", "logs", "run.json"]
        assert sorted(os.listdir(running.directory)) == kept
        assert running.run["postgres_dsn"] == ""
        assert "PostgreSQL  yours (SENSUS_POSTGRES_DSN)\n" in running.output
        assert (await log_in(running, running.password)).status_code == 200


def test_only_the_agent_can_be_left_out() -> None:
    with pytest.raises(Problem, match="--without detector: only agent can be left out"):
        start_up(without=["detector"])


async def test_a_redis_of_ones_own_that_is_away_is_told_at_start() -> None:
    with pytest.raises(Problem, match="Redis at SENSUS_REDIS_URL cannot be used: "):
        await check_redis("redis://127.0.0.1:1/0")


async def log_in(running: Up, password: str) -> httpx.Response:
    url = running.run["gateway_url"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.post(f"{url}/api/v1/auth/token", auth=("admin", password))


async def check_login(running: Up) -> None:
    answer = await log_in(running, running.password)
    assert answer.status_code == 200
    files = [path for path in running.directory.rglob("*") if path.is_file()]
    secret = running.password.encode()
    assert not [
        path for path in files if path.stat().st_size < 2**20 and secret in path.read_bytes()
    ]


async def check_agent(running: Up) -> None:
    """A fresh installation has something to look at: this machine."""
    token = (await log_in(running, running.password)).json()["access_token"]
    async with httpx.AsyncClient(trust_env=False, base_url=running.run["gateway_url"]) as client:

        async def series() -> list | None:
            answer = await client.get(
                "/api/v1/series",
                params={"selector": "node_load1"},
                headers={"Authorization": f"Bearer {token}"},
            )
            return answer.json()["series"] or None

        (found,) = await eventually(series, what="this machine's load")
    assert {"name": "job", "value": "node"} in found["labels"]


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
    posting = asyncio.create_task(post_alerts(running))
    alert = await asyncio.wait_for(first_alert(tail.stdout), 300)
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    assert {"name": "alertname", "value": "HighCpuUsage"} in alert["labels"]
    tail.send_signal(signal.SIGINT)
    _, errors = await tail.communicate()
    again = command_text("sensus", "tail", "--data-dir", running.directory, "--after", 0)
    assert (tail.returncode, errors.decode()) == (130, f"go on with: {again}\n")
    alert_id = alert["alert_id"]
    status, output = await sensus("explain", "--all", "--data-dir", running.directory, alert_id)
    assert status == 0
    assert re.search(r"(?s)Evidence\n.*Explanation\n  Cause: .*trace [0-9a-f]{32}\n", output)


async def first_alert(lines: asyncio.StreamReader) -> dict:
    """The first alert; an anomaly of this machine or the incident of the alert may come before."""
    async for line in lines:
        if alert := json.loads(line).get("alert"):
            return alert
    pytest.fail("tail ended before it showed an alert")


async def post_alerts(running: Up) -> None:
    """One a second: nobody knows when `tail` has started on a busy machine."""
    url, token = running.run["gateway_url"], (await log_in(running, running.password)).json()
    while True:
        await send_alert(url, token["access_token"], high_cpu(datetime.now(UTC), 99.0))
        await asyncio.sleep(1)


async def check_restarts(running: Up, killed: Sequence[str]) -> None:
    for name in killed:
        os.kill(pid_of(running, name), signal.SIGKILL)
        await running.prints(rf"{name} +ended +killed by SIGKILL")
        await running.prints(rf"{name} +ready")


async def check_silences(running: Up, silent: Sequence[str]) -> None:
    """A stopped process lives and answers nobody."""
    for name in silent:
        os.kill(pid_of(running, name), signal.SIGSTOP)
        await running.prints(rf"{name} +silent +no answer for \d+ s, stopped; killing")
        await running.prints(rf"{name} +ready")


def pid_of(running: Up, name: str) -> int:
    marks = {"redis": "valkey-server", "postgres": "bin/postgres"}
    mark = marks.get(name, f"services.{name}")
    return next(
        child.pid
        for child in psutil.Process(running.process.pid).children()
        if any(part.endswith(mark) or mark in part for part in child.cmdline()[:5])
    )
