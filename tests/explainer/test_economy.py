"""Language models are asked as seldom as can be: kept answers, single flight, storms."""

import asyncio
import json
import uuid
from contextlib import suppress
from typing import Any

import grpc
import msgspec
import pytest
from redis.asyncio import Redis

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.clients.ingest import alert_facts
from services.explainer.explanations import stream
from services.explainer.llm import cache
from services.explainer.llm.cache import Answer, AnswerCache, key_of
from services.explainer.llm.provider import Endpoint, NotAskedError, ProviderError
from services.explainer.model.explanation import State
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OllamaServer, alert, jumping
from tests.explainer.test_consumer import until
from tests.explainer.test_language_model import says

COUNT = 80


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Redis is late, not gone."""
    monkeypatch.setattr(cache, "_ANSWER_S", 120.0)


@pytest.fixture
def lasting_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine who has the turn to ask may be stopped for long, and is not dead."""
    monkeypatch.setattr(cache, "_TURN_S", 600.0)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """Who asked for the turn while another had it."""
    found: set[bytes] = set()
    took_turn = AnswerCache._took_turn

    async def noting(self: AnswerCache, key: str, mine: bytes) -> bool:
        took = await took_turn(self, key, mine)
        if not took:
            found.add(mine)
        return took

    monkeypatch.setattr(AnswerCache, "_took_turn", noting)
    return found


async def listed(running: Running, **wanted: Any) -> list[pb.Explanation]:
    """One page of explanations."""
    request = pb.ListExplanationsRequest(page_size=1000, **wanted)
    return list((await running.stub.ListExplanations(request)).explanations)


@pytest.mark.usefixtures("lasting_turn")
async def test_storm_of_like_alerts_asks_everything_once_and_reads_as_one_line(
    start: Start, ingest: Ingest
) -> None:
    # of no host, so that it is tied to whichever alert leads the group
    ingest.series = [jumping("cpu_usage", cluster="east")]
    storm = [
        alert_facts(alert(f"s{number}", host=f"web-{number}", cluster="east"))
        for number in range(COUNT)
    ]
    ollama = OllamaServer(answer=says(), piece_every_s=0.01)
    async with ollama.serve() as provider:
        replicas = [await start(llm_providers=(provider,)) for _ in range(2)]
        waiting = asyncio.Semaphore(8)

        async def explain(number: int) -> State:
            async with waiting:
                return await replicas[number % 2].explainer.jobs.explain(storm[number], parent="")

        states = await asyncio.gather(*map(explain, range(COUNT)))
    assert set(states) == {State.DONE}
    assert len(ollama.requests) == 1
    assert ingest.faults.calls["GetAlert"] == 0
    assert ingest.faults.calls["ListAlerts"] < COUNT / 2
    (line,) = await listed(replicas[0], grouped=True)
    assert line.group == pb.ExplanationGroup(group_id=line.explanation_id, size=COUNT)
    members = await listed(replicas[0], group_id=line.explanation_id)
    assert len(members) == COUNT
    unworded = [each for each in members if each.wording.degraded_reason]
    assert len(unworded) == COUNT - 1
    assert all(each.verdict == pb.VERDICT_EXPLAINED for each in unworded)
    reasons = {each.wording.degraded_reason for each in unworded}
    (worded,) = [each for each in members if not each.wording.degraded_reason]
    assert reasons == {f"like alerts are worded once: see explanation {worded.explanation_id}"}


