"""Has the facts worded by the first language model that manages to; without one, says why."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from mesh.errors import Unavailable
from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.llm.breaker import Breaker
from services.explainer.llm.cache import Answer, Answers, NoAnswers, key_of
from services.explainer.llm.provider import NotAskedError, Provider, ProviderError, Usage
from services.explainer.model.explanation import Text
from services.explainer.model.prompt import Prompt
from services.explainer.model.templates import Template
from services.explainer.wording.answer import TEXT_CHARS_MAX, read
from services.explainer.wording.facts import Facts
from services.explainer.wording.partial import StringValues, WholeWords, WithoutThoughts
from services.explainer.wording.prompt import prompt_of

TOLD_EVERY_S: Final = 0.2

_TEXTS: Final = 3

Say = Callable[[str], Awaitable[None]]

_NO_USAGE: Final = Usage()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Unchecked text and who wrote it; `text` is None when no model managed to, for `reason`.

    Attributes:
        prompt_id: Template it was asked with; "" when no model was asked.
        duration_s: From the first question to the text or the last failure.
        usage: Tokens of the call that gave the text; none for an answer that was kept.
    """

    text: Text | None = None
    provider: str = ""
    model: str = ""
    reason: str = ""
    prompt_id: str = ""
    duration_s: float = 0.0
    usage: Usage = _NO_USAGE
    cost: float = 0.0
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A provider and whether it is well."""

    provider: Provider
    breaker: Breaker


class Writer:
    """Calls language models, a bounded number at a time."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        within_s: float,
        at_once: int = 2,
        answers: Answers | None = None,
    ) -> None:
        """Each provider gets `within_s`, waiting for its turn included."""
        self._lines = [_Line(provider=each, breaker=Breaker()) for each in providers]
        self._within_s = within_s
        self._turns = asyncio.Semaphore(at_once)
        self._answers = answers or NoAnswers()

    @property
    def has_models(self) -> bool:
        """Whether any language model is configured."""
        return bool(self._lines)

    @property
    def is_left_alone(self) -> bool:
        """Whether every language model, if there is any, is left alone after failures."""
        return self.has_models and all(line.breaker.is_open for line in self._lines)

    async def check(self) -> None:
        """Raises `Unavailable` while every language model is left alone after failures."""
        if self.is_left_alone:
            raise Unavailable("every language model is left alone after failures")

    async def draft(self, facts: Facts, template: Template, say: Say) -> Draft:
        """The text of the first provider that gives a whole one; `say` gets it as it comes."""
        began_s = time.perf_counter()
        reasons = []
        for line in self._lines:
            try:
                return await self._worded(line, facts, template, say)
            except ProviderError as error:
                name = line.provider.endpoint.name
                metrics.LLM_FAILURES.labels(name, error.reason).inc()
                reasons.append(f"{name}: {error.reason}")
        if reasons:
            logger.warning("no language model worded it", extra={"reasons": reasons})
        return Draft(
            reason="; ".join(reasons),
            prompt_id=template.id if reasons else "",
            duration_s=time.perf_counter() - began_s,
        )

    async def _worded(self, line: _Line, facts: Facts, template: Template, say: Say) -> Draft:
        began_s, endpoint = time.perf_counter(), line.provider.endpoint
        room = endpoint.context_tokens - endpoint.answer_tokens
        prompt = prompt_of(facts, template, tokens_max=room)

        async def ask() -> Answer:
            return await self._asked(line, prompt, say)

        key = key_of(endpoint, template.id, prompt.system, prompt.user)
        answer, cached = await self._answers.once(key, ask, within_s=self._within_s)
        usage = Usage() if cached else answer.usage
        metrics.LLM_ANSWERS.labels(endpoint.name, "kept" if cached else "asked").inc()
        return Draft(
            text=answer.text,
            provider=endpoint.name,
            model=endpoint.model,
            prompt_id=template.id,
            duration_s=time.perf_counter() - began_s,
            usage=usage,
            cost=usage.cost(endpoint),
            cached=cached,
        )

    async def _asked(self, line: _Line, prompt: Prompt, say: Say) -> Answer:
        """One call within its time, when it is this one's turn."""
        endpoint = line.provider.endpoint
        deadline_s = asyncio.get_running_loop().time() + self._within_s
        named = {"gen_ai.provider.name": endpoint.name, "gen_ai.request.model": endpoint.model}
        async with self._turn(deadline_s):
            began_s = time.perf_counter()
            try:
                with span("ask language model", attributes=named), line.breaker.attempt():
                    answer = await _called(line.provider, prompt, say, deadline_s)
            finally:
                metrics.LLM_DURATION.labels(endpoint.name).observe(time.perf_counter() - began_s)
                metrics.LLM_CIRCUIT_OPEN.labels(endpoint.name).set(line.breaker.is_open)
        metrics.observe_tokens(endpoint, answer.usage)
        return answer

    @asynccontextmanager
    async def _turn(self, deadline_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._turns.acquire()
        except TimeoutError:
            raise NotAskedError("busy") from None
        try:
            yield
        finally:
            self._turns.release()


async def _called(provider: Provider, prompt: Prompt, say: Say, deadline_s: float) -> Answer:
    try:
        async with asyncio.timeout_at(deadline_s):
            said, usage = await _listen(provider, prompt, say)
    except TimeoutError:
        raise ProviderError("timeout") from None
    text = read(said, prompt)
    return Answer(
        root_cause=text.root_cause,
        mitigation=text.mitigation,
        summary=text.summary,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )


async def _listen(provider: Provider, prompt: Prompt, say: Say) -> tuple[str, Usage]:
    """The whole answer; what it says so far is told a few times a second.

    Raises:
        ProviderError: The call failed, or one text is longer than anyone reads: no more is read.
    """
    answer: list[str] = []
    usage, said = Usage(), WithoutThoughts()
    values, words, pending, told_s = StringValues(), WholeWords(), "", time.monotonic()
    async with aclosing(provider.stream(prompt)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
                continue
            answer.append(piece)
            pending += words.feed(values.feed(said.feed(piece)))
            if values.longest_chars > TEXT_CHARS_MAX or values.chars > _TEXTS * TEXT_CHARS_MAX:
                raise ProviderError("answer too large")
            if pending and time.monotonic() - told_s >= TOLD_EVERY_S:
                await say(pending)
                pending, told_s = "", time.monotonic()
    if pending := pending + words.rest():
        await say(pending)
    return "".join(answer), usage
