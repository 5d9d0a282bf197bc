"""What ties a suspect to the subject: without a tie, that both moved at one time says nothing."""

from collections.abc import Mapping
from typing import Final

from services.explainer.model.case import Case

SAYS_NO_PLACE: Final = frozenset(
    {"alertname", "severity", "prometheus", "__name__", "job", "le", "quantile", "env",
     "environment", "team", "monitor", "replica"}
)  # fmt: skip
"""Labels that tell what an alert is or who watches, not where it is."""

_MACHINES: Final = ("host", "hostname", "node", "instance", "nodename")

NEARBY: Final = 0.5
"""A machine of something that only others depend on is a doubt, no more."""


def ties_of(case: Case) -> Mapping[str, float]:
    """Weight 0..1 of every entity of the case; 1 when the subject does not say where it is."""
    entities = {window.service for window in case.series if window.service}
    entities |= ({case.subject.service} - {""}) | case.traces.services
    if not case.subject.labels:
        return dict.fromkeys(entities, 1.0)
    direct, nearby = _direct(case), _nearby(case)
    return {
        entity: 1.0 if entity in direct else NEARBY if entity in nearby else 0.0
        for entity in entities
    }


def tied_evidence(case: Case) -> frozenset[str] | None:
    """Ids of the evidence of what is tied to the subject; None when it does not say where it is."""
    if not any(name not in SAYS_NO_PLACE for name in case.subject.labels):
        return None
    ties, direct = ties_of(case), _direct(case)
    series = {each.evidence_id for each in case.series if ties.get(each.service)}
    changes = {each.evidence_id for each in case.changes if each.service in direct}
    changes |= {each.evidence_id for each in case.traces.versions if each.service in direct}
    return frozenset((series | changes | _counted(case, ties)) - {""})


def _counted(case: Case, ties: Mapping[str, float]) -> set[str]:
    """Ids of the evidence of what traces do other than usual."""
    traces = case.traces
    found = {each.evidence_id for each in traces.calls if ties.get(each.service)}
    found |= {each.wait_evidence_id for each in traces.calls if ties.get(each.service)}
    found |= {each.evidence_id for each in traces.origins if ties.get(each.service)}
    return found | {each.evidence_id for each in traces.shapes if ties.get(each.service)}


def _direct(case: Case) -> frozenset[str]:
    """The subject's service, what it calls or is called by, what shares a place or is named."""
    itself = case.subject.service
    called = {service for edge in case.graph.edges if itself in edge for service in edge}
    called |= set(case.graph.distances(itself)) | case.graph.dependents(itself) if itself else set()
    named = {v for n, v in case.subject.labels.items() if n not in SAYS_NO_PLACE and v}
    called |= {s for s in named for s in (*case.graph.distances(s), *case.graph.dependents(s))}
    places = named | _machines(case, {itself, *named})
    same = {
        window.service
        for window in case.series
        if places & {_machine(n, v) for n, v in window.labels.items() if n not in SAYS_NO_PLACE}
    }
    changed = {change.service for change in case.changes if change.service in called}
    return frozenset({itself, *called, *same, *changed, *_named(case)} - {""})


def _named(case: Case) -> set[str]:
    """Entities that a log line of the subject's service names."""
    lines = [p.text for p in case.log_patterns if p.service == case.subject.service]
    entities = {window.service for window in case.series if len(window.service) > 2}
    return {entity for entity in entities if any(entity in line for line in lines)}


def _nearby(case: Case) -> frozenset[str]:
    """Who runs on a machine of a service that is connected with the subject, at any distance."""
    connected, frontier = set[str](), {case.subject.service, *case.subject.labels.values()}
    while frontier:
        connected |= frontier
        edges = case.graph.edges
        frontier = {s for edge in edges for s in edge if connected & set(edge)} - connected
    machines = _machines(case, connected)
    return frozenset(
        window.service
        for window in case.series
        if machines & {_machine(n, v) for n, v in window.labels.items() if n in _MACHINES}
    )


def _machines(case: Case, services: set[str]) -> set[str]:
    """Machines on which these services run, as the labels of their series tell."""
    return {
        _machine(name, window.labels[name])
        for window in case.series
        if window.service in services or services & {*window.labels.values()}
        for name in _MACHINES
        if window.labels.get(name)
    }


def _machine(name: str, value: str) -> str:
    """A machine without the port of what tells of it; other values as they are."""
    return value.partition(":")[0] if name in _MACHINES else value
