"""Storms: of like explanations one asks a language model, with a template drawn by weight."""

import logging
import uuid
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from mesh.clock import Clock
from services.explainer import metrics
from services.explainer.claims.ask import Draft, Writer
from services.explainer.claims.facts import Facts
from services.explainer.llm.cache import asking_anew
from services.explainer.model.explanation import Group, Wording
from services.explainer.model.subjects import SubjectFacts, SubjectKind
from services.explainer.model.templates import Template, pick
from services.explainer.store.groups import Groups, TurnOutcome
from services.explainer.store.prompts import Outcome, Prompts

_NO_CAUSE = "the evidence names no cause to be claimed"
_OUTCOME_WITHIN_S: Final = 3.0
"""Long enough to see a model fail that does so at once; who waits has its own result ready."""

_LOOK_EVERY_S: Final = 0.2
_TURNS_SEEN_MAX: Final = 2
"""A burst has a failed wording tried once more, and not by each of its members in turn."""

_ELSEWHERE: Final = {
    TurnOutcome.WORDED: "see explanation {}",
    TurnOutcome.ASKING: "see explanation {}, which was still being worded",
    TurnOutcome.STRUCK: "the text of explanation {} was struck",
    TurnOutcome.UNWORDED: "no language model worded explanation {}",
}

logger = logging.getLogger(__name__)


class FormSource(Protocol):
    """What asks a language model to fill the form, or says why it does not."""

    async def draft(self, facts: Facts, explanation_id: UUID) -> tuple[Draft, Group]:
        """A form, not verified, or why there is none, and the like explanations beside it."""
        ...

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """Remembers how many of its claims held."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OncePerGroup:
    """Asks for one explanation of each storm, with a template drawn by weight.

    The others wait a moment for what comes of it: where it fails, one of them is worded instead.
    """

    writer: Writer
    groups: Groups
    prompts: Prompts
    clock: Clock

    async def draft(self, facts: Facts, explanation_id: UUID) -> tuple[Draft, Group]:
        """See `FormSource.draft`."""
        key = likeness(facts.subject)
        group = await self.groups.join(explanation_id, key)
        if not self.writer.has_models:
            return Draft(), group
        if not facts.suspects:
            return Draft(reason=_NO_CAUSE), group
        if elsewhere := await self._worded_elsewhere(explanation_id, key, group.group_id):
            metrics.LIKE_EXPLANATIONS.inc()
            return Draft(reason=f"like alerts are worded once: {elsewhere}"), group
        kept = await self.prompts.all()
        template = pick([each.template for each in kept], explanation_id)
        return await drafted(self.writer, facts, template), group

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `FormSource.keep`."""
        if not draft.prompt_id:
            return
        used = wording.provider == draft.provider and draft.form is not None
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

    async def _worded_elsewhere(self, explanation_id: UUID, key: str, group_id: UUID) -> str:
        """Where the group is worded and what came of it; "" when this one may ask."""
        until_s = self.clock.monotonic_s() + _OUTCOME_WITHIN_S
        elsewhere = ""
        for _ in range(_TURNS_SEEN_MAX):
            holder = await self._turn_holder(explanation_id, key, group_id)
            if holder is None:
                return ""
            outcome = await self._outcome(holder, until_s)
            elsewhere = _ELSEWHERE[outcome].format(holder)
            if outcome is not TurnOutcome.UNWORDED:
                break
        return elsewhere

    async def _turn_holder(self, explanation_id: UUID, key: str, group_id: UUID) -> UUID | None:
        """Who has the turn; None for this one, and for nobody while no model can be asked."""
        if self.writer.is_left_alone:
            return await self.groups.turn_holder(explanation_id, key, group_id)
        holder = await self.groups.take_turn(explanation_id, key, group_id)
        return None if holder == explanation_id else holder

    async def _outcome(self, holder: UUID, until_s: float) -> TurnOutcome:
        while (outcome := await self.groups.turn_outcome(holder)) is TurnOutcome.ASKING:
            if self.clock.monotonic_s() >= until_s:
                break
            await self.clock.sleep(_LOOK_EVERY_S)
        return outcome


@dataclass(slots=True)
class OneTemplate:
    """Asks anew with a given template and keeps nothing; `last` is what came."""

    writer: Writer
    template: Template
    last: Draft | None = None

    async def draft(self, facts: Facts, explanation_id: UUID) -> tuple[Draft, Group]:
        """See `FormSource.draft`."""
        self.last = Draft(reason=_NO_CAUSE)
        if facts.suspects:
            with asking_anew():
                self.last = await drafted(self.writer, facts, self.template)
        return self.last, Group(group_id=explanation_id, size=0)

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `FormSource.keep`."""


class RulesOnly:
    """Asks no model and keeps nothing."""

    async def draft(self, facts: Facts, explanation_id: UUID) -> tuple[Draft, Group]:
        """See `FormSource.draft`."""
        return Draft(), Group(group_id=explanation_id, size=0)

    async def keep(self, explanation_id: UUID, draft: Draft, wording: Wording) -> None:
        """See `FormSource.keep`."""


async def drafted(writer: Writer, facts: Facts, template: Template) -> Draft:
    """A draft, without a form when the writer fails in a way that nobody foresaw."""
    try:
        return await writer.draft(facts, template)
    except Exception:
        error_id = uuid.uuid4().hex
        logger.exception("unforeseen error while wording", extra={"error_id": error_id})
        reason = f"asking failed with internal error {error_id}"
        return Draft(reason=reason, prompt_id=template.id)


def likeness(subject: SubjectFacts) -> str:
    """Subjects with the same are like each other: the name of the alert, or the metric."""
    name = subject.metric
    if subject.ref.kind is SubjectKind.ALERT:
        name = subject.labels.get("alertname", "")
    return "|".join((subject.ref.kind.value, subject.severity, name))[:500]
