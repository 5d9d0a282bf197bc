"""Has the facts worded by the first language model that manages to; without one, says why."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import msgspec

from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.explanation import Text
from services.explainer.wording.facts import Facts
from services.explainer.wording.partial import StringValues
from services.explainer.wording.prompt import Prompt, prompt_of
from services.explainer.wording.provider import Provider, ProviderError

TOLD_EVERY_S: Final = 0.2

Say = Callable[[str], Awaitable[None]]

logger = logging.getLogger(__name__)


class _Answer(msgspec.Struct):
    root_cause: str
    mitigation: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Unchecked text and who wrote it; `text` is None when no model managed to, for `reason`."""

    text: Text | None = None
    provider: str = ""
    model: str = ""
    reason: str = ""


class Writer:
    """Calls language models, a bounded number at a time."""

    def __init__(self, providers: Sequence[Provider], *, within_s: float, at_once: int = 2) -> None:
        """Each provider gets `within_s`, waiting for its turn included."""
        self._providers = tuple(providers)
        self._within_s = within_s
        self._turn = asyncio.Semaphore(at_once)

    async def draft(self, facts: Facts, say: Say) -> Draft:
        """The text of the first provider that gives a whole one; `say` gets it as it comes."""
        if not self._providers:
            return Draft()
        if not facts.suspects:
            return Draft(reason="the evidence names no cause to be worded")
        reasons = []
        for provider in self._providers:
            try:
                text = await self._asked(provider, prompt_of(facts), say)
                return Draft(text=text, provider=provider.name, model=provider.model)
            except ProviderError as error:
                metrics.LLM_FAILURES.labels(provider.name, error.reason).inc()
                reasons.append(f"{provider.name}: {error.reason}")
        logger.warning("no language model worded it", extra={"reasons": reasons})
        return Draft(reason="; ".join(reasons))

    async def _asked(self, provider: Provider, prompt: Prompt, say: Say) -> Text:
        began_s = time.perf_counter()
        named = {"gen_ai.provider.name": provider.name, "gen_ai.request.model": provider.model}
        try:
            with span("ask language model", attributes=named):
                async with asyncio.timeout(self._within_s), self._turn:
                    return parsed(await _listen(provider, prompt, say))
        except TimeoutError:
            raise ProviderError("timeout") from None
        finally:
            metrics.LLM_DURATION.labels(provider.name).observe(time.perf_counter() - began_s)


def parsed(answer: str) -> Text:
    """The three texts of an answer; raw control characters and what follows the object are let be.

    Raises:
        ProviderError: It is no such object.
    """
    try:
        start = answer.index("{")
        found, _ = json.JSONDecoder(strict=False).raw_decode(answer, start)
        told = msgspec.convert(found, _Answer)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise ProviderError("broken JSON") from None
    return Text(root_cause=told.root_cause, mitigation=told.mitigation, summary=told.summary)


async def _listen(provider: Provider, prompt: Prompt, say: Say) -> str:
    """The whole answer; what it says so far is told a few times a second."""
    answer: list[str] = []
    values, pending, told_s = StringValues(), "", time.monotonic()
    async with aclosing(provider.stream(prompt)) as pieces:
        async for piece in pieces:
            answer.append(piece)
            pending += values.feed(piece)
            if pending and time.monotonic() - told_s >= TOLD_EVERY_S:
                await say(pending)
                pending, told_s = "", time.monotonic()
    if pending:
        await say(pending)
    return "".join(answer)
