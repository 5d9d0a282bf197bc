"""Three notifiers under kill -9: nothing is missing, at most one repetition per kill."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh import auth
from mesh.config import child_environment
from tests.databases import database
from tests.notifier.peers import RESOLVED, Hook, Log, served_hook, served_log

pytestmark = [pytest.mark.timeout(1800)]

REPLICAS = 3


class Replicas:
    """Processes of the notifier on one database; one that is killed is started again."""

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Starts one more."""
        log = (self._logs / f"notifier-{len(os.listdir(self._logs))}.log").open("wb")
        with log:
            self.running.append(
                await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "services.notifier"),
                    env=child_environment(self._environment),
                    stdout=log,
                    stderr=log,
                )
            )

    async def kill_one(self) -> None:
        """Kills one of them, and starts another in its place."""
        victim = self.running.pop(random.randrange(len(self.running)))
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        await self.start()

    async def stop(self) -> None:
        """Ends all."""
        for each in self.running:
            if each.returncode is None:
                each.kill()
            await each.wait()


@asynccontextmanager
async def drill(
    postgres: EmbeddedPostgres, template: str, directory: Path
) -> AsyncIterator[tuple[Log, Hook, Replicas, str]]:
    """A log, a hook, three replicas, and the database."""
    keys, logs = directory / "keys", directory / "logs"
    logs.mkdir()
    auth.generate_key_files(keys, ["incidents", "notifier", "gateway"])
    log = Log()
    async with (
        database(postgres.dsn, template=template) as dsn,
        served_log(log) as target,
        served_hook() as hook,
    ):
        connection = await asyncpg.connect(dsn)
        routing = f"""
route: {{receiver: r}}
receivers: [{{name: r, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""
        put = (
            "INSERT INTO notifier.routing (version, yaml, etag, author) VALUES (1, $1, 'a', 'test')"
        )
        await connection.execute(put, routing)
        await connection.close()
        environment = {
            "SENSUS_POSTGRES_DSN": dsn,
            "SENSUS_AUTH_JWKS_FILE": str(keys / "jwks.json"),
            "SENSUS_AUTH_KEY_FILE": str(keys / "notifier.pem"),
            "SENSUS_GRPC_PORT": "0",
            "SENSUS_METRICS_PORT": "0",
            "SENSUS_GATEWAY_TARGET": "off",
            "SENSUS_INCIDENTS_TARGET": target,
            "SENSUS_NOTIFIER_PRIVATE_HOSTS": "127.0.0.1",
            "SENSUS_NOTIFIER_POLL_S": "0.1",
        }
        replicas = Replicas(environment, logs)
        try:
            for _ in range(REPLICAS):
                await replicas.start()
            yield log, hook, replicas, dsn
        finally:
            await replicas.stop()


async def tell(log: Log, transitions: int) -> None:
    """Incidents that open, worsen and resolve, interleaved."""
    known = len(log.incidents)
    for number in range(known, known + transitions // 4):
        incident_id = f"i{number}"
        await log.tell(incident_id, "OPENED", severity=2)
        await log.tell(incident_id, "WORSENED", severity=3)
        await log.tell(incident_id, "UNATTENDED")
        await log.tell(incident_id, "RESOLVED", state=RESOLVED)
        await asyncio.sleep(0.02)


async def run(
    log: Log, hook: Hook, replicas: Replicas, transitions: int, kills: int
) -> Counter[str]:
    """Kills while it tells; how often each notice was taken, once all were."""
    hook.taken.clear()
    telling = asyncio.create_task(tell(log, transitions))
    for _ in range(kills):
        await asyncio.sleep(random.uniform(0.2, 1.5))
        await replicas.kill_one()
    await telling
    async with asyncio.timeout(600):
        while len({each.headers["idempotency-key"] for each in hook.taken}) < transitions:
            hook.grown.clear()
            await hook.grown.wait()
    return Counter(each.headers["idempotency-key"] for each in hook.taken)


def check(hook: Hook, taken: Counter[str], transitions: int, kills: int) -> None:
    """Nothing is missing, no more is repeated than was killed, and each incident is in order."""
    repeated = sum(count - 1 for count in taken.values())
    print(f"{transitions} transitions, {kills} kills: {repeated} repeated")  # noqa: T201
    assert len(taken) == transitions
    assert repeated <= kills
    first_seen: dict[str, list[int]] = defaultdict(list)
    for each in hook.taken:
        body = each.json
        order = first_seen[body["incident"]["incident_id"]]
        if body["transition"] not in order:
            order.append(body["transition"])
    assert all(order == sorted(order) for order in first_seen.values())
    assert all(len(order) == 4 for order in first_seen.values())


async def test_few_kills_lose_nothing_and_without_one_nothing_is_repeated(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    async with drill(postgres, migrated_template, tmp_path) as (log, hook, replicas, _):
        for kills in (0, 3):
            taken = await run(log, hook, replicas, 100, kills)
            check(hook, taken, 100, kills)


@pytest.mark.faults
async def test_two_hundred_kills_lose_nothing(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    async with drill(postgres, migrated_template, tmp_path) as (log, hook, replicas, _):
        taken = await run(log, hook, replicas, 1000, 200)
        check(hook, taken, 1000, 200)
