"""Casts a doubt on a service of which a new version began to run shortly before.

Uses versions as the traces tell them. Most deploys are harmless, so a new version alone names
nobody; it adds to what else is known of a service. Cost: one pass over the versions.

>>> from services.explainer.model.case import Case, Subject
>>> NearDeploy().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from dataclasses import dataclass
from typing import Final

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.traces import Version
from services.explainer.rankers.changes import LONGEST_LAG_MS
from services.explainer.rankers.ranking import ranking

LATEST_LAG_MS: Final = 2 * 60_000
"""Clocks differ; what began to run later than this after the symptom is an answer to it."""

DOUBT: Final = 1.0
"""Score of a new version: alone it stays below `MIDDLE`, beside another reason it adds a tenth."""


def near_versions(case: Case) -> list[Version]:
    """Versions first seen shortly before the observed span up to the symptom, newest first."""
    traces = case.traces
    latest_ms = min(traces.end_ms, case.subject.started_ms + LATEST_LAG_MS)
    found = [
        each
        for each in traces.versions
        if traces.start_ms - LONGEST_LAG_MS <= each.first_seen_ms < latest_ms
    ]
    return sorted(found, key=lambda each: (-each.first_seen_ms, each.service, each.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDeploy:
    """One score for every service with a new version."""

    name: str = "near deploy"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found = near_versions(case)
        scores = {each.service: DOUBT for each in found}
        reasons = {
            each.service: [
                Reason(
                    text="a new version of it began to run shortly before",
                    evidence_id=each.evidence_id,
                    score=DOUBT,
                )
            ]
            for each in reversed(found)
        }
        return ranking(scores, reasons, ranker=self.name)
