"""What a killed replica held is taken over at once; what a living one holds is left to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from mesh.config import ConfigError
from sensus.notifier.v1 import notice_pb2
from services.notifier.config import Config
from services.notifier.store import Presence
from tests.ingest.valve import Valve, database_valve
from tests.notifier.conftest import Start
from tests.notifier.peers import Hook, Log

SENT = notice_pb2.NOTICE_STATE_SENT


def routing(hook: Hook) -> str:
    """One webhook."""
    return f"""
route: {{receiver: r}}
receivers: [{{name: r, webhook_configs: [{{url: '{hook.url}'}}]}}]
"""


async def test_claim_of_a_replica_that_is_gone_is_taken_over_long_before_its_lease_ends(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    notifier = await start(without=("deliveries",))
    await notifier.route(routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: len(found) == 1)
    await sql.execute(
        "UPDATE notifier.notice SET state = 'sending', attempt = 1, owner = $1, "
        "next_attempt = now() + interval '1 hour'",
        uuid4(),
    )
    notifier.begin("deliveries")
    (notice,) = await notifier.until(lambda found: [n.state for n in found] == [SENT])
    assert notice.attempt_count == 2


async def test_claim_of_a_replica_that_is_there_is_left_to_it(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    notifier = await start(without=("deliveries",))
    pool = notifier.notifier.pool
    await notifier.route(routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: len(found) == 1)
    gone, there = uuid4(), uuid4()
    async with Presence(pool).held(there) as present:
        await sql.execute(
            "UPDATE notifier.notice SET owner = $1, state = 'sending', "
            "next_attempt = now() + interval '1 hour'",
            there,
        )
        assert there not in await present.absent()
        await sql.execute("UPDATE notifier.notice SET owner = $1", gone)
        assert gone in await present.absent()
        await sql.execute("UPDATE notifier.notice SET owner = $1", there)
    async with Presence(pool).held(gone) as present, asyncio.timeout(60):
        while there not in await present.absent():  # noqa: ASYNC110 - the server sees it leave
            await asyncio.sleep(0.05)


async def test_log_of_a_replica_that_is_gone_is_followed_by_another_at_once(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    await sql.execute(
        "INSERT INTO notifier.cursor VALUES ('incidents', 0, $1, now() + interval '1 hour')",
        uuid4(),
    )
    notifier = await start()
    await notifier.route(routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT])


async def test_log_that_was_restored_is_read_again_and_nobody_is_told_twice(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    first = await start()
    await first.route(routing(hook))
    await log.tell("i1", "OPENED")
    await first.until(lambda found: [n.state for n in found] == [SENT])
    # the log of incidents is an older copy by now: it ends before the place that is kept
    await sql.execute(
        "UPDATE notifier.cursor SET cursor = 5000, owner = $1, lease_until = now()", uuid4()
    )
    second = await start()
    await log.tell("i2", "OPENED")
    await second.until(lambda found: [n.state for n in found] == [SENT, SENT])
    assert len(hook.taken) == 2


async def test_replica_is_seen_again_after_its_connection_was_lost(
    start: Start, log: Log, hook: Hook, sql: Any
) -> None:
    notifier = await start()
    await notifier.route(routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT])
    # its own: the server may not have seen yet that replicas of other tests are gone
    ended = await sql.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_locks "
        "WHERE locktype = 'advisory' AND objsubid = 2 AND mode = 'ShareLock' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND objid::bigint = hashtext(($1::uuid)::text)::bigint & 4294967295",
        notifier.notifier.owner,
    )
    assert len(ended) == 1
    await log.tell("i2", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT, SENT])
    assert len(hook.taken) == 2


@pytest.fixture
async def behind_a_valve(
    notifier_database: tuple[str, Any, str], tmp_path: Path
) -> AsyncIterator[tuple[Valve, str]]:
    """A valve in front of the database, and the DSN that leads through it."""
    async with database_valve(notifier_database[0], tmp_path) as found:
        yield found


async def test_without_its_database_it_says_when_to_ask_again_and_tells_later(
    behind_a_valve: tuple[Valve, str], start: Start, log: Log, hook: Hook
) -> None:
    cut, through = behind_a_valve
    notifier = await start(postgres_dsn=through)
    await notifier.route(routing(hook))
    await log.tell("i1", "OPENED")
    await notifier.until(lambda found: [n.state for n in found] == [SENT])
    cut.cut()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await notifier.notices()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "RetryInfo" in str(caught.value.trailing_metadata())
    await log.tell("i2", "OPENED")
    cut.open()

    async def both() -> bool:
        with suppress(grpc.aio.AioRpcError):
            return [n.state for n in await notifier.notices()] == [SENT, SENT]
        return False

    async with asyncio.timeout(60):
        while not await both():  # noqa: ASYNC110 - the service is asked
            await asyncio.sleep(0.05)
    assert [each.json["incident"]["incident_id"] for each in hook.taken] == ["i1", "i2"]


def test_lease_that_ends_before_a_delivery_does_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match="DELIVERY_LEASE_S must be above 90"):
        Config(
            postgres_dsn="",
            auth_jwks_file=tmp_path,
            auth_key_file=tmp_path,
            delivery_timeout_s=60.0,
        )
