"""The work itself: gather, rank, word, check. Each stage is told, timed and traced."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol
from uuid import UUID

from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.checks.check import Checked, Held, check
from services.explainer.checks.unmarked import unmarked
from services.explainer.evidence.gathering import Gathered, Sources, gather
from services.explainer.evidence.ledger import Ledger
from services.explainer.jobs.jobs import failed
from services.explainer.jobs.words import Words
from services.explainer.model.case import Case
from services.explainer.model.evidence import Evidence
from services.explainer.model.explanation import (
    Explanation,
    Group,
    NamedSuspect,
    State,
    Text,
    Verdict,
    Wording,
)
from services.explainer.model.frames import Frame, Stage, StageStatus, StageUpdate, TextDelta
from services.explainer.model.names import naming_labels, plain
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.subjects import SubjectFacts
from services.explainer.rankers.changes import SuspectChange
from services.explainer.sources.embedding import embedding_of
from services.explainer.store import Incident, Incidents
from services.explainer.wording.facts import Facts
from services.explainer.wording.template import moved_in_words, shortest_cause, when, worded
from services.explainer.wording.writer import Draft

SUSPECTS_MAX: Final = 10

Rank = Callable[[Case], Ranking]

logger = logging.getLogger(__name__)


class Telling(Protocol):
    """Where the steps are told, such as a `Run`."""

    @property
    def explanation_id(self) -> UUID:
        """What is explained."""
        ...

    async def emit(self, *frames: Frame) -> None:
        """Tells what was found or done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Explains a subject. Only the database can make it fail.

    Attributes:
        gather_within_s: What has not answered by then is missing.
        after_ms: Time after the event that is looked at.
        incidents: Where what was explained is remembered; None for nowhere.
    """

    sources: Sources
    rank: Rank
    words: Words
    incidents: Incidents | None = None
    gather_within_s: float
    after_ms: int

    async def explain(self, facts: SubjectFacts, run: Telling) -> Explanation:
        """See `Work.explain`."""
        gathered = await self._gather(facts, run)
        if gathered.blind:
            return failed(f"no source answered ({', '.join(gathered.failed)})")
        ranking, suspects = await self._rank(facts, gathered, run)
        first = ranking.suspects[0].entity if ranking.suspects else ""
        named = not ranking.abstained and any(s.suspect.entity == first for s in suspects[:1])
        material = Facts(
            subject=facts,
            suspects=suspects if named else (),
            evidence=gathered.evidence,
            reason=ranking.reason,
        )
        draft, group = await self._word(material, run)
        text, wording = await self._check(material, draft, run)
        await self.words.keep(run.explanation_id, draft, wording)
        if named:
            await self._remember(facts, suspects[0], run)
        return Explanation(
            state=State.DONE,
            verdict=Verdict.EXPLAINED if named else Verdict.INSUFFICIENT_EVIDENCE,
            text=text,
            confidence=suspects[0].suspect.confidence if suspects else 0.0,
            suspects=suspects,
            evidence=gathered.evidence,
            wording=wording,
            group=group,
        )

    async def _remember(self, facts: SubjectFacts, first: NamedSuspect, run: Telling) -> None:
        if self.incidents is None or not await self.incidents.available():
            return
        incident = Incident(
            explanation_id=run.explanation_id,
            event_ms=facts.event_ms,
            title=facts.title,
            cause=first.suspect.entity,
            confidence=first.suspect.confidence,
        )
        await self.incidents.write(incident, embedding_of(facts))

    async def _gather(self, facts: SubjectFacts, run: Telling) -> Gathered:
        async def tell(pieces: Sequence[Evidence]) -> None:
            await run.emit(*pieces)

        async with _stage(run, Stage.GATHERING) as degraded:
            gathered = await gather(
                facts,
                self.sources,
                Ledger(tell),
                end_ms=facts.event_ms + self.after_ms,
                within_s=self.gather_within_s,
            )
            degraded += [f"without {name}" for name in gathered.failed]
        return gathered

    async def _rank(
        self, facts: SubjectFacts, gathered: Gathered, run: Telling
    ) -> tuple[Ranking, tuple[NamedSuspect, ...]]:
        async with _stage(run, Stage.RANKING):
            ranking = await asyncio.to_thread(self.rank, gathered.case)
            suspects = _suspects(ranking, gathered, facts)
            changed = await asyncio.to_thread(SuspectChange().rank, gathered.case)
            suspects = with_change(suspects, changed, gathered, facts)
            if suspects:
                await run.emit(*suspects)
        return ranking, suspects

    async def _word(self, material: Facts, run: Telling) -> tuple[Draft, Group]:
        async def say(text: str) -> None:
            await run.emit(TextDelta(text=text))

        async with _stage(run, Stage.WORDING) as degraded:
            draft, group = await self.words.draft(material, run.explanation_id, say)
            if draft.text is None and draft.reason:
                degraded.append(f"worded by the template: {draft.reason}")
        return draft, group

    async def _check(self, material: Facts, draft: Draft, run: Telling) -> tuple[Text, Wording]:
        async with _stage(run, Stage.CHECKING) as degraded:
            held = await asyncio.to_thread(Held.of, material)
            template = _of_template(material, held)
            text, wording = _chosen_or_template(template, draft, held)
            if wording.struck_claims:
                degraded.append("struck what the evidence does not hold")
        return text, wording


def _of_template(material: Facts, held: Held) -> Checked:
    """The template's text; it names its cause even if no other word of it can stand."""
    checked = check(worded(material), held, grounded=False)
    if checked.struck:
        logger.error("the template said what is not in evidence: %s", checked.struck)
    if checked.text.root_cause or not material.suspects:
        return checked
    return replace(checked, text=replace(checked.text, root_cause=shortest_cause(material)))


