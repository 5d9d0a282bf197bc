"""The chat API that most servers share: `POST {base}/chat/completions`, answered as SSE.

Servers differ in how an answer can be bound to a form. The strictest way is tried first; a server
that refuses it is asked in the next way from then on.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

import httpx
import msgspec

from services.explainer.llm.answers import PLAIN, body_of, check_status, in_few_words, lines_of
from services.explainer.llm.provider import Endpoint, ProviderError, Usage
from services.explainer.model.prompt import SCHEMA, Prompt

_SCHEMA_NAME: Final = "explanation"
_WAYS: Final[tuple[dict[str, Any], ...]] = (
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": _SCHEMA_NAME, "strict": True, "schema": SCHEMA},
        },
        "stream_options": {"include_usage": True},
    },
    {"response_format": {"type": "json_object", "schema": SCHEMA}},
    {},
)
"""`json_object` carries the schema as llama.cpp wants it; the last way asks by words alone."""

_REFUSED: Final = frozenset({400, 415, 422, 500, 501})


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Text = msgspec.field(default_factory=_Text)
    message: _Text = msgspec.field(default_factory=_Text)
    finish_reason: str | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Tokens | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_decoder: Final = msgspec.json.Decoder(_Chunk)
_DONE: Final = b"[DONE]"
_END: Final = _Chunk(choices=[_Choice(finish_reason="stop")])
"""What `[DONE]` says, which some servers send without a reason before it."""


class OpenAI:
    """One model on one server. Remembers which way of binding the form the server took."""

    def __init__(self, *, http: httpx.AsyncClient, endpoint: Endpoint) -> None:
        """The read timeout of `http` bounds the silence between two pieces."""
        self.endpoint = endpoint
        self._http = http
        self._way = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str | Usage]:
        """See `Provider.stream`."""
        url = f"{self.endpoint.base_url}/chat/completions"
        with in_few_words():
            for way in range(self._way, len(_WAYS)):
                async with self._http.stream(
                    "POST", url, json=self._body(prompt) | _WAYS[way], headers=self._headers()
                ) as response:
                    if response.status_code in _REFUSED and way + 1 < len(_WAYS):
                        continue
                    check_status(response)
                    self._way = way
                    async with aclosing(_pieces(response)) as pieces:
                        async for piece in pieces:
                            yield piece
                    return

    def _headers(self) -> dict[str, str]:
        key = self.endpoint.key
        return PLAIN | ({"Authorization": f"Bearer {key}"} if key else {})

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "model": self.endpoint.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "stream": True,
            "temperature": 0,
            "max_tokens": self.endpoint.answer_tokens,
        }


async def _pieces(response: httpx.Response) -> AsyncGenerator[str | Usage]:
    """Pieces up to the end; a server that does not stream sends the whole at once."""
    finished = False
    async with aclosing(_chunks(response)) as chunks:
        async for chunk in chunks:
            for choice in chunk.choices[:1]:
                if said := choice.delta.content or choice.message.content:
                    yield said
                if choice.finish_reason == "length":
                    raise ProviderError("answer cut")
                finished = finished or choice.finish_reason is not None
            if chunk.usage is not None:
                told = chunk.usage
                yield Usage(input_tokens=told.prompt_tokens, output_tokens=told.completion_tokens)
    if not finished:
        raise ProviderError("answer cut")


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
    try:
        chunk = _decoder.decode(data)
    except msgspec.MsgspecError:
        raise ProviderError("broken stream") from None
    if bytes(chunk.error) != b"null":
        raise ProviderError("error of the server")
    return chunk
