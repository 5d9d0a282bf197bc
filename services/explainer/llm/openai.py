"""The chat API that most servers share: `POST {base}/chat/completions`, answered as SSE.

Servers differ in how an answer can be bound to a form. The strictest way is tried first; a server
that refuses it, and takes the same question in the next way, is asked in that one for a while.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

import httpx
import msgspec

from services.explainer.llm.answers import (
    body_of,
    check_status,
    cut_reason,
    decoded,
    in_few_words,
    lines_of,
    retry_after_s,
    usage_of,
)
from services.explainer.llm.provider import (
    Endpoint,
    Piece,
    ProviderError,
    Reasoning,
    Usage,
    headers_of,
    messages_of,
)
from services.explainer.model.templates import Prompt

_SCHEMA_NAME: Final = "explanation"
_WAYS: Final = ("json_schema", "json_object", "words")
"""Ways of binding the form, the strictest first; the last one asks by words alone."""

_REFUSED_S: Final = dict.fromkeys((400, 404, 415, 422, 501), 3600.0) | {500: 60.0}
"""How long a stricter way is left alone by the status that refused it.

That the same question was taken in another form proves that a request was wrong in its form. A 500
is also what some servers say to a schema, but it may have passed by itself.
"""


class _Text(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text | None = None
    message: _Text | None = None
    finish_reason: str | None = None

    @property
    def content(self) -> str:
        """What is said, streamed or at once."""
        parts = (part.content for part in (self.delta, self.message) if part)
        return next((said for said in parts if said), "")

    @property
    def thinks(self) -> bool:
        """Whether thoughts come beside the answer."""
        parts = (part for part in (self.delta, self.message) if part)
        return any(part.reasoning_content or part.reasoning for part in parts)


class _Tokens(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Tokens | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_decoder: Final = msgspec.json.Decoder(_Chunk)
_DONE: Final = b"[DONE]"
_END: Final = _Chunk(choices=[_Choice(finish_reason="stop")])
"""What `[DONE]` says, which some servers send without a reason before it."""


class OpenAI:
    """One model on one server. Remembers for a while which way of binding the form it took."""

    def __init__(
        self,
        *,
        http: httpx.AsyncClient,
        endpoint: Endpoint,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """The read timeout of `http` bounds the silence between two pieces.

        `now` tells seconds that never step back.
        """
        self.endpoint = endpoint
        self._http = http
        self._now = now
        self._way = 0
        self._way_until_s = 0.0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """See `Provider.stream`."""
        url = f"{self.endpoint.base_url}/chat/completions"
        refused_s: list[float] = []
        with in_few_words():
            headers = headers_of(self.endpoint)
            for via in range(self._first_way(), len(_WAYS)):
                body = self._body(prompt) | _bound(_WAYS[via], prompt)
                async with self._http.stream("POST", url, json=body, headers=headers) as response:
                    if _refuses_form(response) and via + 1 < len(_WAYS):
                        refused_s.append(_REFUSED_S[response.status_code])
                        continue
                    check_status(response)
                    if refused_s:
                        self._way, self._way_until_s = via, self._now() + min(refused_s)
                    async with aclosing(_pieces(response)) as pieces:
                        async for piece in pieces:
                            yield piece
                    return

    def _first_way(self) -> int:
        return self._way if self._now() < self._way_until_s else 0

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "model": self.endpoint.model,
            "messages": messages_of(prompt),
            "stream": True,
            "temperature": 0,
            "max_tokens": self.endpoint.answer_tokens,
        }


def _bound(via: str, prompt: Prompt) -> dict[str, Any]:
    """What binds an answer to the form; `json_object` carries the schema for llama.cpp."""
    if via == "json_schema":
        schema = {"name": _SCHEMA_NAME, "strict": True, "schema": prompt.schema}
        return {
            "response_format": {"type": via, "json_schema": schema},
            "stream_options": {"include_usage": True},
        }
    if via == "json_object":
        return {"response_format": {"type": via, "schema": prompt.schema}}
    return {}


def _refuses_form(response: httpx.Response) -> bool:
    """Whether another form may be taken; a server that says when to come back is not asked now."""
    return response.status_code in _REFUSED_S and not retry_after_s(response)


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece]:
    """Pieces up to the end; a server that does not stream sends the whole at once."""
    finished = cut = spoke = thought = False
    usage: Usage | None = None
    async with aclosing(_chunks(response)) as chunks:
        async for chunk in chunks:
            for choice in (chunk.choices or [])[:1]:
                if choice.thinks:
                    thought = True
                    yield Reasoning()
                if choice.content:
                    spoke = True
                    yield choice.content
                cut = cut or choice.finish_reason == "length"
                finished = finished or choice.finish_reason is not None
            if chunk.usage is not None:
                usage = usage_of(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    if cut or not finished:
        raise ProviderError(cut_reason(spoke=spoke, thought=cut and thought), usage=usage)
    if usage is not None:
        yield usage


async def _chunks(response: httpx.Response) -> AsyncGenerator[_Chunk]:
    if response.headers.get("content-type", "").startswith("application/json"):
        yield _decoded(await body_of(response))
        return
    async with aclosing(lines_of(response)) as lines:
        async for data in _data(lines):
            if data.strip() == _DONE:
                yield _END
                return
            yield _decoded(data)


async def _data(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What the events carry; comments, names and ids of events are let be."""
    async for line in lines:
        field, _, value = line.partition(b":")
        if line.lstrip().startswith((b"{", b"<")):
            raise ProviderError("broken stream")
        if field == b"data":
            yield value


def _decoded(data: bytes) -> _Chunk:
    chunk = decoded(_decoder.decode, data)
    if bytes(chunk.error) != b"null":
        raise ProviderError("error of the server")
    return chunk
