"""The turn to word a storm: who holds it, and when it passes on."""

import asyncio
import uuid
from typing import Any

import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from services.explainer.model.subjects import SubjectKind, SubjectRef
from services.explainer.store import Claims, Groups, Outcome, Prompts
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OllamaServer, alert
from tests.explainer.test_language_model import GOOD, says

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
