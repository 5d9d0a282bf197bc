"""From what was counted of traces to evidence that people read. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from services.explainer.evidence.figures import since_event
from services.explainer.model.case import Change
from services.explainer.model.evidence import SAMPLED, Evidence, EvidenceKind, Figure
from services.explainer.model.names import plain
from services.explainer.model.subjects import SubjectFacts
from services.explainer.model.traces import (
    Call,
    Example,
    Exemplar,
    LogLines,
    Origin,
    Shape,
    Traces,
    Version,
)
from services.explainer.rankers.deviation import USUAL_SIGMAS
from services.explainer.rankers.lines import new_lines
from services.explainer.rankers.origins import ErrorExcess, excesses, said
from services.explainer.rankers.paths import ShapeChange, changed_shapes
from services.explainer.rankers.waits import AddedWait, longer

ORIGINS_SHOWN_MAX: Final = 6
OTHERS_SHOWN_MAX: Final = 4

WORTH_SHOWING: Final = 2.0
"""Standard deviations from which on a count is a piece of evidence."""

_CHANGE_ID_CHARS: Final = 200

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SOURCE: Final = "topology CompareTraces"

T = TypeVar("T")
Counted = Origin | Shape | Call | LogLines | Version


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFinding:
    """Something that was counted, and the evidence that tells it.

    Attributes:
        of_wait: Of a call, whether it tells what the caller waits.
    """

    counted: Counted
    piece: Evidence
    of_wait: bool = False


def trace_evidence(
    traces: Traces, facts: SubjectFacts, changes: Iterable[Change] = ()
) -> list[TraceFinding]:
    """What is unusual enough to be shown, kind by kind, the least likely first.

    Versions that are among `changes` are not shown again: they have the evidence of the change, see
    `with_changes`.
    """
    found = [
        TraceFinding(counted=each.origin, piece=_origin(each, traces))
        for each in shown_origins(traces)
    ]
    shapes = [each for each in changed_shapes(traces) if each.sigmas >= WORTH_SHOWING]
    found += [
        TraceFinding(counted=each.shape, piece=_shape(each, traces))
        for each in spread(shapes, OTHERS_SHOWN_MAX, lambda each: each.shape.service)
    ]
    found += [
        TraceFinding(counted=each.call, piece=_wait(each, traces), of_wait=each.is_wait)
        for each in spread(longer(traces), OTHERS_SHOWN_MAX, lambda each: each.service)
    ]
    lines = [each for each, sigmas in new_lines(traces) if sigmas >= USUAL_SIGMAS]
    found += [
        TraceFinding(counted=each, piece=_lines(each, traces))
        for each in spread(lines, OTHERS_SHOWN_MAX, lambda each: each.service)
    ]
    known = {each.id for each in changes}
    versions = [each for each in traces.versions if change_id(each) not in known]
    return found + [
        TraceFinding(counted=each, piece=_version(each, facts))
        for each in spread(versions, OTHERS_SHOWN_MAX, lambda each: each.service)
    ]


def shown_origins(traces: Traces) -> list[ErrorExcess]:
    """Errors that are unlikely enough to be shown, the least likely first."""
    found = [each for each in excesses(traces) if each.sigmas >= WORTH_SHOWING]
    return spread(found, ORIGINS_SHOWN_MAX, lambda each: each.service)


def spread(found: Sequence[T], at_most: int, service_of: Callable[[T], str]) -> list[T]:
    """At most so many in the same order; of each service one before a second one of any.

    So nobody is suspected for what is not shown because much is shown of somebody else.

    >>> spread(["a1", "a2", "a3", "b1"], 3, lambda each: each[0])
    ['a1', 'a2', 'b1']
    """
    seen = Counter[str]()
    turns = []
    for place, each in enumerate(found):
        turns.append((seen[service_of(each)], place))
        seen[service_of(each)] += 1
    return [found[place] for place in sorted(place for _, place in sorted(turns)[:at_most])]


def numbered(traces: Traces, found: Iterable[TraceFinding], added: Iterable[Evidence]) -> Traces:
    """The same with the numbers that the evidence `found` got when it was `added`."""
    pairs = [*zip(found, added, strict=True)]
    own = {shown.counted: piece.evidence_id for shown, piece in pairs if not shown.of_wait}
    waits = {shown.counted: piece.evidence_id for shown, piece in pairs if shown.of_wait}

    def with_ids(counted: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(replace(each, evidence_id=own.get(each, "")) for each in counted)

    calls = (
        replace(each, evidence_id=own.get(each, ""), wait_evidence_id=waits.get(each, ""))
        for each in traces.calls
    )
    return replace(
        traces,
        calls=tuple(calls),
        origins=with_ids(traces.origins),
        shapes=with_ids(traces.shapes),
        lines=with_ids(traces.lines),
        versions=with_ids(traces.versions),
    )


def with_changes(traces: Traces, changes: Iterable[Change]) -> Traces:
    """The same; a version that is one of the `changes` has the evidence of that change."""
    known = {each.id: each.evidence_id for each in changes}
    versions = (
        replace(each, evidence_id=known.get(change_id(each), each.evidence_id))
        for each in traces.versions
    )
    return replace(traces, versions=tuple(versions))


def change_id(version: Version) -> str:
    """Under which topology tells a version as a change."""
    return f"otel:{version.service}@{version.version}{_where(version.environment)}"[
        :_CHANGE_ID_CHARS
    ]


def example_piece(example: Example, trace_url: str) -> Evidence:
    """One error as it was told, with where its trace is shown."""
    error = f"{example.exception}: {example.message}" if example.exception else example.message
    where = f", at {example.frames[-1]}" if example.frames else ""
    is_traced = _TRACE_ID.fullmatch(example.trace_id) is not None
    return Evidence(
        kind=EvidenceKind.EXAMPLE,
        source=f"topology ListExamples {plain(example.example_id)}",
        title=plain(f"{error}{where}", 300),
        start_ms=example.time_ms,
        end_ms=example.time_ms,
        labels=_labels(
            service=example.service,
            operation=example.operation,
            trace_id=example.trace_id if is_traced else "",
        ),
        reference_id=example.example_id,
        link=trace_url.replace("{trace_id}", example.trace_id) if is_traced else "",
    )


def exemplar_piece(exemplar: Exemplar, facts: SubjectFacts, trace_url: str) -> Evidence:
    """One request behind the subject's series, with where its trace is shown."""
    trace_id = exemplar.trace_id if _TRACE_ID.fullmatch(exemplar.trace_id) else ""
    service = facts.labels.get("service") or facts.labels.get("job", "")
    return Evidence(
        kind=EvidenceKind.EXAMPLE,
        source=f"ingest QueryExemplars {plain(facts.metric, 200)}",
        title=f"a request that counts in {plain(facts.metric)}",
        start_ms=exemplar.time_ms,
        end_ms=exemplar.time_ms,
        labels=_labels(service=service, trace_id=trace_id),
        figures=(Figure(name=SAMPLED, value=exemplar.value),),
        reference_id=trace_id,
        link=trace_url.replace("{trace_id}", trace_id) if trace_id else "",
    )


