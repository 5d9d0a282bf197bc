"""Two of each service, one killed or stopped under load: nothing acknowledged is lost."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import asyncpg
import grpc
import httpx
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from cli.product.environment import HOST, SERVICES
from cli.product.product import Product
from mesh.auth import TokenMinter
from mesh.clients import open_channel
from sensus.detector.v1 import detector_service_pb2_grpc as detector_grpc
from sensus.explainer.v1 import explainer_service_pb2_grpc as explainer_grpc
from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from tests.databases import database
from tests.faults.replicas import BalancedTransport, Replicas, clock_offset
from tests.faults.test_kill_each_process import (
    SERIES,
    alert_until,
    all_explained,
    all_in_incidents,
    all_scored,
    all_told,
    stored,
    stored_alerts,
    write_until,
)
from tests.notifier.peers import Hook, served_hook
from tests.product import DETECTOR, EXPLAINER, INGEST, UNLIMITED, Door, eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """Who is told of every incident."""
    async with served_hook() as hook:
        yield hook


@pytest.fixture
async def replicas(
    request: pytest.FixtureRequest,
    postgres: EmbeddedPostgres,
    migrated_template: str,
    redis_server: EmbeddedRedis,
    tmp_path: Path,
) -> AsyncIterator[Replicas]:
    """Two of each service on stores that both have.

    A parameter is more settings, or how many seconds the clock of each second one is ahead.
    """
    parameter = getattr(request, "param", {})
    is_clock = isinstance(parameter, int)
    second = clock_offset(parameter, tmp_path) if is_clock and parameter else {}
    more = {} if is_clock else parameter
    settings = UNLIMITED | {"SENSUS_NOTIFIER_PRIVATE_HOSTS": HOST} | more
    async with database(postgres.dsn, template=migrated_template) as dsn:
        stores = {
            "SENSUS_POSTGRES_DSN": dsn,
            "SENSUS_REDIS_URL": redis_server.url.replace("db=0", "db=5"),
        }
        replicas = Replicas(tmp_path, stores, settings, second)
        try:
            await replicas.start()
            yield replicas
        finally:
            await replicas.stop()


@pytest.fixture
async def door(replicas: Replicas) -> AsyncIterator[Door]:
    """Every way in, balanced over the replicas by the client."""
    minter = TokenMinter.from_file(replicas.keys / "gateway.pem", "gateway")

    def token() -> str:
        return minter.mint("user:test", ["admin"], 3600)

    async with AsyncExitStack() as stack:

        async def channel(name: str, service: str) -> grpc.aio.Channel:
            opened = open_channel(
                replicas.target(name),
                service=service,
                tokens=token,
                caller="test",
                default_timeout_s=120,
            )
            return await stack.enter_async_context(opened)

        http = httpx.AsyncClient(
            transport=BalancedTransport(replicas.gateways),
            base_url=f"http://{HOST}",
            headers={"Authorization": f"Bearer {token()}"},
            timeout=60,
        )
        yield Door(
            product=cast("Product", None),
            events=[],
            http=await stack.enter_async_context(http),
            ingest=ingest_grpc.IngestServiceStub(await channel("ingest", INGEST)),
            detector=detector_grpc.DetectorServiceStub(await channel("detector", DETECTOR)),
            explainer=explainer_grpc.ExplainerServiceStub(await channel("explainer", EXPLAINER)),
        )


@pytest.mark.parametrize("replicas", [0, 90, -90], indirect=True)
async def test_one_of_two_serves_while_the_other_is_killed_and_nothing_is_lost(
    door: Door, replicas: Replicas, hook: Hook
) -> None:
    routing = f"""
