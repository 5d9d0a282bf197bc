"""From a subject to its case: all evidence, numbered in an order that does not depend on timing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.explainer.evidence.asking import asking
from services.explainer.evidence.calls import attributed, graph_of
from services.explainer.evidence.ledger import Ledger
from services.explainer.evidence.logs import is_log_errors, is_trace_time, moved_kind, patterns_of
from services.explainer.evidence.measuring import (
    breach_of,
    change_evidence,
    has_history,
    moved,
    observed_start,
    series_evidence,
    shift_of,
    window_of,
)
from services.explainer.model.case import Case, Change, ServiceGraph, Subject, Symptom
from services.explainer.model.evidence import Evidence, EvidenceKind
from services.explainer.model.names import entities, plain
from services.explainer.model.subjects import SeriesSamples, SubjectFacts
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.measures import symptom_of
from services.explainer.sources import Findings, Source
from services.explainer.sources.anomalies import as_evidence

MOVED_SHOWN_MAX: Final = 20
CALLS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources by the part they play; evidence is numbered in this order."""

    subject: Source
    nearby: tuple[Source, ...]
    moved: Source
    told: tuple[Source, ...] = ()

    @property
    def measuring(self) -> tuple[Source, ...]:
        """Those without which nothing can be explained, in order."""
        return (self.subject, *self.nearby, self.moved)

    @property
    def all(self) -> tuple[Source, ...]:
        """Every one, in order; what people told comes last."""
        return (*self.measuring, *self.told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that is known about a subject.

    Attributes:
        case: For the rankers, every series with a past among it, also those that are not shown.
        labels_by_entity: Labels of one series of each entity.
        failed: Names of the sources that gave nothing.
        blind: True when all that measure failed.
    """

    evidence: tuple[Evidence, ...]
    case: Case
    labels_by_entity: dict[str, dict[str, str]]
    failed: tuple[str, ...]
    blind: bool


async def gather(
    facts: SubjectFacts, sources: Sources, ledger: Ledger, *, end_ms: int, within_s: float
) -> Gathered:
    """Everything that answers `within_s`; what does not is named as missing."""
    owner = "ingest" if facts.state else "detector"
    await ledger.add([as_evidence(facts, owner)])
    own: tuple[SeriesSamples, ...] = ()
    others: tuple[SeriesSamples, ...] = ()
    failed: list[Source] = []
    told: list[Findings] = []
    async with asking(sources.all, facts, within_s=within_s) as answers:
        async for answer in answers:
            if answer.failed:
                failed.append(answer.source)
            if answer.source in sources.told:
                told.append(answer.findings)
            elif answer.source is sources.subject:
                own = answer.findings.series
                await ledger.add(_own_evidence(own, facts, end_ms))
            else:
                others += answer.findings.series
                await ledger.add(answer.findings.evidence)
            if answer.source not in sources.told:
                await ledger.add_missing(answer.findings.missing, facts.event_ms)
    calls = [call for each in told for call in each.calls]
    graph = graph_of([each.labels for each in (*own, *others)], calls)
    entity_by_id = _entities((*own, *others), graph, told)
    windows = await _measured(own, others, entity_by_id, facts, ledger, end_ms)
    await ledger.add(_topology(graph, facts, bool(calls)))
    await ledger.add(_breaches(own, facts, end_ms))
    changes = await _add_told(told, facts, ledger)
    await ledger.add_unknown(_unknown(told, windows, graph), facts.event_ms)
    return Gathered(
        evidence=ledger.evidence,
        case=replace(
            _case(facts, own, entity_by_id, windows, graph),
            changes=changes,
            log_patterns=patterns_of(each for each in windows if each.evidence_id),
        ),
        labels_by_entity={window.service: dict(window.labels) for window in reversed(windows)},
        failed=tuple(each.name for each in failed),
        blind=all(each in failed for each in sources.measuring),
    )


async def _add_told(
    told: Sequence[Findings], facts: SubjectFacts, ledger: Ledger
) -> tuple[Change, ...]:
    """Adds what people told, and gives the changes the numbers of their evidence."""
    await ledger.add(piece for each in told for piece in each.evidence)
    changes = [change for each in told for change in each.changes]
    added = await ledger.add(change_evidence(change, facts) for change in changes)
    await ledger.add_missing((note for each in told for note in each.missing), facts.event_ms)
    return tuple(
        replace(change, evidence_id=piece.evidence_id, service=plain(change.service))
        for change, piece in zip(changes, added, strict=True)
    )


def _unknown(
    told: Sequence[Findings], windows: Sequence[SeriesWindow], graph: ServiceGraph
) -> list[str]:
    """What nobody ever sent, or not about anything near."""
    notes = [note for each in told for note in each.unknown]
    if not graph.edges:
        notes.append("calls between services (WriteTopology, or labels of series)")
    if not any(is_log_errors(each) for each in windows):
        notes.append("log errors (as metrics)")
    if not any(is_trace_time(each) for each in windows):
        notes.append("trace times (as metrics)")
    return notes


def _breaches(own: Sequence[SeriesSamples], facts: SubjectFacts, end_ms: int) -> list[Evidence]:
    start_ms = observed_start(own, facts)
    windows = (window_of(each, "", start_ms=start_ms, end_ms=end_ms) for each in own)
    return [found for each in windows if (found := breach_of(each, facts))]


def _own_evidence(own: Sequence[SeriesSamples], facts: SubjectFacts, end_ms: int) -> list[Evidence]:
    start_ms = observed_start(own, facts)
    windows = (window_of(each, "", start_ms=start_ms, end_ms=end_ms) for each in own)
    return [series_evidence(each, facts, EvidenceKind.SUBJECT_SERIES) for each in windows]


def _entities(
    series: Sequence[SeriesSamples], graph: ServiceGraph, told: Sequence[Findings]
) -> dict[int, str]:
    """Who each series belongs to; what was told of services names them in series too."""
    services = {name for call in graph.edges for name in call}
    services |= {plain(change.service) for each in told for change in each.changes}
    labels_by_id = {each.series_id: each.labels for each in series}
    return dict(zip(labels_by_id, entities([*labels_by_id.values()], services), strict=True))


async def _measured(
    own: Sequence[SeriesSamples],
    others: Sequence[SeriesSamples],
    entity_by_id: Mapping[int, str],
    facts: SubjectFacts,
    ledger: Ledger,
    end_ms: int,
) -> list[SeriesWindow]:
    """Windows of all series; the subject's and those that moved most carry their evidence."""
    series_by_id = {each.series_id: each for each in (*own, *others)}
    start_ms = observed_start(own or others, facts)
    windows = [
        window_of(each, entity_by_id[series_id], start_ms=start_ms, end_ms=end_ms)
        for series_id, each in series_by_id.items()
    ]
    mine = [each for each in ledger.evidence if each.kind is EvidenceKind.SUBJECT_SERIES]
    numbered = [
        replace(window, evidence_id=evidence.evidence_id)
        for window, evidence in zip(windows, mine, strict=False)
    ]
    rest = windows[len(own) :]
    if not any(has_history(window) for window in windows):
        await ledger.add_missing(["history: too few samples before the event"], facts.event_ms)
    shown = await asyncio.to_thread(_most_moved, rest)
    told = await ledger.add(series_evidence(each, facts, moved_kind(each)) for each in shown)
    numbered += [
        replace(window, evidence_id=evidence.evidence_id)
        for window, evidence in zip(shown, told, strict=True)
    ]
    numbered += [window for window in rest if window not in shown]
    return [attributed(window) for window in numbered if has_history(window)]


def _topology(graph: ServiceGraph, facts: SubjectFacts, told: bool) -> list[Evidence]:
    """The calls among services, when any are known."""
    calls = [f"{caller} calls {callee}" for caller, callee in sorted(graph.edges)]
    if not calls:
        return []
    more = " and more" if len(calls) > CALLS_SHOWN_MAX else ""
    piece = Evidence(
        kind=EvidenceKind.TOPOLOGY,
        source="labels of the series read from ingest" + (", and WriteTopology" if told else ""),
        title=", ".join(calls[:CALLS_SHOWN_MAX]) + more,
        start_ms=facts.event_ms,
        end_ms=facts.event_ms,
    )
    return [piece]


def _most_moved(windows: Sequence[SeriesWindow]) -> list[SeriesWindow]:
    measured = [(shift_of(each), each) for each in windows if has_history(each)]
    far = [(found, each) for found, each in measured if moved(found)]
    far.sort(key=lambda pair: (-pair[0].size, pair[1].metric, sorted(pair[1].labels.items())))
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
