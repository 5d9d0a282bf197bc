"""Blames the service that answers well, but by other calls than usual.

Uses which direct calls an operation makes to answer once. A wrong early return, a missing write, a
query too many or a call in a loop fail nowhere and take no time; they show in the calls. How
often answers make a call, whatever else they call, is a count: what was rare and is not any more is
judged by its past, per answer of its operation. Answers that are short because a call of theirs
failed, because nobody waited for them, or because spans of them were lost on the way, are not their
own doing and are taken off; nor are those of an operation that takes several times as long as
usual. Cost: one pass over the shapes for each call and number. Blind to what makes no calls.

>>> from services.explainer.model.case import Case, Subject
>>> PathChanged().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.explainer.model.case import Case
from services.explainer.model.ranking import Ranking, Reason
from services.explainer.model.traces import CallKind, DirectCall, Shape, Traces
from services.explainer.model.traces import Reason as Why
from services.explainer.rankers.counts import as_robust
from services.explainer.rankers.ranking import ranking
from services.explainer.rankers.systems import ENOUGH, System, systems_of

RARER: Final = 3.0
"""So many times as often as usual, at least: else it is the mix of requests that changed."""
SEVERAL: Final = 3.0
"""Times as long as usual, from which on answers take longer beyond doubt."""

Callee = tuple[str, str]
"""Service and operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeChange:
    """Answers that differ alike from the usual shape, and come more often than they used to.

    Attributes:
        shape: The commonest of theirs.
        observed: How many there are, of all shapes that differ so; `usual` in the other span.
        sigmas: How unlikely that is, ≥ 0, all shapes considered.
        share: Of the answers of its operation, beyond what is usual and what failures explain.
        lacks: Calls of the usual shape that they do not make, or make less often.
        adds: Calls that they make and the usual shape does not, or less often.
    """

    shape: Shape
    observed: int
    usual: int
    sigmas: float
    share: float
    lacks: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


