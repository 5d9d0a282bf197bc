"""Explanations live on their own: streams come and go, replicas die, each is made once."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import Unavailable, from_rpc_error
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.explanations.stream import Limits
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store.frames import Frames, OwnershipLostError
from services.explainer.store.leases import Leases
from tests.conftest import REPOSITORY
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OllamaServer, alert
from tests.explainer.test_language_model import says
from tests.properties import examples


def ask(alert_id: str = "a1", **more: Any) -> pb.ExplainRequest:
    """A request to explain an alert."""
    return pb.ExplainRequest(subject=pb.Subject(alert_id=alert_id), **more)


async def some_frames(running: Running, request: pb.ExplainRequest, count: int) -> list[Any]:
    """The first frames of a stream, which is then broken off."""
    call = running.stub.Explain(request)
    frames = []
    async for frame in call:
        if frame.sequence:
            frames.append(frame)
        if len(frames) >= count:
            break
    call.cancel()
    return frames


async def done(running: Running, explanation_id: str) -> pb.Explanation:
    """The explanation once it is finished."""
    async with asyncio.timeout(120):
        while True:
            request = pb.GetExplanationRequest(explanation_id=explanation_id)
            found = (await running.stub.GetExplanation(request)).explanation
            if found.state != pb.EXPLANATION_STATE_RUNNING:
                return found
            await asyncio.sleep(0.05)


@examples(10)
@given(cuts=st.lists(st.integers(1, 6), max_size=6), by_request=st.booleans())
async def test_resumed_streams_lose_no_frame_and_double_none(
    explainer: Running, ingest: Ingest, cuts: list[int], by_request: bool
) -> None:
    alert_id, request_id = f"a-{uuid.uuid4()}", str(uuid.uuid4()) if by_request else ""
    ingest.alerts[alert_id] = alert(alert_id)
    seen: list[pb.ExplainResponse] = []
    for cut in cuts:
        resume = ask(alert_id, request_id=request_id, resume_after_sequence=len(seen))
        seen += await some_frames(explainer, resume, cut)
    resume = ask(alert_id, request_id=request_id, resume_after_sequence=len(seen))
    seen += [frame async for frame in explainer.stub.Explain(resume) if frame.sequence]
    assert [frame.sequence for frame in seen] == list(range(1, len(seen) + 1))
    assert sum(frame.HasField("result") for frame in seen) == 1
    assert seen[-1].HasField("result")
    assert seen == await explainer.explain(alert_id)


@examples(5)
@given(cuts=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 1)), max_size=6))
async def test_streams_resumed_on_any_replica_lose_no_frame_of_a_model_that_speaks(
    start: Start, ingest: Ingest, cuts: list[tuple[int, int]]
) -> None:
    """Text of a model comes while streams break and go on elsewhere."""
    alert_id = f"a-{uuid.uuid4()}"
    ingest.alerts[alert_id] = alert(alert_id)
    async with OllamaServer(answer=says(), piece_every_s=0.02).serve() as provider:
        replicas = [await start(llm_providers=(provider,), like_window_s=0) for _ in range(2)]
        seen: list[pb.ExplainResponse] = []
        for cut, replica in cuts:
            resume = ask(alert_id, resume_after_sequence=len(seen))
            seen += await some_frames(replicas[replica], resume, cut)
        resume = ask(alert_id, resume_after_sequence=len(seen))
        seen += [frame async for frame in replicas[0].stub.Explain(resume) if frame.sequence]
    assert [frame.sequence for frame in seen] == list(range(1, len(seen) + 1))
    assert sum(frame.HasField("result") for frame in seen) == 1
    assert seen == await replicas[1].explain(alert_id)


async def test_disconnect_does_not_stop_the_work(start: Start, ingest: Ingest) -> None:
    ingest.faults.delay_s["ListAlerts"] = 0.5
    explainer = await start()
    (first,) = await some_frames(explainer, ask(), 1)
    result = await done(explainer, first.explanation_id)
    assert result.verdict == pb.VERDICT_EXPLAINED


async def test_running_explanation_is_shown_without_a_result(start: Start, ingest: Ingest) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()
    explainer = await start()
    (first,) = await some_frames(explainer, ask(), 1)
    request = pb.GetExplanationRequest(explanation_id=first.explanation_id)
    found = (await explainer.stub.GetExplanation(request)).explanation
    assert found.state == pb.EXPLANATION_STATE_RUNNING
    assert found.subject == pb.Subject(alert_id="a1")
    assert not found.HasField("finish_time")
    held.set()


async def test_quiet_streams_say_that_the_work_goes_on(start: Start, ingest: Ingest) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()

    def hurry(explainer: Any) -> None:
        explainer.jobs._following._limits = Limits(keepalive_s=0.2)

    explainer = await start(wrap=hurry)
    keepalives, last = [], None
    async for frame in explainer.stub.Explain(ask()):
        last = frame
        keepalives += [frame] if frame.HasField("keepalive") else []
        if len(keepalives) >= 2:
            held.set()
    assert {frame.sequence for frame in keepalives} == {0}
    assert last is not None
    assert last.HasField("result")


async def test_same_alert_asked_by_many_at_once_is_explained_once(
    start: Start, ingest: Ingest
) -> None:
    first, second = await start(), await start()
    await first.explain()
    asked_once = len(ingest.queries)
    ingest.alerts["a2"] = alert("a2")
    ingest.faults.delay_s["ListAlerts"] = 0.3
    answers = await asyncio.gather(
        *(running.explain("a2") for running in (first, second) for _ in range(10))
    )
    assert len(ingest.queries) == 2 * asked_once
    assert all(answer == answers[0] for answer in answers)


async def test_alert_in_another_state_is_explained_again(
    explainer: Running, ingest: Ingest
) -> None:
    firing = await explainer.result()
    ingest.alerts["a1"] = alert("a1", state=2)
    resolved = await explainer.result()
    assert resolved.explanation_id != firing.explanation_id


async def test_request_id_stands_for_its_explanation_whatever_the_state_is_now(
    explainer: Running, ingest: Ingest
) -> None:
    request_id = str(uuid.uuid4())
    firing = await explainer.result(request_id=request_id)
    ingest.alerts["a1"] = alert("a1", state=2)
    again = await explainer.result(request_id=request_id)
    assert again == firing


async def test_run_that_died_is_taken_over_and_its_frames_stand(
    start: Start, ingest: Ingest, migrated_dsn: str, redis_url: str, explainer_keys: Path
) -> None:
    """A real process, killed in the middle of an explanation that a client is reading."""
    ingest.faults.delay_s["ListAlerts"] = 60.0
    survivor = await start()
    request_id = str(uuid.uuid4())
    async with _process(survivor, migrated_dsn, redis_url, explainer_keys) as process:
        await _until(process, lambda: _is(ingest.opened))
        ingest.deliver(alert("a1"), "d1")
        await _until(process, lambda: survivor.explainer.pool.fetchval(_THREE_FRAMES))
        process.kill()
        await process.wait()
    # the time of its lease passes
    await survivor.explainer.pool.execute("UPDATE explainer.explanation SET lease_until = now()")
    stored = await survivor.explainer.pool.fetch(_FRAMES)
    ingest.faults.delay_s.clear()
    seen = await some_frames(survivor, ask(request_id=request_id), 3)
    keeping = asyncio.create_task(survivor.explainer.jobs.keep())
    try:
        rest = await survivor.explain(request_id=request_id, resume_after_sequence=3)
    finally:
        keeping.cancel()
    frames = [*seen, *(frame for frame in rest if frame.sequence)]
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert [f.SerializeToString() for f in frames[: len(stored)]] == [r["frame"] for r in stored]
    begun = [
        frame.sequence
        for frame in frames
        if frame.stage.stage == pb.STAGE_GATHERING and frame.stage.status == pb.STAGE_STATUS_STARTED
    ]
    assert begun == [1, len(stored) + 1]
    assert sum(frame.HasField("result") for frame in frames) == 1
    assert frames[-1].result.verdict == pb.VERDICT_EXPLAINED


_THREE_FRAMES = "SELECT count(*) >= 3 FROM explainer.frame"
_FRAMES = "SELECT frame FROM explainer.frame ORDER BY sequence"


async def _is(value: object) -> bool:
    return bool(value)


async def _until(
    process: asyncio.subprocess.Process, reached: Callable[[], Awaitable[bool]]
) -> None:
    async with asyncio.timeout(240):
        while not await reached():
            assert process.returncode is None, "the explainer ended by itself: see its log above"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _process(
    beside: Running, dsn: str, redis_url: str, keys: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = beside.config
    environment = os.environ | {
        "SENSUS_POSTGRES_DSN": dsn,
        "SENSUS_REDIS_URL": redis_url,
        "SENSUS_EXPLAINER_GRPC_PORT": "0",
        "SENSUS_METRICS_PORT": "0",
        "SENSUS_GATEWAY_TARGET": "off",
        "SENSUS_AUTH_JWKS_FILE": str(keys / "jwks.json"),
        "SENSUS_AUTH_KEY_FILE": str(keys / "explainer.pem"),
        "SENSUS_INGEST_TARGET": settings.ingest_target,
        "SENSUS_DETECTOR_TARGET": settings.detector_target,
        "SENSUS_GATHER_TIMEOUT_S": "50",
        "SENSUS_JOB_LEASE_S": "60",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.explainer",
        cwd=REPOSITORY,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_owner_that_was_replaced_writes_nothing_more(explainer: Running) -> None:
    leases, frames = Leases(explainer.explainer.pool, lease_s=0.0), Frames(explainer.explainer.pool)
    ref = SubjectRef(kind=SubjectKind.ALERT, id="x")
    _, old = await leases.begin(ref, "firing", request_id=None, traceparent="")
    assert old is not None
    await frames.append(old.explanation_id, old.owner, 0, [b"one"])
    (new,) = await leases.take_over(10)
    assert (new.explanation_id, new.attempt, new.last_sequence) == (old.explanation_id, 2, 1)
    with pytest.raises(OwnershipLostError):
        await frames.append(old.explanation_id, old.owner, 1, [b"two"])
    await frames.append(new.explanation_id, new.owner, 1, [b"other two"])
    assert await frames.after(new.explanation_id, 0) == ([b"one", b"other two"], False)


async def test_explanation_that_kills_its_runs_is_given_up(
    explainer: Running, ingest: Ingest
) -> None:
    ref = SubjectRef(kind=SubjectKind.ALERT, id="a1")
    leases = Leases(explainer.explainer.pool, lease_s=0.0)
    found, _ = await leases.begin(ref, "firing", request_id=None, traceparent="")
    await explainer.explainer.pool.execute("UPDATE explainer.explanation SET attempt = 5")
    keeping = asyncio.create_task(explainer.explainer.jobs.keep())
    result = await done(explainer, str(found))
    keeping.cancel()
    assert result.state == pb.EXPLANATION_STATE_FAILED
    assert result.summary == ("No explanation could be given: the work was interrupted too often.")


async def test_taken_over_subject_that_is_gone_ends_as_failed(
    explainer: Running, ingest: Ingest
) -> None:
    ref = SubjectRef(kind=SubjectKind.ALERT, id="gone")
    leases = Leases(explainer.explainer.pool, lease_s=0.0)
    found, _ = await leases.begin(ref, "firing", request_id=None, traceparent="")
    keeping = asyncio.create_task(explainer.explainer.jobs.keep())
    result = await done(explainer, str(found))
    keeping.cancel()
    assert result.summary == "No explanation could be given: the alert no longer exists."


async def test_lease_of_a_long_run_is_renewed(start: Start, ingest: Ingest) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()
    first, second = await start(job_lease_s=3.0), await start(job_lease_s=3.0)
    keeping = [asyncio.create_task(each.explainer.jobs.keep()) for each in (first, second)]
    making = asyncio.create_task(first.explain())
    renewed = "SELECT max(lease_until - create_time) > interval '6 s' FROM explainer.explanation"
    async with asyncio.timeout(120):
        while not await first.explainer.pool.fetchval(renewed):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    held.set()
    frames = [frame for frame in await making if frame.sequence]
    for each in keeping:
        each.cancel()
    begun = [f for f in frames if f.stage.status == pb.STAGE_STATUS_STARTED]
    assert len(begun) == 4


async def test_draining_ends_streams_with_retry_and_another_replica_goes_on(
    start: Start, ingest: Ingest
) -> None:
    held = ingest.faults.held["ListAlerts"] = asyncio.Event()
    first, second = await start(), await start()
    request_id = str(uuid.uuid4())
    seen = []
    error: Exception | None = None
    try:
        async for frame in first.stub.Explain(ask(request_id=request_id)):
            seen.append(frame)
            first.explainer.drain.begin()
    except grpc.aio.AioRpcError as caught:
        error = from_rpc_error(caught)
    assert isinstance(error, Unavailable)
    assert (error.reason, error.retry_after_s) == ("DRAINING", 1.0)
    await first.explainer.jobs.close()
    held.set()
    keeping = asyncio.create_task(second.explainer.jobs.keep())
    rest = await second.explain(request_id=request_id, resume_after_sequence=len(seen))
    keeping.cancel()
    frames = [*seen, *(frame for frame in rest if frame.sequence)]
    assert [frame.sequence for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1].result.verdict == pb.VERDICT_EXPLAINED


async def test_draining_lets_a_run_that_goes_on_finish(start: Start, ingest: Ingest) -> None:
    ingest.faults.delay_s["ListAlerts"] = 0.1

    def patient(explainer: Any) -> None:
        explainer.jobs._following._limits = Limits(drain_wait_s=60.0)

    explainer = await start(wrap=patient)
    frames = []
    async for frame in explainer.stub.Explain(ask()):
        frames.append(frame)
        explainer.explainer.drain.begin()
    assert frames[-1].result.verdict == pb.VERDICT_EXPLAINED


async def test_unforeseen_error_gives_a_failed_explanation_with_an_id_and_no_text(
    start: Start,
) -> None:
    def break_it(explainer: Any) -> None:
        def rank(case: object) -> object:
            raise RuntimeError("secret inside")

        object.__setattr__(explainer.jobs._work, "rank", rank)

    explainer = await start(wrap=break_it)
    result = await explainer.result()
    assert result.state == pb.EXPLANATION_STATE_FAILED
    assert result.summary.startswith("No explanation could be given: internal error ")
    assert "secret" not in str(result)
