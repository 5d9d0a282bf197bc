"""How an answer is bound to a form, and odd things that servers say."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.llm.answers import check_status
from services.explainer.llm.openai import OpenAI
from services.explainer.llm.provider import Endpoint, ProviderError, Usage
from services.explainer.model.templates import Prompt
from tests.explainer.conftest import Start
from tests.explainer.peers import OllamaServer, OpenAIServer
from tests.explainer.test_language_model import says
from tests.explainer.test_providers import worded

ENDPOINT = Endpoint(kind="openai", name="a", base_url="http://h/v1", model="m")
PROMPT = Prompt(system="s", user="u", schema={})
SAID: list[dict[str, Any]] = [{"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}]}]


class Scripted:
    """Answers with these statuses in turn, 200 when they are used up; notes the forms."""

    def __init__(
        self, *statuses: int, chunks: list[dict[str, Any]] = SAID, retry_after: str = ""
    ) -> None:
        """An answer of status 200 says `chunks`, any other when to come back."""
        self.retry_after = retry_after
        self.statuses = list(statuses)
        self.chunks = chunks
        self.forms: list[str] = []
        self.now_s = 0.0
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        self.model = OpenAI(http=http, endpoint=ENDPOINT, now=lambda: self.now_s)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The next answer."""
        form = json.loads(request.content).get("response_format", {})
        self.forms.append(form.get("type", "none"))
        status = self.statuses.pop(0) if self.statuses else 200
        events = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in self.chunks)
        headers = {"content-type": "text/event-stream"}
        if status != 200:
            headers["retry-after"] = self.retry_after
        return httpx.Response(status, content=_streamed(events), headers=headers)

    async def ask(self) -> list[str | Usage]:
        """One call."""
        return [piece async for piece in self.model.stream(PROMPT)]


async def _streamed(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.mark.parametrize(
    ("status", "left_alone_s"), [(400, 3600), (404, 3600), (422, 3600), (500, 60)]
)
async def test_form_that_was_refused_is_tried_again_after_a_while(
    status: int, left_alone_s: float
) -> None:
    """A 500 may have passed by itself: soon; any other says what the server can do: later."""
    server = Scripted(status)
    await server.ask()
    server.now_s = left_alone_s - 1
    await server.ask()
    server.now_s = left_alone_s
    await server.ask()
    assert server.forms == ["json_schema", "json_object", "json_object", "json_schema"]


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503])
async def test_status_that_has_nothing_to_do_with_the_form_ends_the_call(status: int) -> None:
    server = Scripted(status)
    with pytest.raises(ProviderError, match=rf"\({status}\)$"):
        await server.ask()
    await server.ask()
    assert server.forms == ["json_schema", "json_schema"]


async def test_server_that_refuses_every_form_is_asked_in_the_strictest_next_time() -> None:
    server = Scripted(400, 400, 400)
    with pytest.raises(ProviderError, match=r"the request was refused \(400\)"):
        await server.ask()
    await server.ask()
    assert server.forms == ["json_schema", "json_object", "none", "json_schema"]


@pytest.mark.parametrize("status", [400, 500])
async def test_server_that_says_when_to_come_back_is_not_asked_in_another_form(
    status: int,
) -> None:
    server = Scripted(status, retry_after="7")
    with pytest.raises(ProviderError) as caught:
        await server.ask()
    assert caught.value.retry_after_s == 7.0
    assert server.forms == ["json_schema"]


@pytest.mark.parametrize(
    "empty",
    [
        {"choices": None},
        {},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": None}, "message": None}]},
    ],
)
async def test_chunk_that_says_nothing_is_let_be(empty: dict[str, Any]) -> None:
    server = Scripted(chunks=[empty, *SAID, empty])
    assert await server.ask() == ["x"]


async def test_tokens_that_cannot_be_are_bounded() -> None:
    usage = {"usage": {"prompt_tokens": 10**30, "completion_tokens": None}}
    server = Scripted(chunks=[*SAID, usage])
    assert await server.ask() == ["x", Usage(input_tokens=2**31 - 1, output_tokens=0)]


async def test_unforeseen_error_of_a_provider_is_one_of_its_failures(start: Start) -> None:
    """The next provider is asked."""

    def break_it(explainer: Any) -> None:
        first = explainer.jobs._work.asking.writer._lines[0].provider
        first.endpoint = dataclasses.replace(first.endpoint, key="\udc80")

    bad, good = OpenAIServer(answer=says()), OllamaServer(answer=says())
    async with bad.serve() as first, good.serve() as second:
        explainer = await start(llm_providers=(first, second), wrap=break_it)
        assert (await explainer.result()).wording.provider == "ollama"


async def test_huge_token_counts_do_not_harm_the_explanation(start: Start) -> None:
    class Boasting(OllamaServer):
        def chunks(self, pieces: Any) -> list[bytes]:
            return [each.replace(b"1200", b"9" * 40) for each in super().chunks(pieces)]

    result = await worded(start, Boasting(answer=says()))
    assert result.state == pb.EXPLANATION_STATE_DONE
    assert result.wording.input_tokens == 2**31 - 1


def wait_s(told: str) -> float:
    """What a server's Retry-After comes to."""
    with pytest.raises(ProviderError) as caught:
        check_status(httpx.Response(429, headers={"retry-after": told}))
    return caught.value.retry_after_s


@pytest.mark.parametrize(
    ("told", "comes_to_s"),
    [
        ("7", 7.0),
        ("1.5", 1.5),
        ("100000", 300.0),
        ("inf", 300.0),
        ("nan", 0.0),
        ("-3", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 0.0),
        ("Sun, 06 Nov 9994 08:49:37 GMT", 300.0),
        ("Sun, 99 Nov 99999999999999 08:49:37 GMT", 0.0),
    ],
)
def test_time_to_wait_is_read_in_every_form_and_bounded(told: str, comes_to_s: float) -> None:
    assert wait_s(told) == comes_to_s


def test_time_to_wait_may_be_told_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=40)
    assert wait_s(format_datetime(at, usegmt=True)) == pytest.approx(40, abs=5)
