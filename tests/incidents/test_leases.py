"""One replica groups at a time; a holder that lost the lease writes nothing; the next goes on."""

from pathlib import Path

import pytest

from mesh.clock import SystemClock
from mesh.postgres import open_pool
from services.incidents.correlator import Settings
from services.incidents.keeper.grouping import Grouping
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import Change, Kind, Severity
from services.incidents.store.lease import LeaseStore
from services.incidents.store.transaction import LeaseLost
from tests.incidents.harness import running, until
from tests.ingest.harness import alert


def change(name: str, at_ms: int) -> Change:
    return Change(
        member_id=name,
        kind=Kind.ALERT,
        fingerprint=name,
        labels={"alertname": name, "service": "s", "env": "lease"},
        severity=Severity.CRITICAL,
        start_ms=at_ms,
    )


async def test_a_holder_that_lost_its_lease_writes_nothing(migrated_dsn: str) -> None:
    clock, times = SystemClock(), Times()
    now_ms = clock.now_ms()
    async with open_pool(migrated_dsn, application_name="test") as pool:
        leases = LeaseStore(pool, lease_s=0.0)
        first = await leases.hold("one")
        assert first is not None
        old = Grouping(pool, clock, Settings(), times, ("one", first))
        await old.changes("alerts", 1, [change("a", now_ms)])
        second = await leases.hold("two")
        assert second == first + 1
        with pytest.raises(LeaseLost):
            await old.changes("alerts", 2, [change("b", now_ms)])
        new = Grouping(pool, clock, Settings(), times, ("two", second))
        await new.changes("alerts", 2, [change("b", now_ms)])
        rows = await pool.fetch("SELECT member_id, incident_id FROM incidents.member")
        assert {row["member_id"] for row in rows} == {"a", "b"}
        # what the first one knew of the burst, the second one knows
        assert len({row["incident_id"] for row in rows}) == 1
        assert (await leases.cursors()) == {"alerts": 2}


async def test_who_holds_the_lease_keeps_it_from_others(migrated_dsn: str) -> None:
    async with open_pool(migrated_dsn, application_name="test") as pool:
        leases = LeaseStore(pool, lease_s=60.0)
        fence = await leases.hold("one")
        assert fence is not None
        assert await leases.hold("two") is None
        assert await leases.hold("one") == fence
        await leases.release("one", fence)
        assert await leases.hold("two") == fence + 1


async def test_a_second_replica_answers_and_goes_on_when_the_first_is_gone(
    migrated_dsn: str, redis_url: str, keys: Path
) -> None:
    async with running(migrated_dsn, redis_url, keys) as second:
        async with running(migrated_dsn, redis_url, keys) as first:
            found = await first.opened("lease-env", "a")
            seen = (await second.get(found.incident_id)).incident
            assert seen.event_no >= found.event_no
        await second.write(
            alert(
                start_ms=second.clock.now_ms(),
                env="lease-env",
                service="lease-env-shop",
                severity="critical",
                alertname="b",
            )
        )

        async def grouped() -> bool | None:
            listed: list[object] = list(await second.listed("lease-env"))
            count: int = await second.incidents.pool.fetchval(
                "SELECT count(*) FROM incidents.member"
            )
            return (bool(listed) and count == 2) or None

        await until(grouped)
