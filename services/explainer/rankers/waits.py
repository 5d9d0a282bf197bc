"""Blames the service in which requests lose their time, or on the way to which they wait.

Uses the time that operations spend themselves, and what callers wait beyond the answer: both from
whole traces, so that nobody's time is counted twice. What is waited on the way is charged to the
service that is called, also where nobody answers; so is a queue in front of it, for it is not the
caller who is slow. A service is suspect by how far its time left the usual one, by the time that an
average request loses there, and by how many calls at least that takes: traces that were kept
because they are slow may be few and lose much. Cost: one pass over the edges. Blind to requests
that are not traced.

>>> from services.explainer.model.case import Case, Subject
>>> LongerWaits().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Final

import numpy as np
from scipy.special import betainc

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.traces import Call, CallKind, Durations, Traces
from services.explainer.rankers.counts import PRIOR, as_robust, sigmas_of
from services.explainer.rankers.deviation import MOST_SIGMAS, NORMAL_P95, USUAL_SIGMAS
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.spans import DOUBTFUL_CALLS
from services.explainer.rankers.systems import AddressOwners, System, systems_of
from services.explainer.rankers.timelost import RELEVANT_SHARE

LEAST_SPREAD: Final = 0.1
"""Smallest spread as a share of the time itself: durations are known to a tenth."""

SLOWEST_SHARE: Final = 0.05
"""Share of the calls that take longer than the 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedWait:
    """Time that one edge takes beyond what is usual.

    Attributes:
        service: Who is charged with it.
        is_wait: Whether the caller waits on the way; else the service takes it itself.
        observed: How long it takes; `usual` as a rule.
        size: Robust standard deviations, > `USUAL_SIGMAS`.
        trust: How well several calls support it, 0..1.
        lost: Seconds that an average request of the system loses, > 0.
        slowdown: How many times as long as usual all of the system takes, ≥ 1.
    """

    call: Call
    service: str
    is_wait: bool
    observed: Durations
    usual: Durations
    size: float
    trust: float
    lost: float
    slowdown: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """What one edge takes on both sides, and who is charged with it."""

    call: Call
    service: str
    is_wait: bool
    observed: Durations
    usual: Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class _Growth:
    """How many times as long as usual half of the calls, the slowest, and the mean take, ≥ 1."""

    p50: float
    p95: float
    mean: float


def longer(traces: Traces) -> list[AddedWait]:
    """What takes longer than usual, the most lost time first.

    What slows all of a system alike, such as a machine that is short of time, is no fault of one.
    It is told apart for half of the calls, for the slowest, and for the mean: a machine that stalls
    at times slows few calls, means by those, and leaves half of the calls about as they were.
    """
    systems = systems_of(traces)
    measured: dict[frozenset[str], list[_Times]] = defaultdict(list)
    for each in _measured(traces, systems):
        measured[systems[each.service].services].append(each)
    questions = traces.looks * sum(map(len, measured.values()))
    found = [
        _longer(each, systems[each.service], growth, questions)
        for times in measured.values()
        for growth in [_growth_of_all(times)]
        for each in times
    ]
    return sorted((each for each in found if each), key=_order)


def _measured(traces: Traces, systems: Mapping[str, System]) -> Iterator[_Times]:
    behind = AddressOwners(traces, systems)
    for calls in _by_operation(traces.calls):
        busiest = max(
            calls, key=lambda call: (call.usual.spans, call.caller, call.caller_operation)
        )
        if busiest.service in systems:
            yield _Times(
                call=busiest,
                service=busiest.service,
                is_wait=False,
                observed=_together([each.observed.own for each in calls]),
                usual=_together([each.usual.own for each in calls]),
            )
    for each in traces.calls:
        charged = behind(each.service, each.operation, each.caller)
        if each.caller and charged in systems:
            yield _Times(
                call=each,
                service=charged,
                is_wait=True,
                observed=each.observed.wait,
                usual=_usual_wait(each, charged, traces),
            )


def _growth_of_all(times: Sequence[_Times]) -> _Growth:
    """By how much the middle one of all grew."""
    known = [each for each in times if each.observed.count and each.usual.count]
    return _Growth(
        p50=_middle((each.observed.p50, each.usual.p50) for each in known),
        p95=_middle((each.observed.p95, each.usual.p95) for each in known),
        mean=_middle((each.observed.mean, each.usual.mean) for each in known),
    )


