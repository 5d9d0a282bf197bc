"""Language models, whichever server runs them."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol

from services.explainer.model.templates import Prompt


class ProviderError(Exception):
    """A model gave no usable text. `reason` is one of few words, for people and for metrics."""

    def __init__(
        self, reason: str, *, retry_after_s: float = 0.0, usage: "Usage | None" = None
    ) -> None:
        """Takes the reason only: what a server says is foreign text and stays out.

        `usage` is what the call cost all the same.
        """
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.usage = usage or Usage()


class NotAskedError(ProviderError):
    """This process did not ask, or not for the whole time; another one may well get an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One model on one server, as `SENSUS_LLM_PROVIDERS` names it.

    Attributes:
        name: Shown with its text and in metrics.
        base_url: Without a slash at the end; paths of the API follow it.
        key: Sent as a bearer token; "" for none. Never shown.
        context_tokens: What the model can read and write in one call.
        answer_tokens: Longest answer; a longer one is cut by the server and not used.
        think: Whether a model that can think before it answers shall; None leaves it to the model.
        input_price: Cost of a million tokens read, in any one currency; 0 when it costs nothing.
        output_price: Cost of a million tokens written.
    """

    kind: str
    name: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    context_tokens: int = 8192
    answer_tokens: int = 800
    think: bool | None = None
    input_price: float = 0.0
    output_price: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call as its server counted them."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Of both calls."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )

    def cost(self, endpoint: Endpoint) -> float:
        """What the call cost, in the currency of the prices."""
        read = self.input_tokens * endpoint.input_price
        return (read + self.output_tokens * endpoint.output_price) / 1_000_000


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The model thinks aloud beside its answer; what it thinks is not read."""


Piece = str | Reasoning | Usage


class Provider(Protocol):
    """A server with a model."""

    @property
    def endpoint(self) -> Endpoint:
        """What is asked, and what it may cost."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[Piece]:
        """The answer in pieces, as it is said, and the usage where the server tells it.

        Closing the iterator ends the call at the server.

        Raises:
            ProviderError: It failed, or the answer is not whole.
        """
        ...


def headers_of(endpoint: Endpoint) -> dict[str, str]:
    """The key, if there is one. No compression: a small answer could unpack to fill the memory."""
    key = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    return {"Accept-Encoding": "identity"} | key


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt as a conversation."""
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.user},
    ]
