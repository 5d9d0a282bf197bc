"""Facts and forms as Hypothesis draws them."""

from typing import Any

from hypothesis import strategies as st

from services.explainer.claims.facts import Facts
from services.explainer.claims.form import TAGS, Action, Form, Mechanism
from services.explainer.model.evidence import LOOKED_FOR, Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef
from tests.explainer.peers import EVENT_MS

SLOW = SubjectFacts(
    ref=SubjectRef(kind=SubjectKind.ALERT, id="a1"),
    state="firing",
    title="alert Slow",
    severity="critical",
    labels={},
    event_ms=EVENT_MS,
    lead_ms=0,
)


MEASURED = (EvidenceKind.SUBJECT_SERIES, EvidenceKind.MOVED_SERIES)


METRICS = ("cpu_percent", "http_errors_per_second", "memory_bytes", "up", "request_seconds")


SERVICES = ("web", "api", "db", "auth")


@st.composite
def evidence(draw: st.DrawFn, number: int) -> Evidence:
    """One piece of any kind, with figures that fit it, or some of them missing."""
    kind = draw(st.sampled_from(list(EvidenceKind)))
    names = {
        EvidenceKind.CHANGE: ("change_before_event", "change_after_event"),
        EvidenceKind.THRESHOLD: ("threshold", "value", "worst"),
        EvidenceKind.ANOMALY: ("value", "expected_low", "expected_high", "silent", "usual_pause"),
        EvidenceKind.MISSING: (),
        EvidenceKind.EXAMPLE: (),
        EvidenceKind.ORIGIN_ERRORS: ("errors", "requests", "expected"),
        EvidenceKind.CALL_SHAPE: ("answers", "all_answers", "usual_answers", "all_usual_answers"),
        EvidenceKind.CALL_WAIT: ("mean", "usual_mean", "calls"),
    }.get(
        kind,
        (
            "baseline", "observed", "size_sigma", "change_before_event", "change_after_event",
            "full_before_event", "limit", "silent_before_event", "reached", "usual_low",
            "usual_high", "gained",
        ),
    )  # fmt: skip
    chosen = draw(st.sets(st.sampled_from(names))) if names else set()
    value = st.floats(0.001, 1e6) | st.integers(0, 100).map(float)
    figures = tuple(Figure(name=n, value=draw(value), unit="") for n in names if n in chosen)
    service, metric = draw(st.sampled_from(SERVICES)), draw(st.sampled_from(METRICS))
    optional = {"caller": "web", "lacks": "redis GET", "adds": "db SELECT", "reason": "gave_up"}
    said = {name: optional[name] for name in draw(st.sets(st.sampled_from([*optional])))}
    return Evidence(
        evidence_id=f"E{number}",
        kind=kind,
        source=LOOKED_FOR,
        title=f"{kind.value} of {service}",
        start_ms=EVENT_MS - draw(st.integers(-300, 3000)) * 1000,
        end_ms=EVENT_MS,
        labels={"__name__": metric, "service": service, "operation": "GET /buy", **said},
        figures=figures,
        reference_id=draw(st.sampled_from(["", "a1", f"r{number}"])),
        severity=draw(st.sampled_from(["", "critical"])),
        is_apart=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn) -> Facts:
    """Any facts: up to eight pieces of evidence, up to three suspects, some calls."""
    pieces = tuple(draw(evidence(n)) for n in range(1, draw(st.integers(1, 8)) + 1))
    named = []
    for rank, entity in enumerate(draw(st.permutations(SERVICES))[: draw(st.integers(0, 3))], 1):
        ids = draw(st.lists(st.sampled_from([p.evidence_id for p in pieces]), max_size=3))
        reasons = tuple(Reason(text="moved", evidence_id=id, score=1.0) for id in ids)
        suspect = Suspect(
            entity=entity, rank=rank, score=1.0, confidence=0.9 / rank, reasons=reasons
        )
        named.append(NamedSuspect(suspect=suspect, labels={}))
    pairs = st.tuples(st.sampled_from(SERVICES), st.sampled_from(SERVICES))
    return Facts(
        subject=SLOW,
        suspects=tuple(named),
        evidence=pieces,
        reason="no service stands out from the rest",
        service="web",
        calls=frozenset(draw(st.sets(pairs, max_size=4))),
    )


def forms(facts: Facts) -> st.SearchStrategy[Form]:
    """Any form that the schema lets pass, and many that it does not."""
    ids = st.sampled_from(["", *(piece.evidence_id for piece in facts.evidence), "E99"])
    names = st.sampled_from(["S1", "S2", "S3", "S9", "subject"])
    many = st.lists(ids, max_size=3).map(tuple)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "suspect": names, "target": names, "caller": names, "callee": names,
        "mechanism": st.sampled_from(list(Mechanism)), "action": st.sampled_from(list(Action)),
        "because": many, "effect": ids, "evidence": ids, "first": ids, "second": ids,
    }  # fmt: skip
    claims = st.one_of(
        [
            st.builds(kind, *(fields[name] for name in kind.__struct_fields__))
            for kind in TAGS.values()
        ]
    )
    return st.lists(claims, max_size=8).map(lambda each: Form(claims=tuple(each)))