route: {{receiver: drill}}
receivers: [{{name: drill, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""
    put = await door.http.put("/api/v1/routing", json={"yaml": routing})
    assert put.status_code == 200, put.text
    run, stop = f"{time.time_ns()}", asyncio.Event()
    acked: Counter[int] = Counter()
    posted: list[str] = []
    samples = asyncio.create_task(write_until(stop, door, run, acked))
    alerts = asyncio.create_task(alert_until(stop, door, f"replicas_{run}", posted))
    await eventually(lambda: reached(acked, posted, (10, 2)), what="the first acks")
    for name in SERVICES:
        victim = await replicas.kill_one(name)
        before = len(acked), len(posted)
        starting = asyncio.create_task(victim.start())
        await eventually(
            lambda before=before: reached(acked, posted, before),  # type: ignore[misc]
            what=f"acks while one of two of {name} was gone",
        )
        while_gone = not starting.done()
        await starting
        print(f"{name}: served by the other {'before' if while_gone else 'not before'} it was back")  # noqa: T201
    assert all(count > 0 for count in await replicas.written())
    stop.set()
    await asyncio.gather(samples, alerts)

    found = await stored(door, run)
    assert len(found) == SERIES
    assert all(Counter(timestamps) == acked for timestamps in found.values())
    kept = await stored_alerts(door, f"replicas_{run}")
    assert Counter(name for name, _ in kept) == Counter(posted)
    ids = {alert_id for _, alert_id in kept}
    await eventually(
        lambda: all_scored(door, len(acked) * SERIES), what="one score of every sample"
    )
    await eventually(lambda: all_explained(door, ids), what="one explanation of every alert")
    await eventually(lambda: all_in_incidents(door, ids), what="every alert in one incident")
    await eventually(lambda: all_told(door, hook), what="one notice of every incident")
    taken = Counter(each.headers["idempotency-key"] for each in hook.taken)
    assert sum(count - 1 for count in taken.values()) <= len(SERVICES)


@pytest.mark.parametrize("replicas", [{"SENSUS_INGEST_LEASE_TTL_S": "3"}], indirect=True)
async def test_a_detector_stopped_past_its_lease_scores_nothing_again(
    door: Door, replicas: Replicas
) -> None:
    """It goes on in the middle of what it did when its shards have long been another's."""
    run, stop = f"{time.time_ns()}", asyncio.Event()
    acked = Counter[int]()
    samples = asyncio.create_task(write_until(stop, door, run, acked))
    for victim in replicas.pids("detector"):
        await eventually(lambda: holders(replicas, 2), what="two detectors that hold shards")
        before = len(acked)
        os.kill(victim, signal.SIGSTOP)
        try:
            await eventually(lambda: holders(replicas, 1), what="all shards in other hands")
            await eventually(
                lambda before=before: has_grown(acked, before),  # type: ignore[misc]
                what="acks while one detector stood still",
            )
        finally:
            os.kill(victim, signal.SIGCONT)
    await eventually(lambda: holders(replicas, 2), what="two detectors that hold shards again")
    stop.set()
    await samples
    found = await stored(door, run)
    assert all(Counter(timestamps) == acked for timestamps in found.values())
    await eventually(
        lambda: all_scored(door, len(acked) * SERIES), what="one score of every sample"
    )


async def holders(replicas: Replicas, count: int) -> bool | None:
    """Whether so many detectors hold all shards between them."""
    connection = await asyncpg.connect(replicas.dsn)
    try:
        rows = await connection.fetch(
            "SELECT session_id, expires_at > now() AS is_held FROM ingest.shard_lease "
            "WHERE subscription = 'detector'"
        )
    finally:
        await connection.close()
    held = {row["session_id"] for row in rows}
    return (len(held) == count and all(row["is_held"] for row in rows)) or None


async def has_grown(acked: Counter[int], before: int) -> bool | None:
    """Whether samples were acknowledged since then."""
    return len(acked) > before + 1 or None


async def reached(acked: Counter[int], posted: list[str], before: tuple[int, int]) -> bool | None:
    """Whether both samples and alerts were acknowledged since then."""
    return (len(acked) > before[0] and len(posted) > before[1]) or None
