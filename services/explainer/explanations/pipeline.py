"""The work itself: gather, rank, claim, verify. Each stage is told, timed and traced."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol
from uuid import UUID

from cachetools import LRUCache

from mesh.errors import Unavailable
from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.claims.ask import Draft
from services.explainer.claims.default import completed, default_form
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import Claim
from services.explainer.claims.render import rendered, text_of
from services.explainer.claims.verify import verified
from services.explainer.evidence.collect import CollectedEvidence, Sources, gather
from services.explainer.evidence.ledger import Ledger
from services.explainer.evidence.sources.embedding import embedding_of
from services.explainer.explanations.storms import FormSource
from services.explainer.model.case import Case
from services.explainer.model.evidence import Evidence
from services.explainer.model.explanation import (
    Explanation,
    Group,
    NamedSuspect,
    State,
    Verdict,
    Wording,
)
from services.explainer.model.frames import Frame, Stage, StageStatus, StageUpdate, TextDelta
from services.explainer.model.names import naming_labels, plain
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.subjects import SubjectFacts
from services.explainer.rankers.changes import SuspectChange
from services.explainer.rankers.ties import tied_evidence
from services.explainer.store.incidents import Incident, Incidents

SUSPECTS_MAX: Final = 10
CONFIDENCE_MIN: Final = 0.005
"""A suspect that reads "0 %" is none."""

GROUPS_MAX: Final = 1024
"""Groups, with their causes, that are known to be remembered."""

Rank = Callable[[Case], Ranking]
Remembered = LRUCache[tuple[UUID, str], bool]


class ProgressSink(Protocol):
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
    """Explains a subject.

    Attributes:
        gather_within_s: What has not answered by then is missing.
        after_ms: Time after the event that is looked at.
        incidents: Where what was explained is remembered; None for nowhere.
        remembered: Causes by group of like explanations: of a storm each is remembered once.
    """

    sources: Sources
    rank: Rank
    asking: FormSource
    incidents: Incidents | None = None
    gather_within_s: float
    after_ms: int
    remembered: "Remembered" = field(default_factory=lambda: LRUCache(GROUPS_MAX))

    async def explain(self, facts: SubjectFacts, run: ProgressSink) -> Explanation:
        """See `Work.explain`.

        Raises:
            Unavailable: NO_SOURCE, nobody answered: explain it later.
        """
        gathered = await self._gather(facts, run)
        if gathered.blind:
            message = f"no source answered ({', '.join(gathered.failed)})"
            raise Unavailable(message, reason="NO_SOURCE")
        ranking, suspects, tied = await self._rank(gathered, run)
        first = ranking.suspects[0].entity if ranking.suspects else ""
        named = not ranking.abstained and any(s.suspect.entity == first for s in suspects[:1])
        material = Facts(
            subject=facts,
            suspects=suspects if named else (),
            evidence=gathered.evidence,
            reason=ranking.reason,
            service=gathered.case.subject.service,
            calls=gathered.case.graph.edges,
            tied=tied,
        )
        async with _stage(run, Stage.WORDING) as degraded:
            draft, group = await self.asking.draft(material, run.explanation_id)
            if draft.form is None and draft.reason:
                degraded.append(f"claimed by rules: {draft.reason}")
        claims, wording = await self._verify(material, draft, run)
        said = rendered(claims, material)
        await run.emit(*(TextDelta(text=f"{each.text}\n") for each in said))
        await self.asking.keep(run.explanation_id, draft, wording)
        if named:
            await self._remember(facts, suspects[0], run, group)
        return Explanation(
            state=State.DONE,
            verdict=Verdict.EXPLAINED if named else Verdict.INSUFFICIENT_EVIDENCE,
            text=text_of(said, material),
            claims=tuple(said),
            confidence=suspects[0].suspect.confidence if suspects else 0.0,
            suspects=suspects,
            evidence=gathered.evidence,
            wording=wording,
            group=group,
        )

    async def _remember(
        self, facts: SubjectFacts, first: NamedSuspect, run: ProgressSink, group: Group
    ) -> None:
        known = group.group_id, first.suspect.entity
        if self.incidents is None or known in self.remembered:
            return
        if not await self.incidents.available():
            return
        self.remembered[known] = True
        incident = Incident(
            explanation_id=run.explanation_id,
            event_ms=facts.event_ms,
            title=facts.title,
            cause=first.suspect.entity,
            confidence=first.suspect.confidence,
        )
        await self.incidents.write(incident, embedding_of(facts))

    async def _gather(self, facts: SubjectFacts, run: ProgressSink) -> CollectedEvidence:
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
        self, gathered: CollectedEvidence, run: ProgressSink
    ) -> tuple[Ranking, tuple[NamedSuspect, ...], frozenset[str] | None]:
        """The ranking, the suspects that can be shown, and the evidence that is tied."""

        def judged() -> tuple[Ranking, tuple[NamedSuspect, ...], frozenset[str] | None]:
            ranking, changed = self.rank(gathered.case), SuspectChange().rank(gathered.case)
            suspects = with_change(_suspects(ranking, gathered), changed, gathered)
            return ranking, suspects, tied_evidence(gathered.case)

        async with _stage(run, Stage.RANKING):
            ranking, suspects, tied = await asyncio.to_thread(judged)
            if suspects:
                await run.emit(*suspects)
        return ranking, suspects, tied

    async def _verify(
        self, material: Facts, draft: Draft, run: ProgressSink
    ) -> tuple[list[Claim], Wording]:
        async with _stage(run, Stage.CHECKING) as degraded:
            claims, wording = chosen(material, draft)
            if wording.struck_claims:
                degraded.append("dropped what does not hold")
        return claims, wording


def chosen(facts: Facts, draft: Draft) -> tuple[list[Claim], Wording]:
    """The claims of a draft that hold, with cause and advice; the default form where none does."""
    asked = Wording(
        degraded_reason=draft.reason,
        prompt_id=draft.prompt_id,
        input_tokens=draft.usage.input_tokens,
        output_tokens=draft.usage.output_tokens,
        cached=draft.cached,
    )
    if draft.form is None:
        return list(default_form(facts).claims), asked
    held = verified(draft.form.claims, facts)
    dropped = len(draft.form.claims) - len(held) + draft.unreadable
    if not held:
        metrics.LLM_FAILURES.labels(draft.provider, "no claim holds").inc()
        why = f"{draft.provider}: none of its claims holds"
        asked = replace(asked, degraded_reason=why, struck_claims=dropped)
        return list(default_form(facts).claims), asked
    by = replace(asked, provider=draft.provider, model=draft.model, struck_claims=dropped)
    return completed(held, facts), by


def _suspects(ranking: Ranking, gathered: CollectedEvidence) -> tuple[NamedSuspect, ...]:
    """The first suspects for whom there is evidence to show, in the order of the ranking."""
    by_id = {piece.evidence_id: piece for piece in gathered.evidence}
    found: list[NamedSuspect] = []
    for suspect in ranking.suspects[: 2 * SUSPECTS_MAX]:
        reasons = _each_once(
            [replace(r, text=_shown(r, by_id)) for r in suspect.reasons if r.evidence_id in by_id]
        )
        likely = suspect.score > 0 and suspect.confidence >= CONFIDENCE_MIN
        if (likely or not found) and suspect.score > 0 and reasons and len(found) < SUSPECTS_MAX:
            labels = naming_labels(
                gathered.labels_by_entity.get(suspect.entity, {}), suspect.entity
            )
            shown = replace(suspect, rank=len(found) + 1, reasons=reasons)
            found.append(NamedSuspect(suspect=shown, labels=labels))
    return tuple(found)


def _shown(reason: Reason, by_id: dict[str, Evidence]) -> str:
    """A reason as its evidence tells it."""
    piece = by_id[reason.evidence_id]
    return plain(piece.title if piece.is_measured else reason.text, 300)


def _each_once(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """In the same order; what rankers said of the same evidence may now read the same."""
    once: dict[tuple[str, str], Reason] = {}
    for each in reasons:
        once.setdefault((each.text, each.evidence_id), each)
    return tuple(once.values())


def with_change(
    suspects: tuple[NamedSuspect, ...], changed: Ranking, gathered: CollectedEvidence
) -> tuple[NamedSuspect, ...]:
    """The same suspects; whose service was changed just before has that as a reason too."""
    if changed.abstained or not changed.suspects:
        return suspects
    blamed = changed.suspects[0]
    change = next(each for each in gathered.case.changes if each.id == blamed.entity)
    text = f"{change.kind} {plain(change.id)}"
    reason = Reason(text=text, evidence_id=change.evidence_id, score=blamed.score)
    return tuple(
        replace(each, suspect=replace(each.suspect, reasons=(*each.suspect.reasons, reason)))
        if each.suspect.entity == change.service
        else each
        for each in suspects
    )


@asynccontextmanager
async def _stage(run: ProgressSink, stage: Stage) -> AsyncIterator[list[str]]:
    """Tells the begin and the end; what is put into the list makes the stage degraded."""
    degraded: list[str] = []
    began_s = time.perf_counter()
    with span(stage.value):
        await run.emit(StageUpdate(stage=stage, status=StageStatus.STARTED))
        yield degraded
        status = StageStatus.DEGRADED if degraded else StageStatus.DONE
        await run.emit(StageUpdate(stage=stage, status=status, message="; ".join(degraded)))
    metrics.STAGE_DURATION.labels(stage.value).observe(time.perf_counter() - began_s)
