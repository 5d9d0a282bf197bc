"""No more explanations than there is room for, and nothing unforeseen stops the rest."""

import asyncio
import logging
from typing import Any

import pytest

from mesh.errors import Unavailable
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store.leases import Leases
from tests.explainer.conftest import Start
from tests.explainer.peers import Ingest, OllamaServer, alert
from tests.explainer.test_language_model import says
from tests.product import eventually


def ref(alert_id: str) -> SubjectRef:
    """An alert as the consumers name it."""
    return SubjectRef(kind=SubjectKind.ALERT, id=alert_id)


async def test_explanations_asked_for_at_the_same_moment_find_no_more_room_than_there_is(
    start: Start, ingest: Ingest
) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()
    ingest.alerts |= {f"b{number}": alert(f"b{number}") for number in range(8)}
    jobs = (await start(jobs_max=2)).explainer.jobs
    answers = await asyncio.gather(
        *(jobs.open(ref(f"b{number}")) for number in range(8)), return_exceptions=True
    )
    refused = [each for each in answers if isinstance(each, BaseException)]
    assert len(jobs._task_by_owner) == 2
    assert [(type(each), each.reason) for each in refused] == [(Unavailable, "TOO_MANY_JOBS")] * 6
    held.set()
    ends = [await jobs.finished(each) for each in answers if not isinstance(each, BaseException)]
    assert len(ends) == 2
    await jobs.finished(await jobs.open(ref("b7")))


async def test_refused_and_failed_requests_give_their_room_back(
    start: Start, ingest: Ingest
) -> None:
    explainer = await start(jobs_max=1)
    begin = explainer.explainer.jobs._leases.begin

    async def away(*about: Any, **more: Any) -> Any:
        raise Unavailable("away")

    explainer.explainer.jobs._leases.begin = away  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="away"):
        await explainer.explainer.jobs.open(ref("a1"))
    explainer.explainer.jobs._leases.begin = begin  # type: ignore[method-assign]
    assert (await explainer.result()).verdict == pb.VERDICT_EXPLAINED


async def test_what_is_taken_over_leaves_no_more_running_than_there_is_room(
    start: Start, ingest: Ingest
) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()
    explainer = await start(jobs_max=2)
    jobs, leases = explainer.explainer.jobs, Leases(explainer.explainer.pool, lease_s=0.0)
    ingest.alerts |= {f"b{number}": alert(f"b{number}") for number in range(4)}
    for number in range(3):
        await leases.begin(ref(f"b{number}"), "firing", request_id=None, traceparent="")
    await asyncio.gather(jobs._adopt(), jobs.open(ref("b3")), return_exceptions=True)
    assert len(jobs._task_by_owner) == 2
    held.set()


async def test_leases_are_kept_on_after_an_unforeseen_error(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    explainer = await start(job_lease_s=1.0)
    jobs = explainer.explainer.jobs
    take_over, calls = jobs._leases.take_over, 0

    async def fails_once(limit: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError("nobody foresaw it")
        return await take_over(limit)

    jobs._leases.take_over = fails_once  # type: ignore[method-assign]
    keeping = asyncio.create_task(jobs.keep())

    async def again() -> bool | None:
        return calls >= 2 or None

    await eventually(again, what="the next look at the leases")
    assert not keeping.done()
    keeping.cancel()
    told = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [each.getMessage() for each in told] == ["unforeseen error while keeping the leases"]


async def test_unforeseen_error_while_wording_leaves_the_template_and_says_so(
    start: Start,
) -> None:
    async def fails(*about: Any) -> Any:
        raise RuntimeError("secret inside")

    def break_it(explainer: Any) -> None:
        explainer.jobs._work.asking.writer.draft = fails

    async with OllamaServer(answer=says()).serve() as provider:
        result = await (await start(llm_providers=(provider,), wrap=break_it)).result()
    assert result.verdict == pb.VERDICT_EXPLAINED
    assert result.wording.provider == "template"
    assert result.wording.degraded_reason.startswith("asking failed with internal error ")
    assert "secret" not in str(result)
