"""Blames the service in which failing requests fail first.

Uses, of each trace, the bad span without a bad child: errors show all along a chain of calls, and
begin at its end. How many begin in a place is a count, so how many are too many follows from how
many there were before, per request of the system that the service belongs to. A service is
suspect by the least likely of its counts, as far as it has a part in what fails, and as far as
what fails is a part of all requests. Topology charges a call that was given up though it was
answered to whom it asked if that took several times as long as usual, else to who gave up too
soon; one that nobody answered is charged to whom usually answers there. Cost: one pass over the
counts. Blind to faults that no span and no line tells of.

>>> from services.explainer.model.case import Case, Subject
>>> FirstToFail().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.traces import Origin, Traces
from services.explainer.model.traces import Reason as Why
from services.explainer.rankers.counts import as_robust
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.systems import DOMINANT, ENOUGH, AddressOwners, System, systems_of

HOW: Final = {
    Why.EXCEPTION: "exception",
    Why.STATUS: "status",
    Why.LOG: "error line",
    Why.UNREACHABLE: "nobody answered",
    Why.TOO_SLOW: "answered too late",
    Why.GAVE_UP: "gave up waiting",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorExcess:
    """Errors beyond what is usual in one place.

    Attributes:
        service: Who is charged with them.
        sigmas: How unlikely so many are, ≥ 0, all places that were asked about considered.
        beyond: How many more than usual.
    """

    origin: Origin
    service: str
    system: System
    sigmas: float
    beyond: float


def excesses(traces: Traces) -> list[ErrorExcess]:
    """What is beyond the usual, the least likely first."""
    systems = systems_of(traces)
    behind = AddressOwners(traces, systems)
    questions = len(traces.origins) * traces.looks
    found = []
    for each in traces.origins:
        service = each.service
        if each.reason is not Why.GAVE_UP:
            service = behind(service, each.operation)
        if service not in systems:
            continue  # nobody knows who that is
        system = systems[service]
        found.append(
            ErrorExcess(
                origin=each,
                service=service,
                system=system,
                sigmas=system.surprise(each.observed, each.usual, questions),
                beyond=max(0.0, each.observed - system.expected(each.usual)),
            )
        )
    return sorted(found, key=lambda e: (-e.sigmas, -e.beyond, e.service, *_named(e.origin)))


def _named(origin: Origin) -> tuple[str, str, str]:
    return origin.operation, origin.reason.value, origin.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstToFail:
    """How unlikely the errors are that begin in a service, by its part in all that fails."""

    name: str = "first to fail"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        found = excesses(case.traces)
        sigmas: dict[str, float] = defaultdict(float)
        beyond: dict[str, float] = defaultdict(float)
        failing: dict[frozenset[str], float] = defaultdict(float)
        reasons: dict[str, list[Reason]] = defaultdict(list)
        systems: dict[str, System] = {}
        for each in sorted(found, key=lambda each: each.beyond):
            sigmas[each.service] = max(sigmas[each.service], each.sigmas)
            beyond[each.service] += each.beyond
            failing[each.system.services] += each.beyond
            reasons[each.service].append(_reason(each))
            systems[each.service] = each.system
        scores = {
            service: float(np.log1p(as_robust(sigmas[service])))
            * _part(beyond[service], failing[system.services], system)
            for service, system in systems.items()
        }
        return ranking(scores, reasons, ranker=self.name)


def _part(own: float, failing: float, system: System) -> float:
    """How much of what fails begins here, and how much of all requests that is, 0..1.

    >>> system = System(services=frozenset({"a"}), observed=100, usual=1000)
    >>> _part(10, 10, system), _part(30, 40, system), _part(1, 40, system)
    (0.5, 1.0, 0.05)
    """
    if failing <= 0 or not system.observed:
        return 0.0
    touched = min(1.0, failing / system.observed / ENOUGH)
    return min(1.0, own / failing / DOMINANT) * touched


def _reason(excess: ErrorExcess) -> Reason:
    return Reason(
        text=f"errors begin in it: {said(excess.origin)}",
        evidence_id=excess.origin.evidence_id,
        score=excess.sigmas,
    )


def said(origin: Origin) -> str:
    """Why its errors are held to have begun there, in a few words."""
    how = HOW[origin.reason]
    return f"{how} {origin.detail}" if origin.detail else how
