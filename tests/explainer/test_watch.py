"""WatchExplanations: what ended, in the order of commits, resumable over replicas."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from mesh import migrations
from mesh.clients import closing
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer import metrics
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, alert
from tests.explainer.test_consumer import until, working

OFTEN = Duration(seconds=1)


@pytest.fixture
async def watched(explainer: Running) -> AsyncIterator[Running]:
    """An explainer that publishes, and takes up again what it had to put off."""
    async with working(explainer, "publisher", "jobs"):
        yield explainer


def watch(running: Running, **request: Any) -> Any:
    """An open watch, to be closed."""
    return closing(running.stub.WatchExplanations(pb.WatchExplanationsRequest(**request)))


async def ended(call: Any, count: int) -> list[pb.WatchExplanationsResponse]:
    """The next explanations, heartbeats left out."""
    got: list[pb.WatchExplanationsResponse] = []
    async with asyncio.timeout(120):
        while len(got) < count:
            frame = await call.read()
            assert frame is not grpc.aio.EOF
            if frame.WhichOneof("frame") != "heartbeat":
                got.append(frame)
    return got


def ids(frames: list[pb.WatchExplanationsResponse]) -> list[str]:
    """Which alerts the frames explain."""
    return [frame.explanation.subject.alert_id for frame in frames]


async def explained(running: Running, ingest: Ingest, *names: str) -> list[pb.Explanation]:
    """Explains alerts of these names, one after the other."""
    ingest.alerts.update({name: alert(name) for name in names})
    return [await running.result(name) for name in names]


async def test_watch_sends_what_was_stored_and_then_what_comes(
    watched: Running, ingest: Ingest
) -> None:
    (first,) = await explained(watched, ingest, "a1")
    async with watch(watched, after_cursor=0) as call:
        (stored,) = await ended(call, 1)
        del first.evidence[:]
        assert stored.explanation == first
        await explained(watched, ingest, "a2")
        assert ids(await ended(call, 1)) == ["a2"]


async def test_watch_without_a_cursor_sends_only_what_comes(
    watched: Running, ingest: Ingest
) -> None:
    await explained(watched, ingest, "a1")
    async with watch(watched, heartbeat_interval=OFTEN) as call:
        heartbeat = await call.read()
        assert heartbeat.WhichOneof("frame") == "heartbeat"
        assert heartbeat.cursor > 0
        await explained(watched, ingest, "a2")
        assert ids(await ended(call, 1)) == ["a2"]


async def test_watch_resumes_after_any_frame_without_loss_or_doubling(
    watched: Running, ingest: Ingest
) -> None:
    names = [f"a{n}" for n in range(7)]
    await explained(watched, ingest, *names)
    cursor, got = 0, list[str]()
    while len(got) < len(names):
        async with watch(watched, after_cursor=cursor) as call:
            some = await ended(call, min(3, len(names) - len(got)))
        got += ids(some)
        cursor = some[-1].cursor
    assert got == names


async def test_watch_sends_every_explanation_of_replicas_that_race(
    watched: Running, start: Start, ingest: Ingest
) -> None:
    """Cursors are given in the order of the commits: none becomes visible behind the watch."""
    other = await start()
    names = [f"r{n}" for n in range(40)]
    ingest.alerts.update({name: alert(name) for name in names})
    async with watch(watched, after_cursor=0) as call:
        work = [(watched, other)[n % 2].result(name) for n, name in enumerate(names)]
        making = asyncio.gather(*work)
        frames = await ended(call, len(names))
        await making
    cursors = [frame.cursor for frame in frames]
    assert cursors == sorted(set(cursors))
    assert sorted(ids(frames)) == sorted(names)


async def test_watch_on_another_replica_sees_the_same_log(
    watched: Running, start: Start, ingest: Ingest
) -> None:
    other = await start()
    async with working(other, "publisher"), watch(other, after_cursor=0) as call:
        await explained(watched, ingest, "a1")
        (first,) = await ended(call, 1)
    async with watch(watched, after_cursor=first.cursor) as call:
        await explained(watched, ingest, "a2")
        assert ids(await ended(call, 1)) == ["a2"]


async def test_a_revision_is_an_entry_of_its_own(watched: Running) -> None:
    await watched.result()
    await watched.result(anew=True)
    async with watch(watched, after_cursor=0) as call:
        frames = await ended(call, 2)
    assert [frame.explanation.revision for frame in frames] == [1, 2]
    assert frames[1].explanation.difference


async def test_what_is_left_out_moves_the_cursor_on(watched: Running, ingest: Ingest) -> None:
    """Of like explanations the first alone, of one state that alone."""
    first, *_, last = await explained(watched, ingest, "a1", "a2", "a3")
    groups = {first.group.group_id, last.group.group_id}
    assert groups == {first.explanation_id}
    async with watch(watched, after_cursor=0, grouped=True, heartbeat_interval=OFTEN) as call:
        assert ids(await ended(call, 1)) == ["a1"]
        after = (await call.read()).cursor
    failed = pb.EXPLANATION_STATE_FAILED
    async with watch(watched, after_cursor=0, state=failed, heartbeat_interval=OFTEN) as call:
        heartbeat = await call.read()
    assert heartbeat.WhichOneof("frame") == "heartbeat"
    assert heartbeat.cursor == after


async def test_watch_ends_with_a_draining_frame(watched: Running, ingest: Ingest) -> None:
    await explained(watched, ingest, "a1")
    async with watch(watched) as call:
        heartbeat = await call.read()
        watched.explainer.drain.begin()
        last = await call.read()
        assert (last.WhichOneof("frame"), last.cursor) == ("draining", heartbeat.cursor)
        assert await call.read() is grpc.aio.EOF
        assert await call.code() == grpc.StatusCode.OK


async def test_cancelled_watch_ends_on_the_server(watched: Running) -> None:
    async with watch(watched) as call:
        await call.read()
        assert metrics.WATCHERS._value.get() == 1
    await until(lambda: metrics.WATCHERS._value.get() == 0)


async def test_what_ended_before_there_was_a_log_is_in_it_by_its_end(
    watched: Running, ingest: Ingest
) -> None:
    """What the migration does, on rows as they were before it."""
    found = await explained(watched, ingest, "a1", "a2", "a3")
    pool = watched.explainer.pool
    await pool.execute("UPDATE explainer.explanation SET cursor = NULL")
    await pool.execute(
        "UPDATE explainer.explanation SET finish_time = finish_time - interval '1 h'"
        " WHERE explanation_id = $1",
        UUID(found[2].explanation_id),
    )
    await pool.execute("ANALYZE explainer.explanation")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(migrations.PLAN)
        await connection.execute(migration_update())
    async with watch(watched, after_cursor=0) as call:
        assert ids(await ended(call, 3)) == ["a3", "a1", "a2"]


def migration_update() -> str:
    """The statement of the migration that fills the log."""
    text = (migrations.DIRECTORY / "explainer" / "0013_log.sql").read_text()
    start = text.index("UPDATE explainer.explanation")
    return text[start : text.index(";", start)]
