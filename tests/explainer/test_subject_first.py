"""The subject comes first; strangers and what came too late are neither first nor advised."""

from dataclasses import replace

import pytest

from sensus.explainer.v1 import explainer_service_pb2 as pb
from services.explainer.claims.default import completed, default_form
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import Relieve
from services.explainer.claims.render import rendered
from services.explainer.claims.verify import holds
from services.explainer.convert.answers import unkept
from services.explainer.convert.stored import known_of, short
from services.explainer.evidence.pieces import breach_of
from services.explainer.evidence.windowing import window_of
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import Explanation, NamedSuspect, State, Text, Verdict
from services.explainer.model.promql import bound_of_rule
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef
from tests.explainer.test_measuring import EVENT_MS, series
from tests.explainer.test_measuring import facts as alert_facts

SUBJECT = SubjectFacts(
    ref=SubjectRef(kind=SubjectKind.ANOMALY, id="n1"),
    state="",
    title="cpu_usage left what it usually does",
    severity="critical",
    labels={"service": "web"},
    event_ms=EVENT_MS,
    lead_ms=0,
)


def piece(number: int, kind: EvidenceKind, *, service: str = "web", **figures: float) -> Evidence:
    """Evidence of a service with these figures."""
    return Evidence(
        evidence_id=f"E{number}",
        kind=kind,
        source="",
        title=f"{kind.value} of {service}",
        start_ms=EVENT_MS,
        end_ms=EVENT_MS,
        labels={"__name__": "cpu_usage", "service": service},
        figures=tuple(Figure(name=name, value=value) for name, value in figures.items()),
        reference_id="n1" if number == 1 else f"r{number}",
    )


def facts(*pieces: Evidence, tied: frozenset[str] | None = None) -> Facts:
    """Facts without a suspect."""
    return Facts(subject=SUBJECT, suspects=(), evidence=pieces, reason="", tied=tied)


def told(known: Facts) -> pb.Explanation:
    """The short view of what rules say."""
    explanation = Explanation(
        state=State.DONE,
        verdict=Verdict.INSUFFICIENT_EVIDENCE,
        text=Text(root_cause="", mitigation="", summary=""),
        claims=tuple(rendered(default_form(known).claims, known)),
        evidence=known.evidence,
    )
    return short(unkept(SUBJECT.ref, explanation, create_us=0))


ABNORMAL = piece(1, EvidenceKind.ANOMALY, value=91.0, expected_low=18.0, expected_high=23.0)
HELD = replace(
    piece(1, EvidenceKind.THRESHOLD, threshold=80.0, value=91.0, held=60.0), rule="CPU usage"
)
SILENT = piece(1, EvidenceKind.ANOMALY, silent_series=11.0)
FULL = {"baseline": 50.0, "observed": 99.0, "full_before_event": 60.0}


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (ABNORMAL, "was abnormal at 91 (expected 18 to 23) [E1]."),
        (HELD, "crossed its threshold: 91 \u2265 80, rule CPU usage, held 60 s [E1]."),
        (SILENT, "and 11 more series like it fell silent [E1]."),
    ],
)
def test_subject_is_told_with_its_own_figures_before_all_else(own: Evidence, sentence: str) -> None:
    others = [
        piece(2, EvidenceKind.CHANGE, change_before_event=60.0),
        piece(3, EvidenceKind.MOVED_SERIES, **FULL),
        piece(4, EvidenceKind.THRESHOLD, service="db", threshold=1.0, value=2.0),
    ]
    known = facts(*others, own)
    assert told(known).claims[0].text == f'cpu_usage{{service="web"}} {sentence}'
    assert rendered(completed([], known), known)[0].text.endswith(sentence)


def test_of_strangers_neither_changes_nor_full_resources_are_told_nor_advised() -> None:
    change = piece(2, EvidenceKind.CHANGE, service="far", change_before_event=60.0)
    disk = piece(3, EvidenceKind.MOVED_SERIES, service="far", **FULL)
    known = facts(ABNORMAL, change, disk, tied=frozenset())
    assert [each.kind for each in told(known).claims] == ["abnormal"]
    assert not holds(Relieve("E3"), known)
    near = replace(known, tied=frozenset({"E2", "E3"}))
    kinds = [each.kind for each in told(near).claims]
    assert kinds == ["abnormal", "changed", "exhausted", "relieve"]


def test_change_after_the_onset_is_told_as_such_and_last() -> None:
    own = piece(
        2, EvidenceKind.SUBJECT_SERIES, baseline=20.0, observed=90.0, change_before_event=300.0
    )
    late = piece(3, EvidenceKind.CHANGE, change_before_event=130.0)
    disk = piece(4, EvidenceKind.MOVED_SERIES, **FULL)
    early = piece(5, EvidenceKind.CHANGE, change_before_event=330.0)
    known = facts(own, late, disk)
    claims = told(known).claims
    assert [each.kind for each in claims] == ["moved", "exhausted", "changed", "relieve"]
    assert "170 s after it began" in claims[2].text
    assert known.is_late(late)
    assert not known.is_late(early)