def _origin(found: ErrorExcess, traces: Traces) -> Evidence:
    origin = found.origin
    return Evidence(
        kind=EvidenceKind.ORIGIN_ERRORS,
        source=_SOURCE,
        title=f"errors begin in {_place(found.service, origin.operation)}: {plain(said(origin))}",
        start_ms=traces.start_ms,
        end_ms=traces.end_ms,
        labels=_labels(
            service=found.service,
            operation=origin.operation,
            reason=origin.reason.value,
            detail=origin.detail,
        ),
        figures=(
            Figure(name="errors", value=origin.observed, unit="1"),
            Figure(name="requests", value=found.system.observed, unit="1"),
            Figure(name="expected", value=found.system.expected(origin.usual), unit="1"),
        ),
    )


def _shape(found: ShapeChange, traces: Traces) -> Evidence:
    shape = found.shape
    lacks = "; ".join(plain(each, 60) for each in found.lacks[:3])
    adds = "; ".join(plain(each, 60) for each in found.adds[:3])
    return Evidence(
        kind=EvidenceKind.CALL_SHAPE,
        source=_SOURCE,
        title=f"{_place(shape.service, shape.operation)} answers by other calls than usual",
        start_ms=traces.start_ms,
        end_ms=traces.end_ms,
        labels=_labels(service=shape.service, operation=shape.operation, lacks=lacks, adds=adds),
        figures=(
            Figure(name="answers", value=found.observed, unit="1"),
            Figure(name="all_answers", value=shape.observed_total, unit="1"),
            Figure(name="usual_answers", value=found.usual, unit="1"),
            Figure(name="all_usual_answers", value=shape.usual_total, unit="1"),
        ),
    )


def _wait(found: AddedWait, traces: Traces) -> Evidence:
    call = found.call
    place = _place(found.service, call.operation)
    how = (
        f"{plain(call.caller)} waits longer for {place}"
        if found.is_wait
        else f"{place} takes longer"
    )
    return Evidence(
        kind=EvidenceKind.CALL_WAIT,
        source=_SOURCE,
        title=how,
        start_ms=traces.start_ms,
        end_ms=traces.end_ms,
        labels=_labels(
            service=found.service,
            operation=call.operation,
            caller=call.caller if found.is_wait else "",
        ),
        figures=(
            Figure(name="mean", value=found.observed.mean, unit="s"),
            Figure(name="usual_mean", value=found.usual.mean, unit="s"),
            Figure(name="calls", value=found.observed.count, unit="1"),
        ),
    )


def _lines(lines: LogLines, traces: Traces) -> Evidence:
    return Evidence(
        kind=EvidenceKind.LOG_ERRORS,
        source=_SOURCE,
        title=f"{plain(lines.service)} logs more often: {plain(lines.text, 160)}",
        start_ms=traces.start_ms,
        end_ms=traces.end_ms,
        labels=_labels(service=lines.service, pattern=lines.text),
        figures=(Figure(name="lines", value=lines.observed, unit="1"),),
    )


def _version(version: Version, facts: SubjectFacts) -> Evidence:
    name = f"version {plain(version.version)} of {plain(version.service)}"
    return Evidence(
        kind=EvidenceKind.CHANGE,
        source=f"topology ListVersions {plain(version.service)}",
        title=f"{name} began to run{_where(plain(version.environment))}",
        start_ms=version.first_seen_ms,
        end_ms=version.first_seen_ms,
        labels={"service": version.service},
        figures=(since_event(version.first_seen_ms, facts.event_ms),),
        reference_id=change_id(version),
    )


def _where(environment: str) -> str:
    return f" in {environment}" if environment else ""


def _place(service: str, operation: str) -> str:
    return f"{plain(service)}, {plain(operation)}" if operation else plain(service)


def _labels(**named: str) -> dict[str, str]:
    return {name: value for name, value in named.items() if value}
