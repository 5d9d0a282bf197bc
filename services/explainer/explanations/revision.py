"""Explains anew by itself when evidence that decides comes after the explanation was finished.

A log line or a change is often told minutes later. So what was finished is gathered and ranked
again, by rules alone, at a few ages; only when that says something else is a new revision made.
"""

import logging
from collections.abc import Sequence
from typing import Final

from mesh.clock import Clock
from mesh.deadline import detached
from mesh.errors import NotFound, SensusError
from services.explainer import metrics
from services.explainer.convert.answers import unkept
from services.explainer.convert.stored import Conclusion, known_of
from services.explainer.explanations.lifecycle import Jobs, Subjects
from services.explainer.explanations.trial import DiscardProgress, Explaining
from services.explainer.store.looks import Finished, LookStore

LOOKS_S: Final = (60.0, 300.0, 900.0)
"""Ages at which an explanation is looked at: what comes later than the last revises nothing."""

EVERY_S: Final = 15.0
AT_ONCE: Final = 8

logger = logging.getLogger(__name__)


class Revisions:
    """A worker. Any number of replicas may run it: each look is taken by one of them."""

    def __init__(
        self,
        *,
        looks: LookStore,
        subjects: Subjects,
        work: Explaining,
        jobs: Jobs,
        clock: Clock,
        after_s: Sequence[float] = LOOKS_S,
    ) -> None:
        """`work` explains by rules alone and keeps nothing."""
        self._looks = looks
        self._subjects = subjects
        self._work = work
        self._jobs = jobs
        self._clock = clock
        self._after_s = after_s

    async def run(self) -> None:
        """Runs for ever; what could not be looked at is due again."""
        while True:
            try:
                await self.once()
            except SensusError as error:
                logger.warning("revisions put off", extra={"cause": error.message})
            except Exception:
                logger.exception("revisions failed")
            await self._clock.sleep(EVERY_S)

    async def once(self) -> None:
        """Looks at what is due now; one that fails keeps no other from being looked at."""
        for finished in await self._looks.due(self._after_s, AT_ONCE):
            try:
                await detached(self._look(finished), name=f"look {finished.explanation_id}")
            except SensusError as error:
                extra = {"subject_id": finished.ref.id, "cause": error.message}
                logger.warning("look put off", extra=extra)
                await self._looks.give_back(finished.explanation_id)
            except Exception:
                logger.exception("look failed", extra={"subject_id": finished.ref.id})

    async def _look(self, finished: Finished) -> None:
        try:
            facts = await self._subjects.fetch(finished.ref)
        except NotFound:
            return
        if facts.state != finished.subject_state:
            return
        explanation = await self._work.explain(facts, DiscardProgress())
        now = known_of(unkept(finished.ref, explanation, create_us=0))
        if decisive(known_of(finished.result), now):
            metrics.REVISIONS.inc()
            logger.info("explained anew", extra={"subject_id": finished.ref.id})
            await self._jobs.open(finished.ref, facts=facts, anew=True)


def decisive(before: Conclusion, now: Conclusion) -> bool:
    """Whether what is known now says more than what was: another cause, or more behind it."""
    if not now.cause:
        return False
    if now.cause != before.cause:
        return now.confidence >= before.confidence or not before.cause
    return bool(now.telling - before.telling)