def _middle(pairs: Iterable[tuple[float, float]]) -> float:
    """How many times as long as before the middle one takes, at least 1."""
    grown = sorted(now / before for now, before in pairs if before > 0)
    return max(1.0, grown[(len(grown) - 1) // 2]) if grown else 1.0


def _order(found: AddedWait) -> tuple[float, str, str, str, str, bool]:
    call = found.call
    return (
        -found.lost,
        found.service,
        call.operation,
        call.caller,
        call.caller_operation,
        found.is_wait,
    )


def _by_operation(calls: Iterable[Call]) -> list[list[Call]]:
    """The calls of each operation that was served, whoever made them."""
    found: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for each in calls:
        if each.via in (CallKind.CALL, CallKind.ENTRY, CallKind.MESSAGING) and not each.is_outward:
            found[each.service, each.operation].append(each)
    return [found[key] for key in sorted(found)]


def _together(parts: Sequence[Durations]) -> Durations:
    """All of them; quantiles as theirs weighed by their counts."""
    count = sum(each.count for each in parts)
    if not count:
        return Durations()
    return Durations(
        count=count,
        p50=fsum(each.p50 * each.count for each in parts) / count,
        p95=fsum(each.p95 * each.count for each in parts) / count,
        longest=max(each.longest for each in parts),
        sum=fsum(each.sum for each in parts),
    )


def _usual_wait(call: Call, charged: str, traces: Traces) -> Durations:
    """What is usual of a wait; of one that nobody answers any more how long answers took."""
    if charged == call.service or call.usual.spans:
        return call.usual.wait
    caller = call.caller, call.caller_operation, charged
    answered = [
        each
        for each in traces.calls
        if (each.caller, each.caller_operation, each.service) == caller
    ]
    most = max(answered, key=lambda each: (each.usual.spans, each.operation), default=call)
    return most.usual.duration


def _longer(times: _Times, system: System, growth: _Growth, questions: int) -> AddedWait | None:
    observed, usual = times.observed, times.usual
    due = replace(
        usual,
        p50=growth.p50 * usual.p50,
        p95=growth.p95 * usual.p95,
        sum=growth.mean * usual.sum,
    )
    if not usual.count or not observed.count or not system.observed:
        return None
    half, slowest = _sizes(observed, usual, due)
    size = max(min(MOST_SIGMAS, max(half, slowest)), _beyond_slowest(observed, due, questions))
    beyond, slow = observed.sum - due.mean * observed.count, 0.0
    if beyond > 0:
        slow = _least_calls(observed, due)
    if half > USUAL_SIGMAS:
        slow = max(slow, observed.count / 2)
        beyond = max(beyond, observed.count / 2 * (observed.p50 - due.p50))
    if size <= USUAL_SIGMAS or beyond <= 0:
        return None
    return AddedWait(
        call=times.call,
        service=times.service,
        is_wait=times.is_wait,
        observed=observed,
        usual=usual,
        size=size,
        trust=slow / (slow + DOUBTFUL_CALLS),
        lost=beyond / system.observed,
        slowdown=growth.mean,
    )


def _least_calls(observed: Durations, usual: Durations) -> float:
    """How many calls it takes at least to lose the time that was lost: none lost more than one can.

    Where slow traces are kept and few others, one of them loses as much as many.

    >>> usual = Durations(count=100, p50=0.1, p95=0.2, longest=0.3, sum=11.0)
    >>> round(_least_calls(Durations(count=40, p50=0.5, p95=0.6, longest=0.6, sum=20.0), usual), 1)
    31.8
    >>> round(_least_calls(Durations(count=40, p50=0.1, p95=0.2, longest=5.0, sum=9.0), usual), 1)
    0.9
    """
    beyond = observed.sum - usual.mean * observed.count
    return beyond / max(observed.longest - usual.mean, beyond / observed.count)


def _sizes(observed: Durations, usual: Durations, due: Durations) -> tuple[float, float]:
    """Robust standard deviations by which half of the calls, and the slowest, grew beyond all.

    The spread of each grew as that of all others.
    """
    spread = max((usual.p95 - usual.p50) / NORMAL_P95, LEAST_SPREAD * usual.p50, 1e-9)
    half = (observed.p50 - due.p50) * _share(usual.p50, due.p50)
    slowest = (observed.p95 - due.p95) * _share(usual.p95, due.p95)
    return half / spread, slowest / spread


def _share(usual: float, due: float) -> float:
    return usual / due if due > 0 else 1.0


def _beyond_slowest(observed: Durations, usual: Durations, questions: int) -> float:
    """How unlikely it is that half of the calls take longer than the slowest usually do.

    A spread is far too wide where slow traces are kept and few others, but what share of the calls
    is beyond the usual 95th percentile is a count. The more was asked, the less one answer says.

    >>> usual = Durations(count=50, p50=0.05, p95=0.2, sum=4.0)
    >>> [round(_beyond_slowest(Durations(count=n, p50=0.3), usual, 1), 1) for n in (1, 4, 8, 40)]
    [2.0, 3.0, 7.9, 50.0]
    >>> _beyond_slowest(Durations(count=40, p50=0.2), usual, 1)
    0.0
    """
    if observed.p50 <= usual.p95:
        return 0.0
    share = (SLOWEST_SHARE * usual.count + PRIOR) / (usual.count + 2 * PRIOR)
    half = (observed.count + 1) // 2
    likely = float(betainc(half, observed.count - half + 1, share))
    return as_robust(sigmas_of(min(1.0, likely * questions)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LongerWaits:
    """Own time and waits of every service of the traces, in seconds of an average request."""

    name: str = "longer waits"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        systems = systems_of(case.traces)
        found = longer(case.traces)
        scores: dict[str, float] = defaultdict(float)
        reasons: dict[str, list[Reason]] = defaultdict(list)
        for each in found:
            system = systems[each.service]
            peers = [e.lost for e in found if e.service in system.services]
            request = each.slowdown * _request(case.traces, system)
            matters = max([RELEVANT_SHARE * request, each.lost, *peers])
            score = float(np.log1p(each.size)) * each.trust * each.lost / matters
            scores[each.service] = max(scores[each.service], score)
            reasons[each.service].append(_reason(each))
        return ranking(scores, reasons, ranker=self.name)


def _request(traces: Traces, system: System) -> float:
    """Seconds that a request of a system usually takes."""
    entries = [
        each.usual.duration
        for each in traces.calls
        if each.via is CallKind.ENTRY and each.service in system.services
    ]
    count = sum(each.count for each in entries)
    return sum(each.sum for each in entries) / count if count else 0.0


def _reason(found: AddedWait) -> Reason:
    text = f"{found.call.operation} takes longer itself"
    if found.is_wait:
        text = f"{found.call.caller} waits longer for it"
    call = found.call
    evidence_id = call.wait_evidence_id if found.is_wait else call.evidence_id
    return Reason(text=text, evidence_id=evidence_id, score=found.size)
