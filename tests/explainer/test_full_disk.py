"""A disk that is full, and full again: each alert has one explanation, which is done."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from cli.embedded.postgres import EmbeddedPostgres
from cli.processes.supervisor import Supervisor
from mesh.migrations import migrate
from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from tests.conftest import REPOSITORY
from tests.explainer.conftest import Running, Start
from tests.explainer.test_consumer import working
from tests.explainer.test_with_ingest import firing, real_ingest, writer
from tests.product import eventually
from tests.small_disk import POSTGRES, SmallDisk, small_disk

if TYPE_CHECKING:
    from sensus.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc

__all__ = ["real_ingest"]

SHORT, LONG = 6, 40


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[SmallDisk]:
    """Where the database of this test lies."""
    with small_disk(tmp_path, 256) as disk:
        yield disk


@pytest.fixture
async def fresh_dsn(disk: SmallDisk) -> AsyncIterator[str]:
    """URL of the database of both services.

    PostgreSQL ends when it cannot write its log, and cannot start before there is room again: as in
    the product it is started until it lives.
    """
    server = EmbeddedPostgres(disk.path / "postgres", settings=POSTGRES)
    supervisor = Supervisor(lambda _: None)
    try:
        await supervisor.start([server])
        await migrate(server.dsn, ["ingest", "explainer"], REPOSITORY / "migrations")
        yield server.dsn
    finally:
        await supervisor.stop()


@pytest.fixture
async def migrated_dsn(fresh_dsn: str) -> str:
    """The same."""
    return fresh_dsn


async def post_until(stop: asyncio.Event, ingest: "ingest_grpc.IngestServiceAsyncStub") -> set[str]:
    """Writes one alert after another, again until it is acknowledged; their ids."""
    ids: set[str] = set()
    while not stop.is_set():
        change = firing(int(time.time() * 1000), host=f"web-{len(ids)}")
        try:
            answer = await ingest.WriteAlerts(ingest_pb.WriteAlertsRequest(alerts=[change]))
            ids.update(answer.alert_ids)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        await asyncio.sleep(0.1)
    return ids


@pytest.mark.parametrize("times", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
async def test_each_alert_has_one_explanation(
    start: Start, disk: SmallDisk, real_ingest: str, explainer_keys: Path, times: int
) -> None:
    chance = random.Random(times)
    explainer = await start(ingest_target=real_ingest, job_lease_s=1.0)
    async with (
        writer(real_ingest, explainer_keys) as ingest,
        working(explainer, "alerts", "jobs"),
    ):
        stop = asyncio.Event()
        posting = asyncio.create_task(post_until(stop, ingest))
        for _ in range(times):
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            disk.fill()
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            disk.free()
        stop.set()
        ids = await posting

        async def all_done() -> bool | None:
            done = {each.subject.alert_id for each in await explanations(explainer, done=True)}
            return ids <= done or None

        await eventually(all_done, what="an explanation of each alert")
        found = await explanations(explainer)
    assert {each.state for each in found} == {pb.EXPLANATION_STATE_DONE}
    assert Counter(each.subject.alert_id for each in found) == Counter(ids)


async def explanations(running: Running, *, done: bool = False) -> list[pb.Explanation]:
    """All of them, or those that are done."""
    found: list[pb.Explanation] = []
    request = pb.ListExplanationsRequest(page_size=100)
    if done:
        request.state = pb.EXPLANATION_STATE_DONE
    while True:
        answer = await running.stub.ListExplanations(request)
        found += answer.explanations
        request.page_token = answer.next_page_token
        if not request.page_token:
            return found
