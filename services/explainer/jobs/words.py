"""Whether a language model is asked to word an explanation, and with which prompt."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from services.explainer import metrics
from services.explainer.model.explanation import Group, Wording
from services.explainer.model.subjects import SubjectFacts, SubjectKind
from services.explainer.model.templates import Template, pick
from services.explainer.store import Groups, Outcome, Prompts
from services.explainer.wording.facts import Facts
from services.explainer.wording.writer import Draft, Say, Writer

_NO_CAUSE = "the evidence names no cause to be worded"


class Words(Protocol):
    """What gives the pipeline its text."""

    async def draft(self, facts: Facts, explanation_id: UUID, say: Say) -> tuple[Draft, Group]:
        """Unchecked text, or why there is none, and the like explanations beside this one."""
        ...

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """Remembers how the text fared in the checks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OncePerGroup:
    """Asks for one explanation of each storm, with a template drawn by weight."""

    writer: Writer
    groups: Groups
    prompts: Prompts

    async def draft(self, facts: Facts, explanation_id: UUID, say: Say) -> tuple[Draft, Group]:
        """See `Words.draft`."""
        key = likeness(facts.subject)
        group = await self.groups.join(explanation_id, key)
        if not self.writer.has_models:
            return Draft(), group
        if not facts.suspects:
            return Draft(reason=_NO_CAUSE), group
        worded = await self.groups.words(explanation_id, key, group.group_id)
        if worded != explanation_id:
            metrics.LIKE_EXPLANATIONS.inc()
            return Draft(reason=f"like alerts are worded once: see explanation {worded}"), group
        kept = await self.prompts.all()
        template = pick([each.template for each in kept], explanation_id)
        return await self.writer.draft(facts, template, say), group

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `Words.keep`."""
        if not draft.prompt_id:
            return
        used = wording.provider == draft.provider and draft.text is not None
        outcome = Outcome(
            prompt_id=draft.prompt_id,
            provider=draft.provider,
            model=draft.model,
            used=used,
            struck=wording.struck_claims,
            duration_s=draft.duration_s,
            input_tokens=draft.usage.input_tokens,
            output_tokens=draft.usage.output_tokens,
            cost=draft.cost,
            cached=draft.cached,
        )
        await self.prompts.keep(explanation_id, outcome)


@dataclass(slots=True)
class OneTemplate:
    """Asks with a given template and keeps nothing; `last` is what came."""

    writer: Writer
    template: Template
    last: Draft | None = None

    async def draft(self, facts: Facts, explanation_id: UUID, say: Say) -> tuple[Draft, Group]:
        """See `Words.draft`."""
        self.last = Draft(reason=_NO_CAUSE)
        if facts.suspects:
            self.last = await self.writer.draft(facts, self.template, say)
        return self.last, Group(group_id=explanation_id, size=0)

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `Words.keep`."""


def likeness(subject: SubjectFacts) -> str:
    """Subjects with the same are like each other: the name of the alert, or the metric."""
    name = subject.metric
    if subject.ref.kind is SubjectKind.ALERT:
        name = subject.labels.get("alertname", "")
    return "|".join((subject.ref.kind.value, subject.severity, name))[:500]