async def test_what_nobody_watched_is_kept_as_its_result_alone(
    explainer: Running, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps are in the result; who asks later gets that, as the first frame."""
    monkeypatch.setattr(stream, "UNWATCHED_S", 60.0)
    await explainer.explainer.jobs.explain(alert_facts(alert("a1")), parent="")
    (only,) = await explainer.explain()
    assert (only.sequence, only.WhichOneof("frame")) == (1, "result")
    assert only.result.evidence
    assert any(piece.window.values for piece in only.result.evidence)


async def test_other_alerts_are_worded_of_their_own(start: Start, ingest: Ingest) -> None:
    ingest.alerts["b1"] = alert("b1", name="DiskFull")
    ollama = OllamaServer(answer=says())
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        first, other = await explainer.result(), await explainer.result("b1")
    assert len(ollama.requests) == 2
    assert first.group.group_id == first.explanation_id
    assert other.group.group_id == other.explanation_id
    assert len(await listed(explainer, grouped=True)) == 2


async def test_same_question_is_answered_from_the_last_hour(start: Start, ingest: Ingest) -> None:
    ingest.alerts["again"] = alert("again")
    ollama = OllamaServer(answer=says())
    async with ollama.serve() as provider:
        explainer = await start(llm_providers=(provider,), like_window_s=0)
        first, second = await explainer.result(), await explainer.result("again")
    assert len(ollama.requests) == 1
    assert (first.wording.cached, second.wording.cached) == (False, True)
    assert (first.wording.output_tokens, second.wording.output_tokens) == (90, 0)
    assert second.root_cause == first.root_cause


async def test_answer_is_kept_for_an_hour(redis_url: str) -> None:
    async with Redis.from_url(redis_url, protocol=3) as redis:
        answer, kept = await AnswerCache(redis).once("k", _says("a"), within_s=60)
        assert (json.loads(bytes(answer.form)), kept) == ("a", False)
        answer, kept = await AnswerCache(redis).once("k", _says("b"), within_s=60)
        assert (json.loads(bytes(answer.form)), kept) == ("a", True)
        assert 3500 < await redis.ttl("sensus:explainer:form:k") <= 3600
        assert not await redis.exists("sensus:explainer:form:k:turn")


@pytest.mark.usefixtures("lasting_turn")
async def test_one_of_many_replicas_asks_and_all_get_the_answer(
    redis_url: str, refused: set[bytes]
) -> None:
    asked = []

    async def ask() -> Answer:
        asked.append(1)
        await until(lambda: len(refused) == 19)
        return Answer(form=msgspec.Raw(b'"x"'))

    async with Redis.from_url(redis_url, protocol=3) as redis:
        calls = [AnswerCache(redis).once("k", ask, within_s=600) for _ in range(20)]
        answers = await asyncio.gather(*calls)
    assert len(asked) == 1
    assert {json.loads(bytes(answer.form)) for answer, _ in answers} == {"x"}
    assert sorted(kept for _, kept in answers) == [False] + [True] * 19


async def test_an_answer_that_came_between_the_look_and_the_turn_is_taken(redis_url: str) -> None:
    class Overtaken(Redis):
        async def get(self, name: str) -> Any:
            found = await super().get(name)
            if found is None:
                await AnswerCache(redis).once("k", _says("a"), within_s=60)
            return found

    async with (
        Redis.from_url(redis_url, protocol=3) as redis,
        Overtaken.from_url(redis_url, protocol=3) as late,
    ):
        answer, kept = await AnswerCache(late).once("k", _says("b"), within_s=60)
        assert (json.loads(bytes(answer.form)), kept) == ("a", True)
        assert not await redis.exists("sensus:explainer:form:k:turn")


async def test_failure_is_shared_for_a_moment_and_not_kept(redis_url: str) -> None:
    async def fails() -> Answer:
        raise ProviderError("status 500")

    async with Redis.from_url(redis_url, protocol=3) as redis:
        cache = AnswerCache(redis)
        for _ in range(2):
            with pytest.raises(ProviderError, match="status 500"):
                await cache.once("k", fails, within_s=60)
        assert 0 < await redis.ttl("sensus:explainer:form:k") <= 5


async def test_what_kept_one_replica_from_asking_is_not_told_to_the_others(redis_url: str) -> None:
    async def busy() -> Answer:
        raise NotAskedError("busy")

    async with Redis.from_url(redis_url, protocol=3) as redis:
        with pytest.raises(ProviderError, match="busy"):
            await AnswerCache(redis).once("k", busy, within_s=60)
        answer, kept = await AnswerCache(redis).once("k", _says("a"), within_s=60)
    assert (json.loads(bytes(answer.form)), kept) == ("a", False)


async def test_replica_that_leaves_a_model_alone_does_not_keep_another_from_asking(
    start: Start, ingest: Ingest
) -> None:
    ingest.alerts["again"] = alert("again")
    ollama = OllamaServer(answer=says())
    async with ollama.serve() as provider:

        def tripped(explainer: Any) -> None:
            breaker = explainer.jobs._work.asking.writer._lines[0].breaker
            with suppress(ProviderError), breaker.attempt():
                raise ProviderError("too many requests (429)", retry_after_s=60.0)

        options = {"llm_providers": (provider,), "like_window_s": 0}
        first, second = await start(wrap=tripped, **options), await start(**options)
        left_alone, asked = await first.result(), await second.result("again")
    assert left_alone.wording.degraded_reason == "ollama: left alone after failures"
    assert asked.wording.provider == "ollama"


async def test_turn_of_a_replica_that_died_passes_on(redis_url: str) -> None:
    async with Redis.from_url(redis_url, protocol=3) as redis:
        await redis.set("sensus:explainer:form:k:turn", b"dead", px=300)
        answer, kept = await AnswerCache(redis).once("k", _says("a"), within_s=60)
    assert (json.loads(bytes(answer.form)), kept) == ("a", False)


async def test_waiting_for_another_replica_and_asking_keep_to_one_deadline(
    redis_url: str, refused: set[bytes]
) -> None:
    async with Redis.from_url(redis_url, protocol=3) as redis:
        await redis.set("sensus:explainer:form:k:turn", b"dead")
        asking = asyncio.create_task(AnswerCache(redis).once("k", _hangs, within_s=1))
        await until(lambda: bool(refused))
        await redis.delete("sensus:explainer:form:k:turn")
        with pytest.raises(ProviderError, match="timeout"):
            await asking
        assert not await redis.exists("sensus:explainer:form:k:turn")


async def test_replica_that_dies_while_asking_holds_the_others_up_for_seconds_only(
    redis_url: str,
) -> None:
    lasting_ms, asked = [], asyncio.Event()

    class Noting(Redis):
        async def set(self, *about: Any, **more: Any) -> Any:
            lasting_ms.append(more["px"])
            return await super().set(*about, **more)

    async def ask() -> Answer:
        asked.set()
        return await _hangs()

    async with Noting.from_url(redis_url, protocol=3) as redis:
        asking = asyncio.create_task(AnswerCache(redis).once("k", ask, within_s=600))
        await asked.wait()
        assert lasting_ms == [3000]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert not await redis.exists("sensus:explainer:form:k:turn")


@pytest.mark.usefixtures("lasting_turn")
async def test_turn_is_kept_by_who_asks_for_long(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_RENEW_EVERY_S", 0.05)
    async with Redis.from_url(redis_url, protocol=3) as redis:
        asking = asyncio.create_task(AnswerCache(redis).once("k", _hangs, within_s=600))
        await _until_turn_lasts(redis, 0)
        await redis.pexpire("sensus:explainer:form:k:turn", 300_000)
        await _until_turn_lasts(redis, 300_000)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_answer_that_cannot_be_kept_is_given(redis_url: str) -> None:
    half = "\udc80"
    async with Redis.from_url(redis_url, protocol=3) as redis:
        for _ in range(2):
            answer, kept = await AnswerCache(redis).once("k", _says(half), within_s=60)
            assert (json.loads(bytes(answer.form)), kept) == (half, False)


def test_question_with_halves_of_characters_has_a_name() -> None:
    endpoint = Endpoint(kind="ollama", name="a", base_url="b", model="\udc80")
    assert key_of(endpoint, "plain@1", "s", "u") != key_of(endpoint, "plain@1", "su", "")


async def test_without_redis_every_question_is_asked() -> None:
    async with Redis.from_url("redis://127.0.0.1:1", protocol=3) as redis:
        answer, kept = await AnswerCache(redis).once("k", _says("a"), within_s=60)
    assert (json.loads(bytes(answer.form)), kept) == ("a", False)


async def test_kept_answer_that_cannot_be_read_is_asked_again(redis_url: str) -> None:
    async with Redis.from_url(redis_url, protocol=3) as redis:
        await redis.set("sensus:explainer:form:k", json.dumps([1]).encode())
        answer, _ = await AnswerCache(redis).once("k", _says("a"), within_s=60)
    assert json.loads(bytes(answer.form)) == "a"


async def test_group_id_that_is_none_is_refused(explainer: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(explainer, group_id="x")
    assert caught.value.details() == "group_id must be a UUID"
    assert await listed(explainer, group_id=str(uuid.uuid4())) == []


async def _until_turn_lasts(redis: "Redis", more_than_ms: int) -> None:
    async with asyncio.timeout(120):
        while await redis.pttl("sensus:explainer:form:k:turn") <= more_than_ms:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _hangs() -> Answer:
    await asyncio.Event().wait()
    raise AssertionError("nobody ends it")


def _says(text: str) -> Any:
    async def ask() -> Answer:
        return Answer(form=msgspec.Raw(json.dumps(text).encode()))

    return ask
