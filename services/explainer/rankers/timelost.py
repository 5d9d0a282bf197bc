"""Blames the service in which calls lose their time.

Uses self times of trace spans. Time lost inside a service is charged to it, less what the
services it calls explain. Time lost between a caller's client span and the called service's
server span (network, connection, queue) is charged to the service called, as far as this one
service explains all the waits seen and all its callers wait; unless the caller is starved of
CPU, whose waits are its own. After the idea of Nezha (Yu et al., 2023) to compare traces with
fault-free ones, without its pattern mining. Cost: one sort per span series. Weak when traces
are sampled thinly; blind without them.

>>> from services.explainer.model.case import Case, Subject
>>> TimeLost().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from services.explainer.model.case import Case, ServiceGraph
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.rankers.hops import alone
from services.explainer.rankers.measures import Measure
from services.explainer.rankers.moves import moves_of
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.routes import Route, routes_of
from services.explainer.rankers.spans import Span, TimeExcess, spans_of

STARVED_SIGMAS = 10.0
"""CPU this far above its baseline means that the process itself was held up."""

NOTICEABLE = 0.1
"""Share of the longest wait for a service that counts as waiting for it, too."""

RELEVANT_SHARE = 0.25
"""Time lost, as a share of the longest usual request, that is fully worth explaining."""

Excesses = dict[str, TimeExcess]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLost:
    """Own time and waits of every service, in one unit."""

    name: str = "time lost in calls"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        spans = spans_of(case)
        starved = _starved(case)
        routes = routes_of(spans)
        waits = charged([r for r in routes if r.caller not in starved])
        inside = _inside(spans, [r for r in routes if r.caller in starved])
        within = {s: _unexplained(s, inside, waits, spans, case.graph) for s in inside}
        matters = _mattering(spans, [*within.values(), *waits.values()])
        scores: dict[str, float] = {}
        reasons: dict[str, list[Reason]] = defaultdict(list)
        for found in (within, waits):
            for service, excess in found.items():
                scores[service] = max(scores.get(service, 0.0), _score(excess, matters))
                reasons[service] += excess.reasons
        return ranking(scores, reasons, ranker=self.name)


def charged(routes: Sequence[Route]) -> Excesses:
    """What is waited for each service, as far as it explains the waits and all its callers wait."""
    waits = _by_callee(routes)
    total = sum(r.excess.time for r in routes)
    found = {}
    for service, by_caller in waits.items():
        times = {caller: e.time for caller, e in by_caller.items()}
        longest = max(times.values())
        if longest <= 0:
            continue
        explains = min(1.0, sum(times.values()) / total)
        agree = float(np.mean([t > NOTICEABLE * longest for t in times.values()]))
        share = 2 * explains * agree / (explains + agree)
        worst = max(by_caller.values(), key=lambda e: e.time)
        found[service] = replace(worst, time=worst.time * share)
    return found


def _by_callee(routes: Sequence[Route]) -> Mapping[str, Mapping[str, TimeExcess]]:
    """The longest wait of each caller for each service, less what it waits for the others."""
    waits: dict[str, dict[str, TimeExcess]] = defaultdict(dict)
    for caller in sorted({r.caller for r in routes}):
        mine = [r for r in routes if r.caller == caller]
        longest: Excesses = {}
        for route in mine:
            for service, plausible in route.plausible.items():
                wait = replace(route.excess, time=route.excess.time * plausible)
                longest[service] = max(longest.get(service, wait), wait, key=lambda e: e.time)
        named = {s: e.time for s, e in longest.items() if all(len(r.plausible) == 1 for r in mine)}
        for service, wait in longest.items():
            time = alone(service, named) if named else wait.time
            waits[service][caller] = replace(wait, time=time)
    return waits


def _inside(spans: Sequence[Span], own_waits: Sequence[Route]) -> Excesses:
    found = [(s.service, s.own) for s in spans if s.kind != "client"]
    found += [(r.caller, r.excess) for r in own_waits]
    inside: Excesses = {}
    for service, excess in found:
        inside[service] = max(inside.get(service, excess), excess, key=lambda e: e.time)
    return inside


def _unexplained(
    service: str, inside: Excesses, waits: Excesses, spans: Sequence[Span], graph: ServiceGraph
) -> TimeExcess:
    called = [s for s in spans if s.kind == "server" and s.peer == service != s.service]
    callees = {s.service for s in called}.union(graph.callees(service)) - {service}
    below = [s.whole.time for s in called] + [waits[c].time for c in callees if c in waits]
    own = inside[service]
    return replace(own, time=max(0.0, own.time - max(below, default=0.0)))


def _starved(case: Case) -> frozenset[str]:
    found = moves_of(case, frozenset({Measure.CPU}))
    return frozenset(s for s, moves in found.items() if moves[0].size > STARVED_SIGMAS)


def _mattering(spans: Sequence[Span], found: Sequence[TimeExcess]) -> float:
    """Time that counts fully: the longest found, or a fair share of a usual request if longer."""
    request = max((s.usual for s in spans if s.kind == "server"), default=0.0)
    return max([RELEVANT_SHARE * request, *(e.time for e in found)])


def _score(excess: TimeExcess, matters: float) -> float:
    if matters <= 0:
        return 0.0
    return float(np.log1p(excess.size)) * excess.trust * excess.time / matters
