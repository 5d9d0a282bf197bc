"""Casts a doubt on a service that logs what it did not log before.

Uses patterns of log lines, warnings and worse. Whether a line means harm is not known: a new
version logs new things, and who notices a fault logs it, not who has it. So new lines alone name
nobody; they add to what else is known of a service. Cost: one pass over the patterns.

>>> from services.explainer.model.case import Case, Subject
>>> NewLogPatterns().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.traces import LogLines, Traces
from services.explainer.rankers.counts import as_robust
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.systems import systems_of

DOUBT: Final = 0.25
"""Weight of what may never name somebody alone: even the farthest stays below `MIDDLE`."""


def new_lines(traces: Traces) -> list[tuple[LogLines, float]]:
    """Patterns with how unlikely so many lines are, in standard deviations, the least likely first.

    Lines are counted per request of the system that their service belongs to.
    """
    systems, questions = systems_of(traces), len(traces.lines) * traces.looks
    found = [
        (each, systems[each.service].surprise(each.observed, each.usual, questions))
        for each in traces.lines
        if each.service in systems
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].service, pair[0].text))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogPatterns:
    """How unlikely the lines of a service are by their past; a doubt, no more."""

    name: str = "new log patterns"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        scores: dict[str, float] = defaultdict(float)
        reasons: dict[str, list[Reason]] = defaultdict(list)
        for each, sigmas in new_lines(case.traces):
            score = DOUBT * float(np.log1p(as_robust(sigmas)))
            scores[each.service] = max(scores[each.service], score)
            reasons[each.service].append(
                Reason(
                    text="it logs what it did not log before",
                    evidence_id=each.evidence_id,
                    score=sigmas,
                )
            )
        return ranking(scores, reasons, ranker=self.name)
