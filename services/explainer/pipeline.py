"""The work itself: gather, rank, word, check. Each stage is told, timed and traced."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from mesh.telemetry import span
from services.explainer import metrics
from services.explainer.explanation import (
    Evidence,
    Explanation,
    NamedSuspect,
    Stage,
    StageStatus,
    StageUpdate,
    State,
    SubjectFacts,
    Text,
    TextDelta,
    Verdict,
    Wording,
)
from services.explainer.gathering import Gathered, Sources, gather
from services.explainer.jobs import failed
from services.explainer.ledger import Ledger
from services.explainer.model import Case, Ranking, Reason
from services.explainer.names import naming_labels, plain
from services.explainer.run import Run
from services.explainer.wording.checks import Checked, check
from services.explainer.wording.facts import Facts
from services.explainer.wording.template import moved_in_words, worded
from services.explainer.wording.writer import Draft, Writer

SUSPECTS_MAX: Final = 10

Rank = Callable[[Case], Ranking]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Explains a subject. Only the database can make it fail.

    Attributes:
        gather_within_s: What has not answered by then is missing.
        after_ms: Time after the event that is looked at.
    """

    sources: Sources
    rank: Rank
    writer: Writer
    gather_within_s: float
    after_ms: int

    async def explain(self, facts: SubjectFacts, run: Run) -> Explanation:
        """See `Work.explain`."""
        gathered = await self._gather(facts, run)
        if len(gathered.failed) == gathered.asked:
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
        draft = await self._word(material, run)
        text, wording = await self._check(material, draft, run)
        return Explanation(
            state=State.DONE,
            verdict=Verdict.EXPLAINED if named else Verdict.INSUFFICIENT_EVIDENCE,
            text=text,
            confidence=suspects[0].suspect.confidence if suspects else 0.0,
            suspects=suspects,
            evidence=gathered.evidence,
            wording=wording,
        )

    async def _gather(self, facts: SubjectFacts, run: Run) -> Gathered:
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
        self, facts: SubjectFacts, gathered: Gathered, run: Run
    ) -> tuple[Ranking, tuple[NamedSuspect, ...]]:
        async with _stage(run, Stage.RANKING):
            ranking = await asyncio.to_thread(self.rank, gathered.case)
            suspects = _suspects(ranking, gathered, facts)
            if suspects:
                await run.emit(*suspects)
        return ranking, suspects

    async def _word(self, material: Facts, run: Run) -> Draft:
        async def say(text: str) -> None:
            await run.emit(TextDelta(text=text))

        async with _stage(run, Stage.WORDING) as degraded:
            draft = await self.writer.draft(material, say)
            if draft.text is None and draft.reason:
                degraded.append(f"worded by the template: {draft.reason}")
        return draft

    async def _check(self, material: Facts, draft: Draft, run: Run) -> tuple[Text, Wording]:
        async with _stage(run, Stage.CHECKING) as degraded:
            template = check(worded(material), material, grounded=False)
            if template.struck:
                logger.error("the template said what is not in evidence: %s", template.struck)
            text, wording = _chosen(template, draft, material)
            if wording.struck_claims:
                degraded.append("struck what the evidence does not hold")
        return text, wording


def _chosen(template: Checked, draft: Draft, material: Facts) -> tuple[Text, Wording]:
    """The model's text as far as it checks; the template's where too little of it is left."""
    if draft.text is None:
        struck = len(template.struck)
        return template.text, Wording(degraded_reason=draft.reason, struck_claims=struck)
    checked = check(draft.text, material, grounded=True)
    struck = len(checked.struck)
    if not checked.text.root_cause or 2 * struck > checked.sentences:
        metrics.LLM_FAILURES.labels(draft.provider, "too much struck").inc()
        told = f"{draft.provider}: too much of its text is not in evidence"
        return template.text, Wording(degraded_reason=told, struck_claims=struck)
    text = replace(
        checked.text,
        mitigation=checked.text.mitigation or template.text.mitigation,
        summary=checked.text.summary or template.text.summary,
    )
    return text, Wording(provider=draft.provider, model=draft.model, struck_claims=struck)


def _suspects(
    ranking: Ranking, gathered: Gathered, facts: SubjectFacts
) -> tuple[NamedSuspect, ...]:
    """The first suspects for whom there is evidence to show, in the order of the ranking."""
    by_id = {piece.evidence_id: piece for piece in gathered.evidence}
    found: list[NamedSuspect] = []
    for suspect in ranking.suspects:
        reasons = tuple(
            _in_words(reason, by_id[reason.evidence_id], facts)
            for reason in suspect.reasons
            if reason.evidence_id in by_id
        )
        if suspect.score > 0 and reasons and len(found) < SUSPECTS_MAX:
            labels = naming_labels(
                gathered.labels_by_entity.get(suspect.entity, {}), suspect.entity
            )
            shown = replace(suspect, rank=len(found) + 1, reasons=reasons)
            found.append(NamedSuspect(suspect=shown, labels=labels))
    return tuple(found)


def _in_words(reason: Reason, piece: Evidence, facts: SubjectFacts) -> Reason:
    """The reason with the figures of its evidence, written as they are everywhere."""
    text = moved_in_words(piece, facts) if piece.figure("size_sigma") else plain(reason.text, 300)
    return replace(reason, text=text)


@asynccontextmanager
async def _stage(run: Run, stage: Stage) -> AsyncIterator[list[str]]:
    """Tells the begin and the end; what is put into the list makes the stage degraded."""
    degraded: list[str] = []
    began_s = time.perf_counter()
    with span(stage.value):
        await run.emit(StageUpdate(stage=stage, status=StageStatus.STARTED))
        yield degraded
        status = StageStatus.DEGRADED if degraded else StageStatus.DONE
        await run.emit(StageUpdate(stage=stage, status=status, message="; ".join(degraded)))
    metrics.STAGE_DURATION.labels(stage.value).observe(time.perf_counter() - began_s)
