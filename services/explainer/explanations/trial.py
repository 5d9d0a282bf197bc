"""Explains a subject anew with one prompt template, and keeps nothing of it."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mesh.clock import Clock
from mesh.errors import FailedPrecondition
from services.explainer.claims.ask import Draft, Writer
from services.explainer.explanations.lifecycle import Subjects
from services.explainer.explanations.pipeline import ProgressSink
from services.explainer.explanations.storms import FormSource, OneTemplate
from services.explainer.model.explanation import Explanation
from services.explainer.model.frames import Frame
from services.explainer.model.subjects import SubjectFacts, SubjectRef
from services.explainer.store.prompts import Prompts


class Explaining(Protocol):
    """A pipeline, as far as trying needs it."""

    async def explain(self, facts: SubjectFacts, run: ProgressSink) -> Explanation:
        """See `Work.explain`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What came of it. The explanation has an id that nobody knows."""

    explanation: Explanation
    draft: Draft
    create_us: int


class DiscardProgress:
    """Takes the steps and tells nobody."""

    explanation_id = uuid.UUID(int=0)

    async def emit(self, *frames: Frame) -> None:
        """Forgets them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Tries templates on subjects."""

    subjects: Subjects
    prompts: Prompts
    writer: Writer
    work: Callable[[FormSource], Explaining]
    clock: Clock

    async def attempt(self, prompt_id: str, ref: SubjectRef) -> TrialResult:
        """The explanation that this template would have given now.

        Raises:
            NotFound: There is no such template or subject.
            FailedPrecondition: NO_LANGUAGE_MODEL.
        """
        if not self.writer.has_models:
            message = "no language model is configured: set SENSUS_LLM_PROVIDERS"
            raise FailedPrecondition(message, reason="NO_LANGUAGE_MODEL")
        template = await self.prompts.get(prompt_id)
        facts = await self.subjects.fetch(ref)
        asking = OneTemplate(self.writer, template)
        began_us = self.clock.now_ms() * 1000
        explanation = await self.work(asking).explain(facts, DiscardProgress())
        draft = asking.last or Draft()
        return TrialResult(explanation=explanation, draft=draft, create_us=began_us)
