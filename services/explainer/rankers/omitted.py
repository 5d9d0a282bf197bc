"""Blames the service that handles requests without the calls they usually take.

Uses how often services answered whom, counted from trace spans. A service that fails early or
returns a wrong answer calls its callees less per request that it handles, whatever the load is.
How many calls are missing is measured in standard deviations of a count. What a service omits
because one that it calls does the same is not its own. Cost: one pass over the counts. Blind
without traces, and to faults that fail after all calls are made.

>>> from services.explainer.model.case import Case, Subject
>>> OmittedCalls().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from services.explainer.model.case import Case, ServiceGraph
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.measures import words_of
from services.explainer.rankers.moves import unexplained_in
from services.explainer.rankers.ranking import ranking

NOTICEABLE = 0.2
"""Share of the usual calls that must be missing to count."""

Edge = tuple[str, str]


def _tally() -> defaultdict[int, float]:
    return defaultdict(float)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calls:
    """Calls per sample time, what was usual and what is observed, and where they were counted."""

    usual: dict[int, float] = field(default_factory=_tally)
    seen: dict[int, float] = field(default_factory=_tally)
    evidence_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedCalls:
    """Calls missing per request handled."""

    name: str = "omitted calls"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        handled, made = _counted(case)
        missing = {
            (caller, callee): _missing(handled[caller], calls)
            for (caller, callee), calls in made.items()
            if caller in handled and caller != callee
        }
        strength: dict[str, float] = dict.fromkeys(sorted(handled), 0.0)
        for (caller, _), size in missing.items():
            strength[caller] = max(strength[caller], float(np.log1p(size)))
        called = ServiceGraph(edges=frozenset(missing))
        scores = unexplained_in(called, strength)
        return ranking(scores, _reasons(missing, made), ranker=self.name)


def _counted(case: Case) -> tuple[Mapping[str, Calls], Mapping[Edge, Calls]]:
    handled: dict[str, Calls] = defaultdict(Calls)
    made: dict[Edge, Calls] = defaultdict(Calls)
    for window in case.series:
        if window.labels.get("span_kind") == "server" and "count" in words_of(window.metric):
            _add(window, handled[window.service])
            _add(window, made[window.labels.get("peer", ""), window.service])
    return handled, made


def _add(window: SeriesWindow, calls: Calls) -> None:
    calls.evidence_ids.append(window.evidence_id)
    for at, value, seen in zip(window.timestamps_ms, window.values, window.inside, strict=True):
        if np.isfinite(value) and value > 0:
            (calls.seen if seen else calls.usual)[int(at)] += float(value)


def _missing(handled: Calls, made: Calls) -> float:
    """Standard deviations of the count by which calls fall short of the requests handled."""
    requests = sum(handled.seen.values())
    if not handled.usual or not requests:
        return 0.0
    per_request = np.median(
        [made.usual.get(at, 0.0) / n for at, n in sorted(handled.usual.items())]
    )
    expected = float(per_request) * requests
    short = expected - sum(made.seen.values())
    size = short / float(np.sqrt(expected + 1.0))
    return size if size > USUAL_SIGMAS and short > NOTICEABLE * expected else 0.0


def _reasons(missing: Mapping[Edge, float], made: Mapping[Edge, Calls]) -> dict[str, list[Reason]]:
    found: dict[str, list[Reason]] = defaultdict(list)
    for (caller, callee), size in sorted(missing.items()):
        text = f"it calls {callee} less per request, by {size:.1f} standard deviations"
        evidence_id = min(filter(None, made[caller, callee].evidence_ids), default="")
        found[caller].append(Reason(text=text, evidence_id=evidence_id, score=size))
    return found
