"""What the correlator knows is kept with each batch: its successor groups as it would have."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from mesh.postgres import open_pool
from mesh.selector import parse
from services.incidents.correlator import Settings
from services.incidents.correlator.rules import Rule
from services.incidents.keeper.grouping import Grouping
from services.incidents.lifecycle.times import Times
from services.incidents.model.change import Change, Kind, Severity
from services.incidents.store.knowledge import load
from services.incidents.store.lease import LeaseStore
from tests.databases import database
from tests.ingest.harness import TestClock

RULES = [Rule(name="jobs", selector=parse('{job!=""}'), group_by=("job",))]
BATCHES, SIZE = 12, 25


def batches(seed: int, now_ms: int) -> list[list[Change]]:
    """Alerts of some environments, services and jobs that begin, in storms and alone, and end."""
    draw = random.Random(seed)
    at_ms, firing, made = now_ms, list[Change](), list[list[Change]]()
    for batch in range(BATCHES):
        changes: list[Change] = []
        for each in range(SIZE):
            at_ms += draw.choice((0, 5, 900, 20_000, 90_000))
            if firing and draw.random() < 0.3:
                over = firing.pop(draw.randrange(len(firing)))
                changes.append(
                    Change(
                        member_id=over.member_id,
                        kind=Kind.ALERT,
                        fingerprint=over.fingerprint,
                        labels=over.labels,
                        severity=over.severity,
                        start_ms=over.start_ms,
                        end_ms=at_ms,
                    )
                )
                continue
            labels = {"env": f"e{draw.randrange(4)}", "service": f"s{draw.randrange(6)}"}
            if draw.random() < 0.2:
                labels["job"] = f"j{draw.randrange(3)}"
            begun = Change(
                member_id=f"{batch}-{each}",
                kind=Kind.ALERT,
                fingerprint=f"f{draw.randrange(40)}",
                labels=labels,
                severity=Severity(draw.randrange(1, 4)),
                start_ms=at_ms,
            )
            firing.append(begun)
            changes.append(begun)
        made.append(changes)
    return made


@asynccontextmanager
async def grouped(
    postgres: EmbeddedPostgres, template: str, work: list[list[Change]], *, anew: bool
) -> AsyncIterator[tuple[Any, Grouping]]:
    """Groups all batches by one holder, or each by a new one; the pool and the last holder."""
    async with (
        database(postgres.dsn, template=template) as dsn,
        open_pool(dsn, application_name="test") as pool,
    ):
        clock = TestClock()
        fence = await LeaseStore(pool, lease_s=3600).hold("test")
        holder: Grouping | None = None
        for number, changes in enumerate(work, 1):
            if holder is None or anew:
                lease = ("test", fence or 0)
                holder = Grouping(pool, clock, Settings(), Times(), lease)
                holder.rules = RULES
            await holder.changes("alerts", number, changes)
        assert holder is not None
        yield pool, holder


@pytest.mark.parametrize("seed", range(4))
async def test_successors_group_as_one_holder_would_have(
    postgres: EmbeddedPostgres, migrated_template: str, seed: int
) -> None:
    work = batches(seed, TestClock().now_ms())
    query = "SELECT member_id, incident_id, reason FROM incidents.member ORDER BY member_id"
    async with (
        grouped(postgres, migrated_template, work, anew=False) as (one, _),
        grouped(postgres, migrated_template, work, anew=True) as (many, _),
    ):
        expected = [tuple(row) for row in await one.fetch(query)]
        assert len({row[1] for row in expected}) > 10
        assert [tuple(row) for row in await many.fetch(query)] == expected


async def test_what_is_kept_is_what_is_known(
    postgres: EmbeddedPostgres, migrated_template: str
) -> None:
    clock = TestClock()
    work = batches(7, clock.now_ms())
    async with grouped(postgres, migrated_template, work, anew=False) as (pool, holder):
        settings = Settings()
        kept = await load(pool, clock.now_ms(), settings.reopen_ms, settings.memory_ms)
        known = holder._state
        assert kept.bursts == known.bursts
        assert kept.bursts
        assert kept.environments == known.environments
        assert kept.rule_groups == known.rule_groups
        assert kept.rule_groups
        marks = await pool.fetch("SELECT DISTINCT incident_id FROM incidents.burst_mark")
        assert {row["incident_id"] for row in marks} == known.bursts.keys()


async def test_what_an_older_version_kept_is_taken_over(
    postgres: EmbeddedPostgres, migrated_template: str
) -> None:
    body = """{"bursts": {"i-1": {"incident_id": "i-1", "environment": "prod", "first_ms": 1,
        "last_ms": 2, "size": 2, "times": [1, 2], "newest_ms": 2, "services": ["shop"],
        "fingerprints": ["f"]}}, "rule_groups": {"r": {"incident_id": "i-2", "last_ms": 5}},
        "alerts": {"count": 1.0, "at_ms": 1}, "quiet_ms": {"count": 1.0, "at_ms": 1},
        "since_ms": 1, "seen_ms": 2, "busy_until_ms": 3, "left_alone_ms": 1}"""
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        open_pool(dsn, application_name="test") as pool,
    ):
        await pool.execute("INSERT INTO incidents.correlator (body) VALUES ($1)", body.encode())
        state = await load(pool, 10, 1000, 1000)
        assert state.bursts["i-1"].services == {"shop"}
        assert state.environments["prod"] == {"i-1": state.bursts["i-1"]}
        assert state.rule_groups["r"].incident_id == "i-2"
        assert (state.touched_bursts, state.touched_groups) == ({"i-1"}, {"r"})
