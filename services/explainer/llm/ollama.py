"""Ollama's own chat API: NDJSON in a stream, bound to a JSON schema."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from services.explainer.llm.answers import (
    check_status,
    cut_reason,
    decoded,
    in_few_words,
    lines_of,
    usage_of,
)
from services.explainer.llm.provider import (
    Endpoint,
    Piece,
    ProviderError,
    Reasoning,
    headers_of,
    messages_of,
)
from services.explainer.model.templates import Prompt


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None


class _Chunk(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    error: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """One model on one server.

    Attributes:
        http: Its read timeout bounds the silence between two pieces.
    """

    http: httpx.AsyncClient
    endpoint: Endpoint

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """See `Provider.stream`."""
        url = f"{self.endpoint.base_url}/api/chat"
        with in_few_words():
            async with self.http.stream(
                "POST", url, json=self._body(prompt), headers=headers_of(self.endpoint)
            ) as response:
                check_status(response)
                async with aclosing(lines_of(response)) as lines:
                    async for piece in _pieces(lines):
                        yield piece

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        think = {} if self.endpoint.think is None else {"think": self.endpoint.think}
        return {
            "model": self.endpoint.model,
            "messages": messages_of(prompt),
            "stream": True,
            "format": prompt.schema,
            **think,
            "options": {
                "temperature": 0,
                "num_predict": self.endpoint.answer_tokens,
                "num_ctx": self.endpoint.context_tokens,
            },
        }


async def _pieces(lines: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    spoke = thought = False
    async for line in lines:
        chunk = decoded(_decode, line)
        if chunk.error:
            raise ProviderError("error of the server")
        if chunk.message and chunk.message.thinking:
            thought = True
            yield Reasoning()
        if chunk.message and chunk.message.content:
            spoke = True
            yield chunk.message.content
        if chunk.done:
            usage = usage_of(chunk.prompt_eval_count, chunk.eval_count)
            if chunk.done_reason == "length":
                raise ProviderError(cut_reason(spoke=spoke, thought=thought), usage=usage)
            yield usage
            return
    raise ProviderError("answer cut")
