"""Blames the service that answers well, but by other calls than usual.

Uses which direct calls an operation makes to answer once. A wrong early return, a missing write, a
query too many or a call in a loop fail nowhere and take no time; they show in the calls. How
often a shape comes is a count: one that was rare and is not any more is judged by its past, per
answer of its operation. Answers that are short because a call of theirs failed, because nobody
waited for them, or because spans of them were lost on the way, are not their own doing and are
taken off; nor are those of an operation that takes several times as long as usual. Cost: one pass
over the shapes. Blind to what makes no calls.

>>> from services.explainer.model.case import Case, Subject
>>> PathChanged().rank(Case(subject=Subject(id="a1"))).suspects
()
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeChange:
    """A shape that comes more often than it used to.

    Attributes:
        sigmas: How unlikely that is, ≥ 0, all shapes considered.
        share: Of the answers of its operation, beyond what is usual and what failures explain.
        lacks: Calls of the usual shape that it does not make, or makes less often.
        adds: Calls that it makes and the usual shape does not, or less often.
    """

    shape: Shape
    sigmas: float
    share: float
    lacks: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()


def changed_shapes(traces: Traces) -> list[ShapeChange]:
    """What is beyond the usual, the least likely first."""
    failed, given_up, unseen = _failed_calls(traces), _given_up(traces), _callers_unseen(traces)
    commonest, slower = _commonest(traces.shapes), _slower(traces)
    questions = len(traces.shapes) * traces.looks
    found = []
    for each in traces.shapes:
        if not each.observed_total or not each.usual_total:
            continue
        usual_share = (each.usual + 0.5) / each.usual_total
        place = each.service, each.operation
        explained = failed.get(place, 0.0) + given_up.get(place, 0.0)
        explained += max(
            (unseen.get(c, 0.0) for c in _lacking(each, commonest[place])), default=0.0
        )
        own = each.observed - explained
        lacks, adds = _difference(each, commonest[place])
        if lacks and not adds and place in slower:
            continue  # who returns early is not slower: these were cut short by who asked
        if own <= 0 or own / each.observed_total < RARER * usual_share:
            continue
        answers = System(services=frozenset(), observed=each.observed_total, usual=each.usual_total)
        found.append(
            ShapeChange(
                shape=each,
                sigmas=answers.surprise(own, each.usual, questions),
                share=own / each.observed_total - each.usual / each.usual_total,
                lacks=lacks,
                adds=adds,
            )
        )
    return sorted(found, key=lambda c: (-c.sigmas, c.shape.service, c.shape.operation, c.lacks))


def _failed_calls(traces: Traces) -> Mapping[tuple[str, str], float]:
    """Calls that failed, by the operation that made them, beyond what is usual."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for each in traces.calls:
        usual = each.usual.errors / max(1, each.usual.spans)
        beyond = each.observed.errors - usual * each.observed.spans
        found[each.caller, each.caller_operation] += max(0.0, beyond)
    return found


def _given_up(traces: Traces) -> Mapping[tuple[str, str], float]:
    """Answers that were cut short because the caller gave up, by the operation that was called.

    A caller may have given up on any of those that it calls.
    """
    found: dict[tuple[str, str], float] = defaultdict(float)
    for origin in traces.origins:
        if origin.reason is Why.TOO_SLOW:
            found[origin.service, origin.operation] += origin.observed
        for each in traces.calls if origin.reason is Why.GAVE_UP else ():
            if (each.caller, each.caller_operation) == (origin.service, origin.operation):
                found[each.service, each.operation] += origin.observed
    return found


def _callers_unseen(traces: Traces) -> Mapping[tuple[str, str], float]:
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


def _slower(traces: Traces) -> frozenset[tuple[str, str]]:
    """Operations that take several times as long as usual, for half of the calls or the slowest."""
    return frozenset(
        (each.service, each.operation)
        for each in traces.calls
        for now, before in ((each.observed.duration, each.usual.duration),)
        if now.p50 > SEVERAL * before.p50 > 0 or now.p95 > SEVERAL * before.p95 > 0
    )


def _lacking(shape: Shape, usual: Shape) -> frozenset[tuple[str, str]]:
    """Whom the usual shape calls and this one does not."""
    own = {(each.service, each.operation) for each in shape.calls}
    return frozenset((each.service, each.operation) for each in usual.calls) - own


def _commonest(shapes: Iterable[Shape]) -> Mapping[tuple[str, str], Shape]:
    found: dict[tuple[str, str], Shape] = {}
    for each in shapes:
        key = each.service, each.operation
        found[key] = max(found.get(key, each), each, key=lambda shape: (shape.usual, _text(shape)))
    return found


def _text(shape: Shape) -> str:
    return str(sorted((c.service, c.operation, c.times) for c in shape.calls))


def _difference(shape: Shape, usual: Shape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The calls that it lacks beside the usual shape, and those that it adds."""
    now, before = _times(shape.calls), _times(usual.calls)
    names = sorted(now.keys() | before.keys())
    lacks = tuple(n for n in names if now.get(n, 0) < before.get(n, 0))
    return lacks, tuple(n for n in names if now.get(n, 0) > before.get(n, 0))


def _times(calls: Iterable[DirectCall]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for each in calls:
        is_said = each.operation.startswith(each.service)
        name = each.operation if is_said else f"{each.service} {each.operation}"
        found[name.strip()] += each.times
    return found


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
