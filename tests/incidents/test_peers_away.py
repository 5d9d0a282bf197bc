"""What is away comes back: nothing is lost, nothing is said twice, and callers hear when to ask."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.databases import database
from tests.incidents.harness import OPEN, Running, running
from tests.ingest.harness import alert
from tests.ingest.valve import database_valve, tcp_valve

CURSOR = "SELECT cursor FROM incidents.cursor WHERE name = 'alerts'"


@pytest.fixture
async def redis_url(redis_server: EmbeddedRedis) -> str:
    return redis_server.url.replace("db=0", "db=3")


def fires(service: Running, env: str, name: str) -> Any:
    now = service.clock.now_ms()
    labels = {"severity": "critical", "env": env, "service": f"{env}-shop", "alertname": name}
    return alert(start_ms=now, **labels)


async def test_without_its_database_it_says_when_to_ask_again_and_goes_on(
    postgres: EmbeddedPostgres, migrated_template: str, redis_url: str, keys: Path, tmp_path: Path
) -> None:
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        database_valve(dsn, tmp_path) as (cut, through),
        running(dsn, redis_url, keys, postgres_dsn=through) as service,
    ):
        env = service.env()
        found = await service.opened(env, "a")
        cut.cut()
        for ask in (
            service.stub.ListIncidents(pb.ListIncidentsRequest()),
            service.stub.Acknowledge(pb.AcknowledgeRequest(incident_id=found.incident_id)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "RetryInfo" in str(caught.value.trailing_metadata())
        await service.write(fires(service, env, "b"))
        cut.open()
        after = await service.one(env, 2)
        assert (after.incident_id, after.state, after.transition) == (found.incident_id, OPEN, 1)


async def test_what_came_while_ingest_was_away_is_taken_in_once(
    postgres: EmbeddedPostgres, migrated_template: str, redis_url: str, keys: Path
) -> None:
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys, without=("leading",)) as source,
        tcp_valve("127.0.0.1", source.ingest.port) as (cut, port),
        running(dsn, redis_url, keys, ingest_target=f"127.0.0.1:{port}") as service,
    ):
        env = service.env()
        await service.write(fires(service, env, "a"))
        await service.one(env)
        # what it read at its start comes once more on the stream
        await service.read_all()
        before = await service.incidents.pool.fetchval(CURSOR)
        cut.cut()
        await source.write(*(fires(service, env, f"b{number}") for number in range(20)))
        assert await service.incidents.pool.fetchval(CURSOR) == before
        cut.open()
        assert (await service.one(env, 21)).member_count == 21


async def test_changes_that_are_read_twice_change_nothing(
    postgres: EmbeddedPostgres, migrated_template: str, redis_url: str, keys: Path
) -> None:
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys) as service,
    ):
        env = service.env()
        found = await service.opened(env, "a", "b")
        before = await service.kinds(found.incident_id)
        reached = await service.incidents.pool.fetchval(CURSOR)
        await service.stop("leading")
        await service.incidents.pool.execute(
            "UPDATE incidents.cursor SET cursor = 0 WHERE name = 'alerts'"
        )
        service.start("leading")
        last = service.env()
        await service.opened(last, "z")
        assert await service.incidents.pool.fetchval(CURSOR) > reached
        after = (await service.get(found.incident_id)).incident
        assert (after.member_count, after.transition) == (2, 1)
        assert await service.kinds(found.incident_id) == before
