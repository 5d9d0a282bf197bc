"""An explanation is cancelled wherever it runs; what is old is forgotten."""

import asyncio

import asyncpg
import pytest

from mesh.clock import SystemClock
from mesh.errors import FailedPrecondition, NotFound
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.store.records import Records
from services.explainer.store.retention import RetentionStore
from services.explainer.upkeep.retention import Retention
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OpenAIServer
from tests.explainer.test_consumer import until
from tests.explainer.test_errors import failure
from tests.explainer.test_language_model import says


async def cancel(running: Running, explanation_id: str) -> pb.Explanation:
    """Cancels it."""
    request = pb.CancelExplanationRequest(explanation_id=explanation_id)
    return (await running.stub.CancelExplanation(request)).explanation


@pytest.mark.parametrize("here", [True, False], ids=["same replica", "another replica"])
async def test_cancel_ends_the_call_of_the_model_and_every_stream(start: Start, here: bool) -> None:
    server = OpenAIServer(answer=says(), hang_after=3)
    async with server.serve() as provider:
        first = await start(llm_providers=(provider,), job_lease_s=3.0)
        other = first if here else await start()
        keeping = asyncio.create_task(first.explainer.jobs.keep())
        stream = asyncio.create_task(first.explain())
        await asyncio.wait_for(server.asked.wait(), 60)
        await asyncio.sleep(0.2)
        (running,) = (await other.stub.ListExplanations(pb.ListExplanationsRequest())).explanations
        ended = await cancel(other, running.explanation_id)
        await asyncio.wait_for(server.gone.wait(), 60)
        frames = await asyncio.wait_for(stream, 60)
        keeping.cancel()
    assert ended.state == pb.EXPLANATION_STATE_CANCELLED
    assert ended.summary == "The explanation was cancelled."
    assert await cancel(other, running.explanation_id) == ended
    ended.ClearField("group")
    assert frames[-1].result == ended
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))


async def test_cancelled_subject_can_be_explained_anew(start: Start) -> None:
    server = OpenAIServer(answer=says(), hang_after=3)
    async with server.serve() as provider:
        first = await start(llm_providers=(provider,))
        stream = asyncio.create_task(first.explain())
        await asyncio.wait_for(server.asked.wait(), 60)
        (running,) = (await first.stub.ListExplanations(pb.ListExplanationsRequest())).explanations
        await cancel(first, running.explanation_id)
        await stream
    again = await (await start()).result()
    assert again.state == pb.EXPLANATION_STATE_DONE
    assert again.explanation_id != running.explanation_id


async def test_cancelled_revision_leaves_the_finished_one_in_place(
    explainer: Running, ingest: Ingest
) -> None:
    finished = await explainer.result()
    asked = ingest.faults.calls["QuerySamples"]
    ingest.faults.held["QuerySamples"] = asyncio.Event()
    stream = asyncio.create_task(explainer.explain(anew=True))
    await until(lambda: ingest.faults.calls["QuerySamples"] > asked)
    listed = (await explainer.stub.ListExplanations(pb.ListExplanationsRequest())).explanations
    await cancel(explainer, listed[0].explanation_id)
    await stream
    assert (await explainer.result()).explanation_id == finished.explanation_id


async def test_finished_explanation_cannot_be_cancelled(explainer: Running) -> None:
    result = await explainer.result()
    request = pb.CancelExplanationRequest(explanation_id=result.explanation_id)
    error = await failure(explainer.stub.CancelExplanation(request))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "EXPLANATION_FINISHED"


async def test_unknown_explanation_cannot_be_cancelled(explainer: Running) -> None:
    request = pb.CancelExplanationRequest(explanation_id="00000000-0000-0000-0000-000000000001")
    error = await failure(explainer.stub.CancelExplanation(request))
    assert isinstance(error, NotFound)
    assert error.reason == "EXPLANATION_NOT_FOUND"


async def _aged(dsn: str, days: float) -> None:
    connection = await asyncpg.connect(dsn)
    shift = f"finish_time = finish_time - interval '{days} days'"
    await connection.execute(f"UPDATE explainer.explanation SET {shift}")
    await connection.close()


def retention(explainer: Running) -> Retention:
    """As the product runs it."""
    old = RetentionStore(explainer.explainer.pool)
    return Retention(old, explanations_days=90, frames_days=7, clock=SystemClock())


async def test_old_frames_go_and_the_result_is_still_replayed(
    explainer: Running, migrated_dsn: str
) -> None:
    frames = await explainer.explain()
    await retention(explainer).once()
    assert await explainer.explain() == frames
    await _aged(migrated_dsn, 8)
    await retention(explainer).once()
    assert await explainer.explain() == frames[-1:]
    assert await explainer.explain(resume_after_sequence=3) == frames[-1:]


async def test_old_explanations_go_with_all_that_hangs_on_them(
    explainer: Running, migrated_dsn: str
) -> None:
    result = await explainer.result()
    await _aged(migrated_dsn, 91)
    await retention(explainer).once()
    request = pb.GetExplanationRequest(explanation_id=result.explanation_id)
    assert isinstance(await failure(explainer.stub.GetExplanation(request)), NotFound)
    connection = await asyncpg.connect(migrated_dsn)
    for table in ("frame", "incident", "feedback", "request"):
        assert await connection.fetchval(f"SELECT count(*) FROM explainer.{table}") == 0
    await connection.close()
    # whoever resumes a watch before it is told that it has missed some
    store = Records(explainer.explainer.pool)
    assert await store.dropped() == await store.last() > 0


async def test_retention_goes_on_after_an_error_that_nobody_foresaw(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        async def forget_frames(self, days: float) -> int:
            raise ZeroDivisionError

    class Twice(SystemClock):
        slept = 0

        async def sleep(self, seconds: float) -> None:
            self.slept += 1
            if self.slept == 2:
                raise asyncio.CancelledError

    clock = Twice()
    worker = Retention(Broken(), explanations_days=90, frames_days=7, clock=clock)  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError):
        await worker.run()
    assert [each.getMessage() for each in caplog.records] == ["retention failed"] * 2
