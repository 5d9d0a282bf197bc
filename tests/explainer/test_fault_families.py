"""Whatever breaks, the same suspect is named however long the rule waited, and of counters too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from services.explainer.evidence.collect import CollectedEvidence, Sources, gather
from services.explainer.evidence.ledger import Ledger
from services.explainer.evidence.sources import Findings
from services.explainer.model.evidence import Evidence
from services.explainer.model.subjects import SeriesSamples, SubjectFacts, SubjectKind, SubjectRef
from services.explainer.rankers import rank
from tests.explainer.faults import CALLS, FAULTS, ONSET_MS, Fault, series_of

WAITS_MIN = (0, 2, 10, 15, 30, 60, 120)


@dataclass(frozen=True)
class Scripted:
    """A source that finds what it was given, cut to what may be read."""

    name: str
    findings: Findings

    async def find(self, facts: SubjectFacts) -> Findings:
        """All of it."""
        return self.findings


async def unheard(pieces: Sequence[Evidence]) -> None:
    """Tells nobody."""


def subject(fault: Fault, wait_s: float) -> SubjectFacts:
    """The alert of a rule that waited that long."""
    return SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ALERT, id="a1"),
        state="firing",
        title=f"alert {fault.alert}",
        severity="critical",
        labels={"alertname": fault.alert, "service": fault.service, "severity": "critical"},
        event_ms=ONSET_MS + round(wait_s * 1000),
        lead_ms=600_000,
    )


def sources_of(fault: Fault, wait_s: float, *, counters: bool) -> Sources:
    """Where the evidence of a fault is found."""
    facts = subject(fault, wait_s)
    series = series_of(fault, wait_s=wait_s, counters=counters)
    start_ms = facts.event_ms - 70 * 60_000
    others = [_since(each, start_ms - round(wait_s * 1000)) for each in series]
    own = [
        each
        for each in series
        if each.labels["service"] == fault.service and fault.metric in each.labels["__name__"]
    ]
    return Sources(
        subject=Scripted("subject", Findings(series=tuple(own))),
        nearby=(),
        moved=Scripted("moved", Findings(series=tuple(others))),
        reported=(Scripted("told", Findings(changes=fault.changes, calls=CALLS)),),
    )


async def gathered(fault: Fault, wait_s: float, *, counters: bool) -> CollectedEvidence:
    """The evidence of a fault."""
    facts, sources = subject(fault, wait_s), sources_of(fault, wait_s, counters=counters)
    return await gather(
        facts, sources, Ledger(unheard), end_ms=facts.event_ms + 300_000, within_s=30
    )


def _since(series: SeriesSamples, start_ms: int) -> SeriesSamples:
    kept = np.flatnonzero(series.timestamps_ms >= start_ms)
    return SeriesSamples(
        series_id=series.series_id,
        labels=series.labels,
        timestamps_ms=series.timestamps_ms[kept],
        values=series.values[kept],
    )


@pytest.mark.parametrize("counters", [False, True], ids=["rates", "counters"])
@pytest.mark.parametrize("family", FAULTS)
async def test_the_culprit_is_named_however_long_the_rule_waited(
    family: str, counters: bool
) -> None:
    fault = FAULTS[family]
    named = {}
    for wait_min in WAITS_MIN:
        found = rank((await gathered(fault, wait_min * 60, counters=counters)).case)
        named[wait_min] = "nobody" if found.abstained else found.suspects[0].entity
    assert named == dict.fromkeys(WAITS_MIN, fault.culprit)


@pytest.mark.parametrize("wait_min", WAITS_MIN)
async def test_no_series_is_said_to_be_usual_where_it_is_far_from_what_it_was(
    wait_min: int,
) -> None:
    for counters in (False, True):
        found = await gathered(FAULTS["config"], wait_min * 60, counters=counters)
        for piece in found.evidence:
            baseline, observed = piece.figure("baseline"), piece.figure("observed")
            if baseline and observed and "stayed within" in piece.title:
                assert observed.value < 10 * max(baseline.value, 0.01), piece.title


async def test_a_fault_of_its_time_is_dated_by_the_clock_not_by_the_rule() -> None:
    for wait_min in WAITS_MIN:
        found = await gathered(FAULTS["dns"], wait_min * 60, counters=False)
        moved = [p for p in found.evidence if p.has_moved and "errors" in p.title]
        assert moved
        for piece in moved:
            figure = piece.figure("change_before_event") or piece.figure("change_after_event")
            assert figure is not None
            sign = 1 if figure.name == "change_before_event" else -1
            since_ms = ONSET_MS + wait_min * 60_000 - sign * figure.value * 1000
            assert abs(since_ms - ONSET_MS) <= 60_000


async def test_nobody_is_blamed_who_is_tied_to_the_subject_by_time_alone() -> None:
    fault = Fault(culprit="", moves={("billing", "cpu_percent"): (20.0, 99.0)}, service="api")
    assert rank((await gathered(fault, 120, counters=False)).case).abstained