def _chosen_or_template(template: Checked, draft: Draft, held: Held) -> tuple[Text, Wording]:
    """What is chosen; the template's text where checking the model's fails unforeseen."""
    try:
        return _chosen(template, draft, held)
    except Exception:
        error_id = uuid.uuid4().hex
        logger.exception("unforeseen error while checking", extra={"error_id": error_id})
        told = f"{draft.provider}: checking its text failed with internal error {error_id}"
        return _chosen(template, replace(draft, text=None, reason=told), held)


def _chosen(template: Checked, draft: Draft, held: Held) -> tuple[Text, Wording]:
    """The model's text as far as it checks; the template's where too little of it is left."""
    asked = Wording(
        prompt_id=draft.prompt_id,
        input_tokens=draft.usage.input_tokens,
        output_tokens=draft.usage.output_tokens,
        cached=draft.cached,
    )
    if draft.text is None:
        struck = len(template.struck)
        why = draft.reason
        return template.text, replace(asked, degraded_reason=why, struck_claims=struck)
    said = draft.text
    bare = Text(
        root_cause=unmarked(said.root_cause),
        mitigation=unmarked(said.mitigation),
        summary=unmarked(said.summary),
    )
    checked = check(bare, held, grounded=True)
    struck = len(checked.struck)
    if not checked.text.root_cause or 2 * struck > checked.sentences:
        metrics.LLM_FAILURES.labels(draft.provider, "too much struck").inc()
        told = f"{draft.provider}: too much of its text is not in evidence"
        return template.text, replace(asked, degraded_reason=told, struck_claims=struck)
    text = replace(
        checked.text,
        mitigation=checked.text.mitigation or template.text.mitigation,
        summary=checked.text.summary or template.text.summary,
    )
    by = replace(asked, provider=draft.provider, model=draft.model, struck_claims=struck)
    return text, by


def _suspects(
    ranking: Ranking, gathered: Gathered, facts: SubjectFacts
) -> tuple[NamedSuspect, ...]:
    """The first suspects for whom there is evidence to show, in the order of the ranking."""
    by_id = {piece.evidence_id: piece for piece in gathered.evidence}
    found: list[NamedSuspect] = []
    for suspect in ranking.suspects:
        told = [
            _in_words(reason, by_id[reason.evidence_id], facts)
            for reason in suspect.reasons
            if reason.evidence_id in by_id
        ]
        reasons = _each_once(told)
        if suspect.score > 0 and reasons and len(found) < SUSPECTS_MAX:
            labels = naming_labels(
                gathered.labels_by_entity.get(suspect.entity, {}), suspect.entity
            )
            shown = replace(suspect, rank=len(found) + 1, reasons=reasons)
            found.append(NamedSuspect(suspect=shown, labels=labels))
    return tuple(found)


def _each_once(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """In the same order; what rankers said of the same evidence may now be in the same words."""
    once: dict[tuple[str, str], Reason] = {}
    for each in reasons:
        once.setdefault((each.text, each.evidence_id), each)
    return tuple(once.values())


def _in_words(reason: Reason, piece: Evidence, facts: SubjectFacts) -> Reason:
    """The reason with the figures of its evidence, written as they are everywhere."""
    text = moved_in_words(piece, facts) if piece.is_measured else plain(reason.text, 300)
    return replace(reason, text=text)


def with_change(
    suspects: tuple[NamedSuspect, ...], changed: Ranking, gathered: Gathered, facts: SubjectFacts
) -> tuple[NamedSuspect, ...]:
    """The same suspects; the one whose service was changed just before has that as a reason too."""
    if changed.abstained or not changed.suspects:
        return suspects
    blamed = changed.suspects[0]
    change = next(each for each in gathered.case.changes if each.id == blamed.entity)
    by_id = {piece.evidence_id: piece for piece in gathered.evidence}
    text = f"{change.kind} {plain(change.id)}{when(by_id[change.evidence_id], facts)}"
    reason = Reason(text=text, evidence_id=change.evidence_id, score=blamed.score)
    return tuple(
        replace(each, suspect=replace(each.suspect, reasons=(*each.suspect.reasons, reason)))
        if each.suspect.entity == change.service
        else each
        for each in suspects
    )


@asynccontextmanager
async def _stage(run: Telling, stage: Stage) -> AsyncIterator[list[str]]:
    """Tells the begin and the end; what is put into the list makes the stage degraded."""
    degraded: list[str] = []
    began_s = time.perf_counter()
    with span(stage.value):
        await run.emit(StageUpdate(stage=stage, status=StageStatus.STARTED))
        yield degraded
        status = StageStatus.DEGRADED if degraded else StageStatus.DONE
        await run.emit(StageUpdate(stage=stage, status=status, message="; ".join(degraded)))
    metrics.STAGE_DURATION.labels(stage.value).observe(time.perf_counter() - began_s)
