"""Where a log begins to be followed: on an installation that is older, and behind a gap."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from mesh.errors import OutOfRange, translated
from sensus.core.v1 import alert_pb2, series_pb2
from sensus.detector.v1 import detector_service_pb2 as detector_pb
from sensus.incidents.v1 import incident_pb2
from sensus.incidents.v1 import incidents_service_pb2 as pb
from tests.databases import database
from tests.explainer.peers.detector import Detector, served_detector
from tests.incidents.harness import OPEN, RESOLVED, Running, running, until
from tests.ingest.harness import alert

DAY_MS = 86_400_000
CRITICAL = series_pb2.SEVERITY_CRITICAL
OVER = incident_pb2.INCIDENT_STATE_RESOLVED


@pytest.fixture
async def late(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> AsyncIterator[Running]:
    """A service that nothing follows logs for, before a test lets it."""
    redis_url = redis_server.url.replace("db=0", "db=3")
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        running(dsn, redis_url, keys, without=("leading",)) as started,
    ):
        yield started


def fires(service: Running, name: str, age_ms: int, **labels: str) -> alert_pb2.Alert:
    now = service.clock.now_ms()
    pairs = {"severity": "critical", "env": name, "service": f"{name}-shop"} | labels
    return alert(start_ms=now - age_ms, alertname=name, **pairs)


async def follows(service: Running, log: str = "alerts") -> None:
    """Lets it follow logs, until it does."""
    service.start("leading")

    async def begun() -> bool | None:
        query = "SELECT count(*) FROM incidents.cursor WHERE name = $1"
        return await service.incidents.pool.fetchval(query, log) == 1 or None

    await until(begun)


async def test_what_is_over_before_it_begins_opens_nothing(late: Running) -> None:
    now = late.clock.now_ms()
    gone = fires(late, "gone", 60_000)
    await late.write(gone, fires(late, "still", 50_000))
    labels = {each.name: each.value for each in gone.labels}
    await late.write(alert(RESOLVED, start_ms=now - 60_000, end_ms=now - 1, **labels))
    await follows(late)
    assert (await late.one("still")).state == OPEN
    every = (await late.stub.ListIncidents(pb.ListIncidentsRequest())).incidents
    assert [each.environment for each in every] == ["still"]
    await late.opened("later", "a")


async def test_what_fires_for_days_is_shown_and_nobody_is_told(late: Running) -> None:
    old = fires(late, "old", 3 * DAY_MS)
    await late.write(old, fires(late, "new", 60_000))
    await follows(late)
    shown, news = await late.one("old"), await late.one("new")
    assert (shown.state, shown.transition) == (OPEN, 0)
    assert (news.state, news.transition) == (OPEN, 1)
    labels = {each.name: each.value for each in old.labels}
    start, now = old.start_time.ToMilliseconds(), late.clock.now_ms()
    await late.write(alert(RESOLVED, start_ms=start, end_ms=now, **labels))
    await late.reaches(shown.incident_id, incident_pb2.INCIDENT_STATE_SETTLING)
    await late.later(301)
    assert (await late.reaches(shown.incident_id, OVER)).transition == 0


async def test_a_gap_of_the_log_is_on_the_timeline_of_what_is_open(late: Running) -> None:
    await follows(late)
    await late.opened("gap", "a", "b")
    found = await late.one("gap", 2)
    await late.stop("leading")
    now = late.clock.now_ms()
    members = (await late.get(found.incident_id)).members
    first = next(m for m in members if {p.name: p.value for p in m.labels}["alertname"] == "a")
    labels = {each.name: each.value for each in first.labels}
    start = first.start_time.ToMilliseconds()
    await late.write(alert(RESOLVED, start_ms=start, end_ms=max(now, start), **labels))
    # retention drops the end of it before it is read
    await late.incidents.pool.execute(
        "DELETE FROM ingest.alert_change WHERE alert_id = $1", first.member_id
    )
    late.start("leading")
    await late.write(fires(late, "after", 0))

    async def seen() -> bool | None:
        kinds = [each.kind for each in await late.events(found.incident_id)]
        return incident_pb2.EVENT_KIND_GAP in kinds or None

    await until(seen)
    after = (await late.get(found.incident_id)).incident
    assert (after.member_count, after.firing_count) == (2, 1)
    gap = [e for e in await late.events(found.incident_id) if e.kind == incident_pb2.EVENT_KIND_GAP]
    assert [each.text for each in gap] == [
        "alerts missed while the log was not read: 1 changes are gone"
    ]
    assert (await late.one("after")).state == OPEN


async def test_a_log_that_was_restored_is_read_anew_and_the_timeline_says_so(
    late: Running,
) -> None:
    await follows(late)
    await late.opened("back", "a", "b")
    found = await late.one("back", 2)
    await late.stop("leading")
    members = (await late.get(found.incident_id)).members
    # an older copy of ingest: its log ends before the place to which it was read, and has no "a"
    await late.incidents.pool.execute("UPDATE incidents.cursor SET cursor = cursor + 1000")
    lost = next(m for m in members if {p.name: p.value for p in m.labels}["alertname"] == "a")
    await late.incidents.pool.execute(
        "DELETE FROM ingest.alert WHERE alert_id = $1", lost.member_id
    )
    late.start("leading")
    await late.write(fires(late, "after-back", 0))
    assert (await late.one("after-back")).state == OPEN

    async def seen() -> list[str] | None:
        events = await late.events(found.incident_id)
        return [e.text for e in events if e.kind == incident_pb2.EVENT_KIND_GAP] or None

    assert await until(seen) == [
        "alerts were restored from an older copy: what it lacks is not known"
    ]
    after = (await late.get(found.incident_id)).incident
    assert (after.member_count, after.firing_count) == (2, 1)
    await late.write(fires(late, "later-back", 0))
    assert (await late.one("later-back")).state == OPEN


async def test_what_retention_took_of_anomalies_is_on_the_timeline_once(
    postgres: EmbeddedPostgres, migrated_template: str, redis_server: EmbeddedRedis, keys: Path
) -> None:
    """Places of anomalies are not all sent, so no hole shows: the detector says what it dropped."""
    redis_url, detector = redis_server.url.replace("db=0", "db=3"), Detector()
    async with (
        database(postgres.dsn, template=migrated_template) as dsn,
        served_detector(detector) as target,
        running(dsn, redis_url, keys, without=("leading",), detector_target=target) as service,
    ):
        await follows(service)
        found = await service.opened("dropped", "a")
        await service.stop("leading")
        detector.dropped = 9
        await service.incidents.pool.execute(
            "INSERT INTO incidents.cursor VALUES ('anomalies', 5) "
            "ON CONFLICT (name) DO UPDATE SET cursor = 5"
        )
        gap = ["anomalies missed while the log was not read: some are gone"]
        service.start("leading")

        async def told() -> bool | None:
            events = await service.events(found.incident_id)
            texts = [e.text for e in events if e.kind == incident_pb2.EVENT_KIND_GAP]
            return texts == gap or None

        await until(told)
        # who goes on behind what was dropped has missed nothing
        place = "SELECT cursor FROM incidents.cursor WHERE name = 'anomalies'"
        assert await service.incidents.pool.fetchval(place) == 9
        detector.announce(detector_pb.Anomaly(anomaly_id="n1", cursor=12, severity=CRITICAL))

        async def read() -> bool | None:
            return await service.incidents.pool.fetchval(place) == 12 or None

        await until(read)
        await service.stop("leading")
        watched = len(detector.watched_after)
        service.start("leading")

        async def again() -> bool | None:
            return len(detector.watched_after) > watched or None

        await until(again)
        assert await told()


async def test_a_watch_of_a_log_that_goes_back_is_ended(late: Running) -> None:
    await follows(late)
    await late.opened("ended", "a")
    head = await late.incidents.pool.fetchval("SELECT last_event FROM incidents.head")
    call = late.stub.WatchIncidents(pb.WatchIncidentsRequest(after_cursor=head))
    assert (await anext(aiter(call))).WhichOneof("frame") == "heartbeat"
    await late.stop("leading")
    await late.incidents.pool.execute("UPDATE incidents.head SET last_event = 0")
    with pytest.raises(OutOfRange) as caught, translated():
        async for _ in call:
            pass
    assert caught.value.reason == "CURSOR_AHEAD"
