"""The turn to word a storm: who holds it, and when it passes on."""

import asyncio
import re
import time
import uuid
from contextlib import suppress
from typing import Any

import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.explainer.llm.breaker import FAILURES_MAX
from services.explainer.llm.provider import ProviderError
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store import Claims, Fate, Groups, Outcome, Prompts
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OllamaServer, alert, jumping
from tests.explainer.test_language_model import GOOD, says

UUID_FORM = r"[0-9a-f]{8}-[0-9a-f-]{27}"
KEY = "alert|critical|HighCPU"

_ENDS = """
UPDATE explainer.explanation SET state = $2, result = '', headline = '', finish_time = now()
WHERE explanation_id = $1
"""
_LEASE_ENDS = "UPDATE explainer.explanation SET lease_until = now() WHERE explanation_id = $1"


@pytest.fixture(autouse=True)
def _alike(ingest: Ingest) -> None:
    """Two alerts that are alike and do not see each other."""
    ingest.alerts["a2"] = alert("a2")

    async def none(request: Any, context: Any) -> Any:
        return ingest_pb.ListAlertsResponse()

    ingest.ListAlerts = none  # type: ignore[method-assign]


async def begun(running: Running) -> uuid.UUID:
    """An explanation that is being made, as far as the store can tell."""
    ref = SubjectRef(kind=SubjectKind.ALERT, id=str(uuid.uuid4()))
    claims = Claims(running.explainer.pool, lease_s=60.0)
    found, _ = await claims.begin(ref, "firing", request_id=None, traceparent="")
    return found


async def turn(groups: Groups, explanation_id: uuid.UUID) -> uuid.UUID:
    """Who is worded when this one asks."""
    group = await groups.join(explanation_id, KEY)
    return await groups.words(explanation_id, KEY, group.group_id)


def fared(*, used: bool, provider: str) -> Outcome:
    """An outcome of a wording."""
    return Outcome(
        prompt_id="plain@1",
        provider=provider,
        model="m",
        used=used,
        struck=0,
        duration_s=1.0,
        input_tokens=1,
        output_tokens=1,
        cost=0.0,
        cached=False,
    )


async def test_turn_stays_while_its_holder_is_made_and_passes_on_when_it_died(
    explainer: Running,
) -> None:
    """A process that was killed renews no lease."""
    groups = Groups(explainer.explainer.pool, window_s=300)
    first, second, third = [await begun(explainer) for _ in range(3)]
    assert await turn(groups, first) == first
    assert await turn(groups, second) == first
    assert await turn(groups, first) == first
    await explainer.explainer.pool.execute(_LEASE_ENDS, first)
    assert await turn(groups, second) == second
    assert await turn(groups, third) == second
    assert await turn(groups, first) == second


@pytest.mark.parametrize(
    ("outcome", "passes_on"),
    [
        (fared(used=True, provider="ollama"), False),
        (fared(used=False, provider=""), True),
        (fared(used=False, provider="ollama"), False),
    ],
    ids=["used", "no text", "struck"],
)
async def test_turn_stays_with_a_text_and_for_a_while_with_one_that_was_struck(
    explainer: Running, outcome: Outcome, passes_on: bool
) -> None:
    pool = explainer.explainer.pool
    groups = Groups(pool, window_s=300)
    first, second = await begun(explainer), await begun(explainer)
    assert await turn(groups, first) == first
    await Prompts(pool).keep(first, outcome)
    await pool.execute(_ENDS, first, "done")
    assert await turn(groups, second) == (second if passes_on else first)
    await pool.execute("UPDATE explainer.outcome SET create_time = now() - interval '61 s'")
    assert await turn(groups, second) == (first if outcome.used else second)


async def test_turn_passes_on_when_what_was_worded_failed_after_all(explainer: Running) -> None:
    pool = explainer.explainer.pool
    groups = Groups(pool, window_s=300)
    first, second = await begun(explainer), await begun(explainer)
    assert await turn(groups, first) == first
    await Prompts(pool).keep(first, fared(used=True, provider="ollama"))
    await pool.execute(_ENDS, first, "failed")
    assert await turn(groups, second) == second


@pytest.mark.parametrize(
    ("outcome", "state", "fate"),
    [
        (None, "running", Fate.ASKING),
        (fared(used=False, provider=""), "running", Fate.ASKING),
        (fared(used=True, provider="ollama"), "running", Fate.WORDED),
        (fared(used=True, provider="ollama"), "done", Fate.WORDED),
        (fared(used=False, provider="ollama"), "done", Fate.STRUCK),
        (fared(used=False, provider=""), "done", Fate.UNWORDED),
        (None, "done", Fate.UNWORDED),
        (fared(used=True, provider="ollama"), "failed", Fate.UNWORDED),
    ],
)
async def test_fate_of_a_turn_is_told(
    explainer: Running, outcome: Outcome | None, state: str, fate: Fate
) -> None:
    pool = explainer.explainer.pool
    groups, first = Groups(pool, window_s=300), await begun(explainer)
    if outcome is not None:
        await Prompts(pool).keep(first, outcome)
    if state != "running":
        await pool.execute(_ENDS, first, state)
    assert await groups.fate(first) is fate
    assert await groups.fate(uuid.uuid4()) is Fate.UNWORDED


