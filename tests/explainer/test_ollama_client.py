"""The stub that stands in for Ollama is understood by Ollama's own client, and asked alike."""

from typing import Any

import pytest

from tests.explainer.conftest import Start
from tests.explainer.peers import OllamaServer
from tests.explainer.test_language_model import says

FORMAT = {"type": "object", "properties": {"claims": {"type": "array"}}}


def official() -> Any:
    """The official client."""
    return pytest.importorskip("ollama", reason="the official client is not installed")


async def by_the_official_client(server: OllamaServer) -> list[Any]:
    """All parts of an answer as the official client reads them."""
    async with server.serve() as spec:
        url = spec.removeprefix("ollama:").removesuffix("/llama3.2")
        client = official().AsyncClient(host=url)
        stream = await client.chat(
            model="llama3.2",
            messages=[
                {"role": "system", "content": "a"},
                {"role": "user", "content": "b"},
            ],
            stream=True,
            format=FORMAT,
            options={"temperature": 0, "num_predict": 800, "num_ctx": 8192},
        )
        return [part async for part in stream]


async def test_official_client_reads_the_stub_as_we_do() -> None:
    parts = await by_the_official_client(OllamaServer(answer=says()))
    assert "".join(part.message.content or "" for part in parts) == says()
    assert parts[-1].done
    assert (parts[-1].done_reason, parts[-1].prompt_eval_count, parts[-1].eval_count) == (
        "stop",
        1200,
        90,
    )


async def test_our_request_has_the_form_of_the_official_one(start: Start) -> None:
    theirs, ours = OllamaServer(answer=says()), OllamaServer(answer=says())
    await by_the_official_client(theirs)
    async with ours.serve() as provider:
        await (await start(llm_providers=(provider,))).result()
    official, own = theirs.requests[0], ours.requests[0]
    assert own.keys() <= official.keys()
    for name in ("model", "stream", "options"):
        assert own[name] == official[name]
    assert [sorted(each) for each in own["messages"]] == [["content", "role"]] * 2


async def test_error_of_the_stub_is_an_error_for_the_official_client() -> None:
    with pytest.raises(official().ResponseError) as caught:
        await by_the_official_client(OllamaServer(status=404))
    assert caught.value.status_code == 404
