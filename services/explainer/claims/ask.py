"""Has the form filled by the first language model that manages to; without one, says why."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from mesh.errors import Unavailable
from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.claims.answer import read
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import Form
from services.explainer.claims.prompt import prompt_of
from services.explainer.llm.breaker import Breaker
from services.explainer.llm.cache import Answer, Answers, NoAnswers, key_of
from services.explainer.llm.provider import (
    NotAskedError,
    Provider,
    ProviderError,
    Reasoning,
    Usage,
)
from services.explainer.model.templates import Prompt, Template

ANSWER_CHARS_MAX: Final = 32_000
"""Many times the longest form; thoughts included."""

_NO_USAGE: Final = Usage()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A form, not verified yet, and who filled it; None when no model managed to, for `reason`.

    Attributes:
        unreadable: Claims of the answer that were no claims.
        prompt_id: Template it was asked with; "" when no model was asked.
        duration_s: From the first question to the form or the last failure.
        usage: Tokens of all calls, failed ones included; none for an answer that was kept.
    """

    form: Form | None = None
    unreadable: int = 0
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

    async def draft(self, facts: Facts, template: Template) -> Draft:
        """The form of the first provider that fills one."""
        began_s = time.perf_counter()
        reasons, spent, cost = [], Usage(), 0.0
        for line in self._lines:
            endpoint = line.provider.endpoint
            try:
                found = await self._filled(line, facts, template)
                return replace(found, usage=spent + found.usage, cost=cost + found.cost)
            except ProviderError as error:
                metrics.LLM_FAILURES.labels(endpoint.name, error.reason).inc()
                reasons.append(f"{endpoint.name}: {error.reason}")
                spent, cost = spent + error.usage, cost + error.usage.cost(endpoint)
        if reasons:
            logger.warning("no language model filled the form", extra={"reasons": reasons})
        return Draft(
            reason="; ".join(reasons),
            prompt_id=template.id if reasons else "",
            duration_s=time.perf_counter() - began_s,
            usage=spent,
            cost=cost,
        )

    async def _filled(self, line: _Line, facts: Facts, template: Template) -> Draft:
        began_s, endpoint = time.perf_counter(), line.provider.endpoint
        room = endpoint.context_tokens - endpoint.answer_tokens
        prompt = prompt_of(facts, template, tokens_max=room)

        async def ask() -> Answer:
            return await self._asked(line, prompt)

        key = key_of(endpoint, template.id, prompt.system, prompt.user, repr(prompt.schema))
        answer, cached = await self._answers.once(key, ask, within_s=self._within_s)
        usage = Usage() if cached else answer.usage
        metrics.LLM_ANSWERS.labels(endpoint.name, "kept" if cached else "asked").inc()
        return Draft(
            form=msgspec.json.decode(answer.form, type=Form),
            unreadable=answer.unreadable,
            provider=endpoint.name,
            model=endpoint.model,
            prompt_id=template.id,
            duration_s=time.perf_counter() - began_s,
            usage=usage,
            cost=usage.cost(endpoint),
            cached=cached,
        )

    async def _asked(self, line: _Line, prompt: Prompt) -> Answer:
        """One call within its time, when it is this one's turn."""
        endpoint = line.provider.endpoint
        deadline_s = asyncio.get_running_loop().time() + self._within_s
        named = {"gen_ai.provider.name": endpoint.name, "gen_ai.request.model": endpoint.model}
        async with self._turn(deadline_s):
            began_s = time.perf_counter()
            try:
                with span("ask language model", attributes=named), line.breaker.attempt():
                    answer = await _called(line.provider, prompt, deadline_s)
                    metrics.observe_tokens(endpoint, answer.usage)
                    return answer
            except ProviderError as error:
                metrics.observe_tokens(endpoint, error.usage)
                raise
            finally:
                metrics.LLM_DURATION.labels(endpoint.name).observe(time.perf_counter() - began_s)
                metrics.LLM_CIRCUIT_OPEN.labels(endpoint.name).set(line.breaker.is_open)

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


async def _called(provider: Provider, prompt: Prompt, deadline_s: float) -> Answer:
    try:
        async with asyncio.timeout_at(deadline_s):
            said, usage = await _listen(provider, prompt)
    except TimeoutError:
        raise ProviderError("timeout") from None
    try:
        form, unreadable = await asyncio.to_thread(read, said)
    except ProviderError as error:
        raise ProviderError(error.reason, usage=usage) from None
    return Answer(
        form=msgspec.Raw(msgspec.json.encode(form)),
        unreadable=unreadable,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )


async def _listen(provider: Provider, prompt: Prompt) -> tuple[str, Usage]:
    """The whole answer and what it took; thoughts beside it are let be.

    Raises:
        ProviderError: The call failed, said nothing, or says more than a form can hold.
    """
    answer: list[str] = []
    chars, usage, thought = 0, Usage(), False
    async with aclosing(provider.stream(prompt)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Usage):
                usage = piece
            elif isinstance(piece, Reasoning):
                thought = True
            else:
                answer.append(piece)
                chars += len(piece)
                if chars > ANSWER_CHARS_MAX:
                    raise ProviderError("answer too large")
    said = "".join(answer)
    if thought and not said.strip():
        raise ProviderError("only thoughts", usage=usage)
    return said, usage