async def test_holder_is_told_without_taking_the_turn(explainer: Running) -> None:
    groups = Groups(explainer.explainer.pool, window_s=300)
    first, second = await begun(explainer), await begun(explainer)
    group = (await groups.join(first, KEY)).group_id
    assert await groups.holder(first, KEY, group) is None
    assert await turn(groups, second) == second
    assert await groups.holder(first, KEY, group) == second
    assert await groups.holder(second, KEY, group) is None


async def burst(running: Running, ingest: Ingest, count: int) -> list[pb.Wording]:
    """How that many like alerts at the same moment are worded."""
    for number in range(count):
        ingest.alerts[f"b{number}"] = alert(f"b{number}", host=f"web-{number}")
    results = await asyncio.gather(*(running.result(f"b{number}") for number in range(count)))
    assert len({result.group.group_id for result in results}) == 1
    return [result.wording for result in results]


async def test_burst_whose_wordings_fail_stops_asking_and_points_to_no_text_of_a_model(
    start: Start, ingest: Ingest
) -> None:
    ingest.series = [jumping("cpu_usage", host="web-1")]
    ollama = OllamaServer(answer="I am sorry.")
    async with ollama.serve() as provider:
        wordings = await burst(await start(llm_providers=(provider,)), ingest, 40)
    reasons = {re.sub(UUID_FORM, "X", each.degraded_reason) for each in wordings}
    none = "like alerts are worded once: no language model worded explanation X"
    failed = "ollama: broken JSON"
    assert {failed} <= reasons <= {none, failed, "ollama: left alone after failures"}
    assert len(ollama.requests) <= FAILURES_MAX


async def test_one_of_a_burst_is_worded_where_the_first_failed(
    start: Start, ingest: Ingest
) -> None:
    class Recovering(OllamaServer):
        def chunks(self, pieces: Any) -> list[bytes]:
            self.answer = says()
            return super().chunks(pieces)

    ingest.series = [jumping("cpu_usage", host="web-1")]
    ollama = Recovering(answer="I am sorry.")
    async with ollama.serve() as provider:
        redis = "redis://127.0.0.1:1"  # keeps no failure
        explainer = await start(llm_providers=(provider,), redis_url=redis)
        wordings = await burst(explainer, ingest, 8)
    worded = [each for each in wordings if each.provider == "ollama"]
    seen = [each for each in wordings if "see explanation" in each.degraded_reason]
    assert (len(worded), len(seen), len(ollama.requests)) == (1, 6, 2)


async def test_group_takes_no_turn_while_every_model_is_left_alone(
    start: Start, ingest: Ingest
) -> None:
    def tripped(explainer: Any) -> None:
        breaker = explainer.jobs._work.words.writer._lines[0].breaker
        with suppress(ProviderError), breaker.attempt():
            raise ProviderError("too many requests (429)", retry_after_s=60.0)

    ollama = OllamaServer(answer=says())
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,), wrap=tripped)
        wordings = await burst(explainer, ingest, 8)
        reasons = {each.degraded_reason for each in wordings}
        assert reasons == {"ollama: left alone after failures"}
        other = await start(llm_providers=(provider,))
        first = await other.result()
        assert first.wording.provider == "ollama"
        last = (await explainer.result("a2")).wording.degraded_reason
    assert last == f"like alerts are worded once: see explanation {first.explanation_id}"


async def test_like_alert_does_not_wait_long_for_the_first(start: Start) -> None:
    ollama = OllamaServer(answer=says(), hang_after=3)
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        stream = asyncio.create_task(explainer.explain())
        await asyncio.wait_for(ollama.asked.wait(), 5)
        began_s = time.perf_counter()
        result = await explainer.result("a2")
        assert time.perf_counter() - began_s < 6
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
    assert result.wording.degraded_reason == (
        f"like alerts are worded once: see explanation {result.group.group_id}, "
        "which was still being worded"
    )


async def test_like_alert_tells_that_the_text_of_the_first_was_struck(start: Start) -> None:
    ollama = OllamaServer(answer=says(root_cause="payments-db is the cause of it all [E2]."))
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        first, second = await explainer.result(), await explainer.result("a2")
    assert second.wording.degraded_reason == (
        f"like alerts are worded once: the text of explanation {first.explanation_id} was struck"
    )


async def test_next_like_alert_is_worded_when_the_first_wording_failed(start: Start) -> None:
    ollama = OllamaServer(answer="I am sorry.")
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        first = await explainer.result()
        ollama.answer = says()
        forgetful = await start(llm_providers=(provider,), redis_url="redis://127.0.0.1:1")
        again = await forgetful.result("a2")
    assert first.wording.degraded_reason == "ollama: broken JSON"
    assert again.group.group_id == first.explanation_id
    assert (again.wording.provider, again.root_cause) == ("ollama", GOOD["root_cause"])


async def test_next_like_alert_is_worded_when_the_first_was_cancelled(start: Start) -> None:
    ollama = OllamaServer(answer=says(), hang_after=3)
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        stream = asyncio.create_task(explainer.explain())
        await asyncio.wait_for(ollama.asked.wait(), 5)
        (running,) = (
            await explainer.stub.ListExplanations(pb.ListExplanationsRequest())
        ).explanations
        request = pb.CancelExplanationRequest(explanation_id=running.explanation_id)
        await explainer.stub.CancelExplanation(request)
        await stream
        ollama.hang_after = None
        assert (await explainer.result("a2")).wording.provider == "ollama"
