"""Servers with the shared chat API, several providers, breakers, guards and secrets."""

import asyncio
import json
import logging
from typing import Any
from uuid import UUID

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mesh.config import ConfigError, describe, load, named_secret
from mesh.wire import OWN_CONNECTIONS
from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.config import Config
from services.explainer.llm.provider import Endpoint, Usage
from services.explainer.llm.specs import endpoints_of
from services.explainer.model.templates import Template, pick
from services.explainer.wiring import FULL_NAME
from tests.explainer.conftest import Running, Start
from tests.explainer.peers import Ingest, OllamaServer, OpenAIServer, alert, jumping
from tests.explainer.test_language_model import CLAIMED, kinds, says
from tests.product import eventually

LOCAL = frozenset({"127.0.0.1"})


async def worded(start: Start, server: OllamaServer, **options: Any) -> pb.Explanation:
    """The result when this server words it."""
    async with server.serve() as provider:
        return await (await start(llm_providers=(provider,), **options)).result()


async def test_text_of_an_openai_server_is_used_with_its_tokens_and_cost(start: Start) -> None:
    server = OpenAIServer(answer=says(), options=";name=fast;cost=0.5/2")
    result = await worded(start, server)
    assert kinds(result) == CLAIMED
    assert result.wording == pb.Wording(
        provider="fast",
        model="org/model-1",
        prompt_id="plain@2",
        input_tokens=1200,
        output_tokens=90,
    )
    (request,) = server.requests
    assert request["response_format"]["type"] == "json_schema"
    assert request["stream_options"] == {"include_usage": True}
    assert (request["model"], request["max_tokens"]) == ("org/model-1", 800)


@pytest.mark.parametrize("refusal_status", [400, 422, 500])
async def test_server_that_refuses_a_form_is_asked_in_the_next_one_and_remembered(
    start: Start, ingest: Ingest, refusal_status: int
) -> None:
    server = OpenAIServer(answer=says(), refuses=("json_schema",), refusal=refusal_status)
    ingest.alerts["a2"] = alert("a2", name="OtherAlert")
    async with server.serve() as provider:
        explainer = await start(llm_providers=(provider,))
        assert (await explainer.result()).wording.provider == "openai"
        await explainer.result("a2")
    forms = [request.get("response_format", {}).get("type") for request in server.requests]
    assert forms == ["json_schema", "json_object", "json_object"]
    assert server.requests[1]["response_format"]["schema"]["required"]


async def test_server_that_knows_no_form_is_asked_by_words_alone(start: Start) -> None:
    server = OpenAIServer(answer=says(), refuses=("json_schema", "json_object"), refusal=400)
    assert (await worded(start, server)).wording.provider == "openai"
    assert "response_format" not in server.requests[-1]
    assert "stream_options" not in server.requests[-1]


async def test_server_that_gives_no_reason_for_its_end_is_understood(start: Start) -> None:
    server = OpenAIServer(answer=says(), done_reason=None)
    assert (await worded(start, server)).wording.provider == "openai"


async def test_server_that_does_not_stream_is_understood(start: Start) -> None:
    server = OpenAIServer(answer=says(), whole=True, content_type="application/json")
    assert (await worded(start, server)).wording.provider == "openai"


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (OpenAIServer(status=500), "its server failed (500)"),
        (OpenAIServer(status=404), "the model or the address is not known there (404)"),
        (OpenAIServer(status=401), "the key was refused (401)"),
        (OpenAIServer(status=429), "too many requests (429)"),
        (OpenAIServer(status=403), "the key was refused (403)"),
        (OpenAIServer(status=451), "the request was refused (451)"),
        (OpenAIServer(status=204), "its server gave no answer (204)"),
        (
            OpenAIServer(raw=b'data: {"choices": [{"delta": {"content": "\xff"}}]}\n\n'),
            "broken stream",
        ),
        (OpenAIServer(raw=b'data: {"x": ' + b"[" * 9000 + b"\n\n"), "broken stream"),
        (
            OpenAIServer(raw=b'{"choices": ["\xff"]}', content_type="application/json"),
            "broken stream",
        ),
        (OpenAIServer(status=307), "its address points elsewhere (307)"),
        (OpenAIServer(answer=says(), cut_after=4), "unreachable"),
        (OpenAIServer(answer=says(), done_reason="length"), "answer cut"),
        (OpenAIServer(answer=says()[:70]), "broken JSON"),
        (OpenAIServer(answer='{"verdict": "fine"}'), "schema ignored"),
        (OpenAIServer(raw=b"data: {oops\n\n"), "broken stream"),
        (OpenAIServer(raw=b'{"error": "no"}\n'), "broken stream"),
        (OpenAIServer(raw=b'data: {"error": {"message": "no"}}\n\n'), "error of the server"),
        (OpenAIServer(raw=b"data: [DONE]\n\n"), "empty answer"),
        (OpenAIServer(raw=b": nothing\n\n"), "answer cut"),
        (OpenAIServer(answer="x" * 2_000_000, piece_chars=50_000), "answer too large"),
        (OpenAIServer(raw=b"x" * 2_000_000, content_type="application/json"), "answer too large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_template_stands_and_says_why_when_the_server_fails(
    start: Start, server: OpenAIServer, reason: str
) -> None:
    server.gone, server.asked = asyncio.Event(), asyncio.Event()
    result = await worded(start, server)
    wording = result.wording
    assert (wording.provider, wording.prompt_id) == ("template", "plain@2")
    assert wording.degraded_reason == f"openai: {reason}"
    assert result.verdict == pb.VERDICT_EXPLAINED