@pytest.mark.parametrize(
    ("rule", "value", "crosses"),
    [
        ("up <= 0", 0.0, True),
        ("up == 0", 0.0, True),
        ("up == 0", 1.0, False),
        ("cpu >= 100", 100.0, True),
        ("cpu > 100", 100.0, False),
        ("cpu < 0", 0.0, False),
    ],
)
def test_bound_that_is_reached_is_crossed_where_the_rule_says_so(
    rule: str, value: float, crosses: bool
) -> None:
    found = window_of(series([value] * 30), "", start_ms=EVENT_MS - 9000, end_ms=EVENT_MS)
    subject = replace(alert_facts(), rule=bound_of_rule(rule))
    assert subject.rule is not None
    assert (breach_of(found, subject) is not None) is crosses


def test_bound_of_a_rule_is_read_in_linear_time() -> None:
    assert bound_of_rule("a" + " " * 200_000 + "{") is None


def test_what_is_free_of_a_resource_fell_and_did_not_run_full() -> None:
    full = {"baseline": 50.0, "observed": 0.0, "limit": 50.0, "full_before_event": 60.0}
    slots = replace(piece(2, EvidenceKind.MOVED_SERIES, **full), labels={"__name__": "slots_free"})
    (claim, *_) = told(facts(slots)).claims
    assert claim.text.startswith("slots_free fell to 0 of 50, since ")


def test_only_what_of_the_cause_ran_full_calls_for_a_revision() -> None:
    disk = pb.Evidence(
        evidence_id="E2", title="disk ran full", figures=[pb.Figure(name="full_before_event")]
    )
    reason = pb.SuspectReason(evidence_ids=["E2"])
    named = pb.Explanation(verdict=pb.VERDICT_EXPLAINED, suspects=[pb.Suspect(entity="db")])
    named.evidence.append(disk)
    assert known_of(named).telling == frozenset()
    named.suspects[0].reasons.append(reason)
    assert known_of(named).telling == {"disk ran full"}


def test_second_advice_for_one_service_goes_on_from_the_first() -> None:
    suspect = Suspect(
        entity="api",
        rank=1,
        score=1.0,
        confidence=0.9,
        reasons=(Reason(text="moved", evidence_id="E2", score=1.0),),
    )
    moved = {"baseline": 2.0, "observed": 90.0, "change_before_event": 60.0}
    known = replace(
        facts(
            piece(2, EvidenceKind.MOVED_SERIES, service="api", **moved),
            piece(3, EvidenceKind.CHANGE, service="api", change_before_event=90.0),
        ),
        suspects=(NamedSuspect(suspect=suspect, labels={}),),
    )
    acts = [each.text for each in rendered(default_form(known).claims, known) if each.kind == "act"]
    assert acts == [
        "Start with api: undo the change [E3].",
        "Then find what uses the processor there, then stop it or give it more [E2].",
    ]


def test_nothing_of_the_subject_contradicts_or_repeats_what_it_is() -> None:
    usual = {"baseline": 20.0, "observed": 21.0}
    calm = piece(2, EvidenceKind.SUBJECT_SERIES, **usual)
    assert [each.kind for each in told(facts(ABNORMAL, calm)).claims] == ["abnormal"]
    gone = piece(3, EvidenceKind.SUBJECT_SERIES, silent_before_event=120.0)
    lost = piece(1, EvidenceKind.ANOMALY, silent=120.0, usual_pause=15.0)
    assert [each.kind for each in told(facts(lost, gone)).claims] == ["silent"]
    assert [each.kind for each in told(facts(calm)).claims] == ["steady"]


def test_a_change_that_is_cited_hides_no_later_one() -> None:
    """A change is not what the suspect shows: what it does since then may come of another one."""
    moved = {"baseline": 2.0, "observed": 90.0, "change_before_event": 60.0}
    cited = (
        piece(2, EvidenceKind.MOVED_SERIES, service="api", **moved),
        piece(3, EvidenceKind.CHANGE, service="api", change_before_event=300.0),
    )
    later = replace(
        piece(4, EvidenceKind.CHANGE, service="api", change_before_event=90.0),
        start_ms=EVENT_MS - 90_000,
    )
    reasons = tuple(Reason(text="", evidence_id=each.evidence_id, score=1.0) for each in cited)
    suspect = Suspect(entity="api", rank=1, score=1.0, confidence=0.9, reasons=reasons)
    named = NamedSuspect(suspect=suspect, labels={})
    known = replace(facts(*cited, later), suspects=(named,))
    assert {each.evidence_id for each in known.changes_of(named)} == {"E3", "E4"}