def changed_shapes(traces: Traces) -> list[ShapeChange]:
    """What is beyond the usual, the least likely first; of one shape once."""
    excuses, slower = _Excuses(traces), _slower(traces)
    questions = len(traces.shapes) * traces.looks
    found = []
    for answers in _alike(traces.shapes):
        first = answers.shapes[0]
        place = first.service, first.operation
        if answers.lacks and not answers.adds and place in slower:
            continue  # who returns early is not slower: these were cut short by who asked
        observed = sum(each.observed for each in answers.shapes)
        usual = sum(each.usual for each in answers.shapes)
        own = observed - excuses(place, answers.absent)
        usual_share = (usual + 0.5) / first.usual_total
        if own <= 0 or own / first.observed_total < RARER * usual_share:
            continue
        all_answers = System(
            services=frozenset(), observed=first.observed_total, usual=first.usual_total
        )
        found.append(
            ShapeChange(
                shape=max(answers.shapes, key=lambda each: (each.observed, _text(each))),
                observed=observed,
                usual=usual,
                sigmas=all_answers.surprise(own, usual, questions),
                share=own / first.observed_total - usual / first.usual_total,
                lacks=tuple(answers.lacks),
                adds=tuple(answers.adds),
            )
        )
    found.sort(key=lambda c: (-c.sigmas, c.shape.service, c.shape.operation, c.lacks, c.adds))
    once = dict[Shape, ShapeChange]()
    for each in found:
        once.setdefault(each.shape, each)
    return list(once.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """Shapes of an operation that all make some call more often than others, or less often.

    Attributes:
        lacks: Calls that they make less often; `adds` those that they make more often.
        absent: Whom others of the operation call and none of these, by service and operation.
    """

    shapes: list[Shape]
    lacks: list[str]
    adds: list[str]
    absent: frozenset[Callee]


def _alike(shapes: Iterable[Shape]) -> Iterator[_Answers]:
    """By how often they make one call, whatever else they call, for each call and number.

    So it matters little that each way to lose spans is a shape of its own. Calls that tell the same
    shapes apart are taken together.
    """
    places: dict[Callee, list[Shape]] = defaultdict(list)
    for each in shapes:
        if each.observed_total and each.usual_total:
            places[each.service, each.operation].append(each)
    for known in places.values():
        made = [_times(each.calls) for each in known]
        callees = sorted({callee for times in made for callee in times})
        together: dict[tuple[int, ...], tuple[list[str], list[str]]] = {}
        for callee in callees:
            for least in sorted({times[callee] for times in made if callee in times}):
                is_more = [times.get(callee, 0) >= least for times in made]
                more = tuple(n for n, is_one in enumerate(is_more) if is_one)
                fewer = tuple(
                    n for n, is_one in enumerate(is_more) if not is_one and not known[n].is_coarse
                )
                for numbers, place in ((fewer, 0), (more, 1)):
                    names = together.setdefault(numbers, ([], []))[place]
                    if (name := _name(callee)) not in names:
                        names.append(name)
        for numbers, (lacks, adds) in together.items():
            called = {callee for n in numbers for callee in made[n]}
            if numbers:
                yield _Answers(
                    shapes=[known[n] for n in numbers],
                    lacks=sorted(lacks),
                    adds=sorted(adds),
                    absent=frozenset(callees) - called,
                )


class _Excuses:
    """How many answers of an operation are other than usual by no doing of their own."""

    def __init__(self, traces: Traces) -> None:
        self._failed = _failed_calls(traces)
        self._given_up = _given_up(traces)
        self._unseen = _callers_unseen(traces)

    def __call__(self, place: Callee, absent: Iterable[Callee]) -> float:
        """Of the operation at `place`, whose answers do not call those."""
        unseen = max((self._unseen.get(each, 0.0) for each in absent), default=0.0)
        return self._failed.get(place, 0.0) + self._given_up.get(place, 0.0) + unseen


def _failed_calls(traces: Traces) -> Mapping[Callee, float]:
    """Calls that failed, by the operation that made them, beyond what is usual."""
    found: dict[Callee, float] = defaultdict(float)
    for each in traces.calls:
        usual = each.usual.errors / max(1, each.usual.spans)
        beyond = each.observed.errors - usual * each.observed.spans
        found[each.caller, each.caller_operation] += max(0.0, beyond)
    return found


def _given_up(traces: Traces) -> Mapping[Callee, float]:
    """Answers that were cut short because the caller gave up, by the operation that was called.

    A caller may have given up on any of those that it calls.
    """
    found: dict[Callee, float] = defaultdict(float)
    for origin in traces.origins:
        if origin.reason is Why.TOO_SLOW:
            found[origin.service, origin.operation] += origin.observed
        for each in traces.calls if origin.reason is Why.GAVE_UP else ():
            if (each.caller, each.caller_operation) == (origin.service, origin.operation):
                found[each.service, each.operation] += origin.observed
    return found


def _callers_unseen(traces: Traces) -> Mapping[Callee, float]:
    """Calls of an operation whose caller's span was lost, beyond what is usual.

    Others usually call it, and now it seems to be asked by nobody: then answers of those others
    only seem to lack the call.
    """
    called = {(each.service, each.operation) for each in traces.calls if each.via is CallKind.CALL}
    systems = systems_of(traces)
    return {
        (each.service, each.operation): max(
            0.0, each.observed.spans - systems[each.service].expected(each.usual.spans)
        )
        for each in traces.calls
        if each.via is CallKind.ENTRY
        and (each.service, each.operation) in called
        and each.service in systems
    }


def _slower(traces: Traces) -> frozenset[Callee]:
    """Operations that take several times as long as usual, for half of the calls or the slowest."""
    return frozenset(
        (each.service, each.operation)
        for each in traces.calls
        for now, before in ((each.observed.duration, each.usual.duration),)
        if now.p50 > SEVERAL * before.p50 > 0 or now.p95 > SEVERAL * before.p95 > 0
    )


def _text(shape: Shape) -> str:
    return str(sorted((c.service, c.operation, c.times) for c in shape.calls))


def _times(calls: Iterable[DirectCall]) -> dict[Callee, int]:
    found: dict[Callee, int] = defaultdict(int)
    for each in calls:
        found[each.service, each.operation] += each.times
    return dict(found)


def _name(callee: Callee) -> str:
    service, operation = callee
    return operation if operation.startswith(service) else f"{service} {operation}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChanged:
    """How unlikely the shapes of calls are by their past, by their share of the answers."""

    name: str = "path changed"

    def rank(self, case: Case) -> Ranking:
        """See `Ranker.rank`."""
        scores: dict[str, float] = defaultdict(float)
        reasons: dict[str, list[Reason]] = defaultdict(list)
        for each in changed_shapes(case.traces):
            service = each.shape.service
            score = float(np.log1p(as_robust(each.sigmas))) * min(1.0, each.share / ENOUGH)
            scores[service] = max(scores[service], score)
            reasons[service].append(_reason(each))
        return ranking(scores, reasons, ranker=self.name)


def _reason(changed: ShapeChange) -> Reason:
    parts = [f"without {', '.join(changed.lacks)}"] if changed.lacks else []
    parts += [f"with more of {', '.join(changed.adds)}"] if changed.adds else []
    how = " and ".join(parts) or "by other calls"
    return Reason(
        text=f"{changed.shape.operation} answers {how}",
        evidence_id=changed.shape.evidence_id,
        score=changed.sigmas,
    )