async def test_server_that_hangs_is_left_and_sees_it(start: Start) -> None:
    server = OpenAIServer(answer=says(), hang_after=3)
    result = await worded(start, server, llm_timeout_s=3.0)
    assert result.wording.degraded_reason == "openai: timeout"
    await asyncio.wait_for(server.gone.wait(), 60)


async def test_key_is_sent_and_never_logged(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_LLM_KEY", "sk-very-secret")
    server = OpenAIServer(answer=says(), options=";key=MY_LLM_KEY")
    assert (await worded(start, server)).wording.provider == "openai"
    assert "authorization: bearer sk-very-secret" in server.heads[0].lower()
    told = [record.getMessage() + str(record.__dict__) for record in caplog.records]
    assert not [line for line in told if "sk-very-secret" in line]


def test_key_is_in_no_text_about_an_endpoint() -> None:
    endpoint = Endpoint(kind="openai", name="a", base_url="b", model="m", key="sk-very-secret")
    assert "sk-very-secret" not in repr(endpoint)


def test_missing_key_is_told_by_the_name_of_its_variable() -> None:
    with pytest.raises(ConfigError, match="NO_SUCH_KEY is not set"):
        endpoints_of(
            ["openai:https://h.example/v1/m;key=NO_SUCH_KEY"],
            private_hosts=LOCAL,
            secret=named_secret,
        )


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("openai:https://h.example/m", "write it like openai:https"),
        ("openai:https://h.example/v1/", "write it like openai:https"),
        ("openai:https://u:p@h.example/v1/m", "put no user or password into an address"),
        ("openai:https://h.example/v1/m;color=red", "option 1 after the address is not known"),
        ("openai:https://h.example/v1/m;name=a;name=", "option 2 after the address is not known"),
        ("openai:https://h.example/v1/m;name=<b>x</b>", "name: give at most 64 of the letters"),
        ("openai:https://h.example/v1/m;name=a\nERROR b", "name: give at most 64"),
        (f"openai:https://h.example/v1/m;name={'n' * 65}", "name: give at most 64"),
        ("openai:https://h.example/v1/m;context=many", "context: give a number of tokens"),
        ("openai:https://h.example/v1/m;cost=1", "cost: give the prices"),
        ("ollama:http://10.1.2.3:11434/m", "its address is private and not allowed"),
        ("ollama:http://[::ffff:10.1.2.3]:11434/m", "its address is private and not allowed"),
        ("ollama:http://169.254.169.254/m", "its address is never allowed"),
        ("ollama:http://[::1%25lo]/m", "its address is never allowed"),
        ("ollama:http://[bad/x", "an address cannot be read (Invalid IPv6 URL): check its host"),
        ("ollama:http://[bad]/x", "an address cannot be read"),
        ("ollama:http://h:many/x", "an address cannot be read"),
        ("ollama:http://h:99999/x", "an address cannot be read"),
        ("openai:https://h.example/v1/m;cost=nan/1", "cost: give prices that are numbers"),
        ("openai:https://h.example/v1/m;cost=1/inf", "cost: give prices that are numbers"),
        ("openai:https://h.example/v1/m;cost=-1/1", "cost: give prices that are numbers"),
        ("openai:https://h.example/v1/m;context=2048;answer=4096", "answer: leave at least 1024"),
        ("openai:https://h.example/v1/m;answer=8192", "give at most 7168"),
        (f"openai:https://h.example/v1/m;context={'9' * 5000}", "at most 999999999"),
    ],
)
def test_provider_that_cannot_be_used_is_refused_at_start(spec: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        endpoints_of([spec], private_hosts=LOCAL, secret=str)
    assert told in str(caught.value)


SECRET = "sk-live-abc123"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (f"openai:https://h.example/v1/m;key={SECRET}", "key is no name of a variable"),
        (f"openai:https://h.example/v1/m;{SECRET}", "option 1 after the address is not known"),
        (f"openai:https://h.example/v1/m;{SECRET}=x", "option 1 after the address is not known"),
        (f"openai:https://h.example/v1/m;name={SECRET}!", "name: give at most 64"),
        (f"openai:https://h.example/v1/m?api_key={SECRET}", "key=NAME_OF_A_VARIABLE"),
        (f"openai:https://h.example/v1/m#{SECRET}", "key=NAME_OF_A_VARIABLE"),
        (f"openai:https://{SECRET}@h.example/v1/m", "put no user or password into an address"),
        (f"openai:https://:{SECRET}@h.example/v1/m", "put no user or password into an address"),
        (f"openai:https://h.example:{SECRET}/v1/m", "an address cannot be read: check its host"),
        (f"openai:https://u\u2100:{SECRET}@h.example/v1/m", "an address cannot be read"),
        (SECRET, "a provider is not usable: write it like"),
    ],
)
def test_key_in_the_wrong_place_is_refused_and_not_repeated(spec: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        endpoints_of([spec], private_hosts=LOCAL, secret=named_secret)
    assert told in str(caught.value)
    assert SECRET not in str(caught.value)


def test_settings_of_providers_are_not_in_the_log_at_the_start() -> None:
    environ = {
        "SENSUS_POSTGRES_DSN": "postgresql://db/sensus",
        "SENSUS_REDIS_URL": "redis://cache",
        "SENSUS_AUTH_JWKS_FILE": "jwks.json",
        "SENSUS_AUTH_KEY_FILE": "explainer.pem",
        "SENSUS_LLM_PROVIDERS": f"openai:https://h.example/v1/m?api_key={SECRET},x;key={SECRET}",
    }
    assert SECRET not in str(describe(load(Config, environ, prefix="EXPLAINER")))


async def test_kind_host_and_model_of_each_provider_are_logged(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("MY_LLM_KEY", SECRET)
    await start(llm_providers=("openai:https://h.example:8443/v1/org/m;key=MY_LLM_KEY",))
    (told,) = [each for each in caplog.records if each.getMessage() == "language models"]
    assert told.__dict__["providers"] == ["openai h.example:8443 org/m"]


def test_base_of_an_openai_address_may_lie_deeper() -> None:
    (endpoint,) = endpoints_of(
        ["openai:https://h.example/api/v1/a/b"], private_hosts=LOCAL, secret=str
    )
    assert (endpoint.base_url, endpoint.model) == ("https://h.example/api/v1", "a/b")


async def test_provider_that_keeps_failing_is_left_alone(start: Start, ingest: Ingest) -> None:
    bad, good = OpenAIServer(status=503), OllamaServer(answer=says())
    async with bad.serve() as first, good.serve() as second:
        explainer = await start(llm_providers=(first, second), like_window_s=0)
        for number in range(5):
            ingest.alerts[f"b{number}"] = alert(f"b{number}", name=f"Alert{number}")
            await _failed_then_good(explainer, f"b{number}")
    assert len(bad.requests) == 3
    assert len(good.requests) == 5


async def _failed_then_good(explainer: Running, alert_id: str) -> None:
    assert (await explainer.result(alert_id)).wording.provider == "ollama"


async def test_prompt_keeps_to_the_context_of_the_model(start: Start, ingest: Ingest) -> None:
    ingest.series += [
        jumping(f"queue_{number}_depth", level=5, to=80, host=f"{'h' * 60}-{number}")
        for number in range(40)
    ]
    server = OllamaServer(answer=says(), options=";context=2048;answer=500")
    await worded(start, server)
    (request,) = server.requests
    size = sum(len(message["content"]) for message in request["messages"])
    assert size <= (2048 - 500) * 3
    facts = json.loads(request["messages"][1]["content"])
    assert "E2" in [piece["id"] for piece in facts["evidence"]]
    assert len(facts["evidence"]) < 20
    assert request["options"] == {"temperature": 0, "num_predict": 500, "num_ctx": 2048}


def test_cost_is_that_of_both_directions() -> None:
    endpoint = Endpoint(
        kind="openai", name="a", base_url="", model="m", input_price=0.5, output_price=2.0
    )
    assert Usage(input_tokens=1_000_000, output_tokens=500_000).cost(endpoint) == 1.5


def test_templates_are_drawn_by_weight_and_the_same_for_the_same_explanation() -> None:
    templates = [
        Template(name="a", version=1, text="", weight=1.0),
        Template(name="b", version=1, text="", weight=3.0),
    ]
    drawn = [pick(templates, UUID(int=number)).name for number in range(4000)]
    assert 0.22 < drawn.count("a") / 4000 < 0.28
    assert drawn == [pick(templates[::-1], UUID(int=number)).name for number in range(4000)]


async def test_health_of_the_models_is_told_under_a_name_of_its_own(
    start: Start, ingest: Ingest
) -> None:
    async with OpenAIServer(status=503).serve() as bad:
        explainer = await start(llm_providers=(bad,), like_window_s=0)
        assert await _model_health(explainer) is True
        for number in range(3):
            ingest.alerts[f"h{number}"] = alert(f"h{number}", name=f"Alert{number}")
            await explainer.result(f"h{number}")

        async def down() -> bool | None:
            return await _model_health(explainer) is False or None

        await eventually(down, what="the word of the models' health")
        assert await _model_health(explainer, FULL_NAME) is True
    assert await _model_health(await start()) is None


async def _model_health(running: Running, name: str = "llm") -> bool | None:
    """As the gateway asks for it."""
    async with grpc.aio.insecure_channel(running.target, OWN_CONNECTIONS) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(request)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            return None
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
