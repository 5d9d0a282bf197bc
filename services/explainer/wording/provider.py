"""Language models, whichever server runs them."""

from collections.abc import AsyncGenerator
from typing import Protocol

from services.explainer.wording.prompt import Prompt


class ProviderError(Exception):
    """A model gave no usable text. `reason` is one of few words, for people and for metrics."""

    def __init__(self, reason: str) -> None:
        """Takes the reason only: what a server says is foreign text and stays out."""
        super().__init__(reason)
        self.reason = reason


class Provider(Protocol):
    """A server with a model."""

    @property
    def name(self) -> str:
        """Name of the provider, shown with its text."""
        ...

    @property
    def model(self) -> str:
        """Name of the model."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[str]:
        """The answer in pieces, as it is said. Closing the iterator ends the call at the server.

        Raises:
            ProviderError: It failed, or the answer is not whole.
        """
        ...
