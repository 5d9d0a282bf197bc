"""A real llama.cpp server with random weights: it says what is true or nothing, ranks nobody."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from tests.explainer.conftest import *  # noqa: F403
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OpenAIServer, alert, jumping
from tests.explainer.test_language_model import ACT, CAUSE
from tests.peers.llama import serving

pytestmark = pytest.mark.peers

LIE = {"claims": [{**CAUSE, "suspect": "S2"}, ACT]}
NUMBER = re.compile(r"(?<![\w.\"{:-])\d+(?:\.\d+)?(?![\w:\"-])")


async def explained(start: Start, ingest: Ingest, name: str, *providers: str) -> pb.Explanation:
    """What comes of an alert that differs from the others of the test in its id only."""
    ingest.alerts = {name: alert(name)}
    explainer = await start(llm_providers=providers, like_window_s=0, llm_timeout_s=90.0)
    return await explainer.result(name)


def ranks(result: pb.Explanation) -> list[bytes]:
    """The suspects and the confidence as they go over the wire."""
    bare = pb.Explanation(confidence=result.confidence, suspects=result.suspects)
    each = [suspect.SerializeToString(deterministic=True) for suspect in result.suspects]
    return [*each, bare.SerializeToString(deterministic=True)]


def texts(result: pb.Explanation) -> tuple[str, str, str]:
    """The three texts."""
    return result.root_cause, result.mitigation, result.summary


@pytest.fixture
def others(ingest: Ingest) -> None:
    """Two more suspects, so that there is an order to change."""
    ingest.series += [
        jumping("cpu_usage", level=22.0, to=60.0, before_s=300, host="web-3"),
        jumping("cpu_usage", level=22.0, to=50.0, before_s=60, host="web-4"),
    ]


@pytest.mark.usefixtures("others")
async def test_ranks_are_the_same_without_a_model_with_a_liar_and_with_a_real_server(
    start: Start, ingest: Ingest, tmp_path: Path
) -> None:
    plain = await explained(start, ingest, "off")
    async with OpenAIServer(answer=json.dumps(LIE)).serve() as liar:
        lied_to = await explained(start, ingest, "lying", liar)
    async with serving(tmp_path, closes=True) as llama:
        real = await explained(start, ingest, "real", llama.spec(answer_tokens=2000))
    assert plain.suspects[0].entity == "web-1"
    assert ranks(plain) == ranks(lied_to) == ranks(real)
    assert llama.statuses() == [500, 200]
    assert llama.finished_an_answer


@pytest.mark.usefixtures("others")
async def test_random_weights_say_what_is_true_or_nothing(
    start: Start, ingest: Ingest, tmp_path: Path
) -> None:
    async with serving(tmp_path, closes=True) as llama:
        real = await explained(start, ingest, "real", llama.spec(answer_tokens=2000))
    assert (real.state, real.verdict) == (pb.EXPLANATION_STATE_DONE, pb.VERDICT_EXPLAINED)
    assert real.root_cause.startswith("web-1 is the most likely cause")
    by_id = {piece.evidence_id: piece for piece in real.evidence}
    for claim in real.claims:
        assert set(claim.evidence_ids) <= by_id.keys()
        figures = [f.value for id in claim.evidence_ids for f in by_id[id].figures]
        scaled = [value / size for value in figures for size in (1, 60, 3600)]
        for number in map(float, NUMBER.findall(re.sub(r"\[E\d+\]", "", claim.text))):
            assert any(abs(number - value) <= 0.02 * abs(value) for value in scaled), claim.text


@pytest.mark.usefixtures("others")
async def test_real_server_that_does_not_come_to_an_end_is_cut_and_the_ranks_stay(
    start: Start, ingest: Ingest, tmp_path: Path
) -> None:
    plain = await explained(start, ingest, "off")
    async with serving(tmp_path, closes=False) as llama:
        real = await explained(start, ingest, "real", llama.spec(answer_tokens=150))
    assert ranks(real) == ranks(plain)
    assert texts(real) == texts(plain)
    assert real.wording.degraded_reason == "openai: answer cut"
    assert llama.finished_an_answer


async def test_cancelling_stops_a_real_server_in_the_middle_of_its_answer(
    start: Start, tmp_path: Path
) -> None:
    async with serving(tmp_path, closes=False) as llama:
        explainer = await start(llm_providers=(llama.spec(answer_tokens=4000),))
        ended = await asyncio.wait_for(_cancelled_while_it_talks(explainer), 30)
        assert await llama.left_by_the_client(within_s=3)
    assert ended.state == pb.EXPLANATION_STATE_CANCELLED
    assert llama.statuses() == [500, 200]
    assert not llama.finished_an_answer


async def _cancelled_while_it_talks(explainer: Running) -> pb.Explanation:
    """Cancels while the model is asked; returns the result that the stream ends with."""
    call = explainer.stub.Explain(pb.ExplainRequest(subject=pb.Subject(alert_id="a1")))
    async for frame in call:
        if frame.stage.stage == pb.STAGE_WORDING:
            await asyncio.sleep(0.2)
            request = pb.CancelExplanationRequest(explanation_id=frame.explanation_id)
            await explainer.stub.CancelExplanation(request)
    return frame.result
