"""Ollama's own chat API: NDJSON in a stream, bound to a JSON schema."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx
import msgspec

from services.explainer.wording.prompt import SCHEMA, Prompt
from services.explainer.wording.provider import ProviderError

ANSWER_BYTES_MAX: Final = 1024 * 1024
_LINE_BYTES_MAX: Final = 256 * 1024


class _Message(msgspec.Struct):
    content: str = ""


class _Chunk(msgspec.Struct):
    message: _Message = msgspec.field(default_factory=_Message)
    done: bool = False
    done_reason: str = ""
    error: str = ""


_decode = msgspec.json.Decoder(_Chunk).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """One model on one server.

    Attributes:
        http: Shared client; its read timeout bounds the silence between two pieces.
        tokens_max: Longest answer; a longer one is cut by the server and not used.
    """

    http: httpx.AsyncClient
    base_url: str
    model: str
    tokens_max: int = 800
    name: str = "ollama"

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str]:
        """See `Provider.stream`."""
        try:
            async with self.http.stream(
                "POST", f"{self.base_url}/api/chat", json=self._body(prompt)
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise ProviderError(f"status {response.status_code}")
                async with aclosing(_lines(response)) as lines:
                    async for piece in _pieces(lines):
                        yield piece
        except httpx.TimeoutException as error:
            raise ProviderError("timeout") from error
        except httpx.HTTPError as error:
            raise ProviderError("unreachable") from error

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": prompt.user},
            ],
            "stream": True,
            "format": SCHEMA,
            "options": {"temperature": 0, "num_predict": self.tokens_max},
        }


async def _pieces(lines: AsyncIterator[bytes]) -> AsyncIterator[str]:
    async for line in lines:
        try:
            chunk = _decode(line)
        except msgspec.MsgspecError:
            raise ProviderError("broken stream") from None
        if chunk.error:
            raise ProviderError("error of the server")
        if chunk.message.content:
            yield chunk.message.content
        if chunk.done:
            if chunk.done_reason == "length":
                raise ProviderError("answer cut")
            return
    raise ProviderError("answer cut")


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes]:
    rest, total = b"", 0
    async for data in response.aiter_bytes():
        total += len(data)
        *whole, rest = (rest + data).split(b"\n")
        if total > ANSWER_BYTES_MAX or len(rest) > _LINE_BYTES_MAX:
            raise ProviderError("answer too large")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest
