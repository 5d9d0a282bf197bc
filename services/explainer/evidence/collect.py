"""From a subject to its case: all evidence, numbered in an order that does not depend on timing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.explainer.evidence.asking import asking
from services.explainer.evidence.graph import attributed, graph_of
from services.explainer.evidence.ledger import Ledger
from services.explainer.evidence.logs import is_log_errors, is_trace_time, patterns_of
from services.explainer.evidence.pieces import (
    as_evidence,
    breach_of,
    change_evidence,
    moved_kind,
    series_evidence,
)
from services.explainer.evidence.sources import Findings, Source
from services.explainer.evidence.traces import numbered, trace_evidence, with_changes
from services.explainer.evidence.windowing import (
    EARLIER_MS,
    has_history,
    moved,
    observed_start,
    shift_of,
    window_of,
    without_small_newcomers,
)
from services.explainer.model.case import Case, Change, ServiceGraph, Subject, Symptom
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import entities, plain
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.model.traces import NO_TRACES, Traces
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import symptom_of
from services.explainer.rankers.saturation import Use, exhausted

MOVED_SHOWN_MAX: Final = 20
CALLS_SHOWN_MAX: Final = 20
BEFORE_ONSET_MS: Final = 120_000
"""A cause may show that long before what it causes."""

LEAD_MAX_MS: Final = 12 * 3_600_000
"""A rule may wait that long before it fires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources by the part they play; evidence is numbered in this order."""

    subject: Source
    nearby: tuple[Source, ...]
    moved: Source
    reported: tuple[Source, ...] = ()

    @property
    def measuring(self) -> tuple[Source, ...]:
        """Those without which nothing can be explained, in order."""
        return (self.subject, *self.nearby, self.moved)

    @property
    def others(self) -> tuple[Source, ...]:
        """All but the subject's, in order; what people told comes last."""
        return (*self.nearby, self.moved, *self.reported)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectedEvidence:
    """All that is known about a subject.

    Attributes:
        case: For the rankers, every series with a past among it, also those that are not shown.
        labels_by_entity: Labels of one series of each entity.
        failed: Names of the sources that gave nothing.
        blind: True when all that measure failed.
    """

    evidence: tuple[Evidence, ...]
    case: Case
    labels_by_entity: Mapping[str, Mapping[str, str]]
    failed: tuple[str, ...]
    blind: bool


async def gather(
    facts: SubjectFacts, sources: Sources, ledger: Ledger, *, end_ms: int, within_s: float
) -> CollectedEvidence:
    """Everything that answers `within_s`; what does not is named as missing."""
    deadline_s = asyncio.get_running_loop().time() + within_s
    await ledger.add([as_evidence(facts, "ingest" if facts.state else "detector")])
    async with asking([sources.subject], facts, deadline_s) as coming:
        first = await anext(coming)
    own = first.findings.series
    mine = _own_windows(own, facts, end_ms)
    full = _full(mine)
    own_pieces = await ledger.add(
        series_evidence(each, facts, EvidenceKind.SUBJECT_SERIES, full.get(id(each)))
        for each in mine
    )
    await ledger.add_missing(first.findings.missing, facts.event_ms)
    start_ms = _split(own, facts, mine)
    facts = _since_onset(facts, mine)
    others: tuple[SeriesSamples, ...] = ()
    answers = [first]
    async with asking(sources.others, facts, deadline_s) as coming:
        async for answer in coming:
            answers.append(answer)
            if answer.source not in sources.reported:
                others += answer.findings.series
                await ledger.add(answer.findings.evidence)
                await ledger.add_missing(answer.findings.missing, facts.event_ms)
    reported = [each.findings for each in answers if each.source in sources.reported]
    calls = [call for each in reported for call in each.calls]
    graph = graph_of([each.labels for each in (*own, *others)], calls)
    entity_by_id = _entities((*own, *others), graph, reported)
    windows = await _measured(
        own, own_pieces, others, entity_by_id, facts, ledger, (start_ms, end_ms)
    )
    await ledger.add(_topology(graph, facts, reported))
    await ledger.add(found for each in mine if (found := breach_of(each, facts)))
    traces = await _add_traces(reported, facts, ledger)
    changes = await _add_reported(reported, facts, ledger)
    await ledger.add_unknown(_unknown(reported, windows, graph), facts.event_ms)
    failed = [each.source for each in answers if each.failed]
    return CollectedEvidence(
        evidence=ledger.evidence,
        case=replace(
            _case(facts, own, entity_by_id, windows, graph),
            changes=changes,
            log_patterns=patterns_of(each for each in windows if each.evidence_id),
            traces=with_changes(traces, changes),
        ),
        labels_by_entity={window.service: window.labels for window in reversed(windows)},
        failed=tuple(each.name for each in failed),
        blind=all(each in failed for each in sources.measuring),
    )


def _own_windows(
    own: Sequence[SeriesSamples], facts: SubjectFacts, end_ms: int
) -> list[SeriesWindow]:
    start_ms = observed_start(own, facts)
    return [
        window_of(each, "", start_ms=start_ms, end_ms=end_ms, event_ms=facts.event_ms, is_own=True)
        for each in own
    ]


def _since_onset(facts: SubjectFacts, mine: Sequence[SeriesWindow]) -> SubjectFacts:
    """The subject with a lead that reaches back to before its series left their usual range."""
    begun = [each.observed_start_ms for each in mine if each.fault_free is not None]
    lead_ms = facts.event_ms - min(begun, default=facts.event_ms) + BEFORE_ONSET_MS
    return replace(facts, lead_ms=max(facts.lead_ms, min(lead_ms, LEAD_MAX_MS)))


def _split(
    own: Sequence[SeriesSamples], facts: SubjectFacts, mine: Sequence[SeriesWindow]
) -> int | None:
    """Where other series are split: at the latest onset of the subject's series.

    Of several the first that is not much older than the lead, and none beyond a quarter of the
    past: what is left must tell what was usual. None without a series of the subject.
    """
    if not own:
        return None
    start_ms = observed_start(own, facts)
    begun = [each for each in mine if each.fault_free is not None]
    close = [each for each in begun if each.observed_start_ms >= start_ms - EARLIER_MS]
    latest = sorted(begun, key=lambda each: each.observed_start_ms)[-1:]
    return observed_start(own, _since_onset(facts, close or latest))


async def _add_traces(reported: Sequence[Findings], facts: SubjectFacts, ledger: Ledger) -> Traces:
    """Adds what traces do other than usual, and gives it the numbers of its evidence."""
    traces = next((each.traces for each in reported if each.traces is not NO_TRACES), NO_TRACES)
    if traces is NO_TRACES:
        return traces
    changes = [change for each in reported for change in each.changes]
    found = await asyncio.to_thread(trace_evidence, traces, facts, changes)
    return numbered(traces, found, await ledger.add(each.piece for each in found))


async def _add_reported(
    reported: Sequence[Findings], facts: SubjectFacts, ledger: Ledger
) -> tuple[Change, ...]:
    """Adds what people told, and gives the changes the numbers of their evidence."""
    await ledger.add(piece for each in reported for piece in each.evidence)
    changes = [change for each in reported for change in each.changes]
    added = await ledger.add(change_evidence(change, facts) for change in changes)
    await ledger.add_missing((note for each in reported for note in each.missing), facts.event_ms)
    return tuple(
        replace(change, evidence_id=piece.evidence_id, service=plain(change.service))
        for change, piece in zip(changes, added, strict=True)
    )


def _unknown(
    reported: Sequence[Findings], windows: Sequence[SeriesWindow], graph: ServiceGraph
) -> list[str]:
    """What nobody ever sent, or not about anything near."""
    notes = [note for each in reported for note in each.unknown]
    if not graph.edges:
        notes.append("calls between services (WriteTopology, or labels of series)")
    if any(each.traces is not NO_TRACES for each in reported):
        return notes
    if not any(is_log_errors(each.metric, each.labels) for each in windows):
        notes.append("log errors (as metrics)")
    if not any(is_trace_time(each) for each in windows):
        notes.append("trace times (as metrics)")
    return notes


def _entities(
    series: Sequence[SeriesSamples], graph: ServiceGraph, reported: Sequence[Findings]
) -> dict[int, str]:
    """Who each series belongs to; what was told of services names them in series too."""
    services = {name for call in graph.edges for name in call}
    services |= {plain(change.service) for each in reported for change in each.changes}
    labels_by_id = {each.series_id: each.labels for each in series}
    return dict(zip(labels_by_id, entities([*labels_by_id.values()], services), strict=True))


async def _measured(
    own: Sequence[SeriesSamples],
    own_pieces: Sequence[Evidence],
    others: Sequence[SeriesSamples],
    entity_by_id: Mapping[int, str],
    facts: SubjectFacts,
    ledger: Ledger,
    observed_ms: tuple[int | None, int],
) -> list[SeriesWindow]:
    """Windows of all series; the subject's and those that moved most carry their evidence."""
    split_ms, end_ms = observed_ms
    start_ms = observed_start(others, facts) if split_ms is None else split_ms

    def window(series: SeriesSamples, *, is_own: bool) -> SeriesWindow:
        return window_of(
            series,
            entity_by_id[series.series_id],
            start_ms=start_ms,
            end_ms=end_ms,
            event_ms=facts.event_ms,
            is_own=is_own,
        )

    def looked_at() -> tuple[list[SeriesWindow], list[SeriesWindow], list[Evidence]]:
        mine = [window(each, is_own=True) for each in own]
        known = {each.series_id for each in own}
        rest = {each.series_id: each for each in others if each.series_id not in known}
        all_windows = [window(each, is_own=False) for each in rest.values()]
        windows = without_small_newcomers(all_windows)
        full = _full([*mine, *windows])
        shown = _most_moved(windows, full)
        pieces = [series_evidence(w, facts, moved_kind(w), full.get(id(w))) for w in shown]
        hidden = {id(each) for each in shown}
        return [*mine, *shown], [each for each in windows if id(each) not in hidden], pieces

    shown, windows, pieces = await asyncio.to_thread(looked_at)
    if not any(map(has_history, (*shown, *windows))):
        await ledger.add_missing(["history: too few samples before the event"], facts.event_ms)
    added = await ledger.add(pieces)
    numbered = [
        replace(window, evidence_id=piece.evidence_id)
        for window, piece in zip(shown, [*own_pieces, *added], strict=True)
    ]
    return [attributed(each) for each in (*numbered, *windows) if has_history(each)]


def _full(windows: Sequence[SeriesWindow]) -> dict[int, Use]:
    return {id(use.window): use for use in exhausted(windows)}


def _topology(
    graph: ServiceGraph, facts: SubjectFacts, reported: Sequence[Findings]
) -> list[Evidence]:
    """The calls among services, when any are known."""
    calls = [f"{caller} calls {callee}" for caller, callee in sorted(graph.edges)]
    if not calls:
        return []
    telling = [each for each in reported if each.calls]
    traced = [each for each in telling if each.traces is not NO_TRACES]
    source = "labels of the series read from ingest"
    source += ", and WriteTopology" if len(telling) > len(traced) else ""
    source += ", and topology CompareTraces" if traced else ""
    more = " and more" if len(calls) > CALLS_SHOWN_MAX else ""
    piece = Evidence(
        kind=EvidenceKind.TOPOLOGY,
        source=source,
        title=", ".join(calls[:CALLS_SHOWN_MAX]) + more,
        start_ms=facts.event_ms,
        end_ms=facts.event_ms,
    )
    return [piece]


def _most_moved(windows: Sequence[SeriesWindow], full: Mapping[int, Use]) -> list[SeriesWindow]:
    """What ran full, then what moved farthest."""
    measured = [(shift_of(each), each) for each in windows if has_history(each)]
    far = [(found, each) for found, each in measured if moved(found) or id(each) in full]
    far.sort(
        key=lambda pair: (
            id(pair[1]) not in full,
            -pair[0].size,
            pair[1].metric,
            sorted(pair[1].labels.items()),
        )
    )
    return [each for _, each in far[:MOVED_SHOWN_MAX]]


def _case(
    facts: SubjectFacts,
    own: Sequence[SeriesSamples],
    entity_by_id: Mapping[int, str],
    windows: Sequence[SeriesWindow],
    graph: ServiceGraph,
) -> Case:
    metric = own[0].labels.get("__name__", "") if own else facts.metric
    symptom = facts.symptom
    if symptom is Symptom.UNKNOWN and metric:
        symptom = symptom_of(metric)
    mine = [window_of(each, entity_by_id[each.series_id], start_ms=0, end_ms=0) for each in own[:1]]
    subject = Subject(
        id=facts.ref.id,
        labels=dict(facts.labels),
        metric=metric,
        service=next((attributed(each).service for each in mine), ""),
        started_ms=facts.event_ms,
        symptom=symptom,
    )
    return Case(subject=subject, series=tuple(windows), graph=graph)
