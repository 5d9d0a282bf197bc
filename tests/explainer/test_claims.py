"""No wrong sentence can be formed: whatever form is filled, what is rendered is true of the facts.

The oracle below reads a sentence back and recomputes it from the evidence, without the product's
predicates.
"""

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.claims.answer import read
from services.explainer.claims.default import completed, default_form
from services.explainer.claims.facts import Facts
from services.explainer.claims.form import TAGS, Action, Form, Mechanism, schema_of
from services.explainer.claims.render import rendered, sentence, text_of
from services.explainer.claims.verify import holds, verified
from services.explainer.llm.provider import ProviderError
from services.explainer.model.evidence import LOOKED_FOR, Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef
from tests.properties import examples

EVENT_MS = 1_700_000_000_000
SECRET = "hacked by an attacker"
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
        subject=SubjectFacts(
            ref=SubjectRef(kind=SubjectKind.ALERT, id="a1"),
            state="firing",
            title="alert Slow",
            severity="critical",
            labels={},
            event_ms=EVENT_MS,
            lead_ms=0,
        ),
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


class Oracle:
    """Reads sentences back and recomputes them; knows the evidence and nothing of the product."""

    def __init__(self, facts: Facts) -> None:
        """Of these facts."""
        self.facts = facts
        self.by_id = {piece.evidence_id: piece for piece in facts.evidence}

    def agrees(self, text: str) -> bool:
        """Whether a sentence says nothing but what the evidence that it cites shows."""
        cited = [self.by_id.get(id) for id in re.findall(r"\[(E\d+)\]", text)]
        if any(piece is None for piece in cited):
            return False
        pieces = [piece for piece in cited if piece is not None]
        return (
            self._calls(text)
            and self._directions(text, pieces)
            and self._order(text, pieces)
            and self._numbers(text, pieces)
            and self._cause(text)
            and self._traces(text, pieces)
        )

    def _calls(self, text: str) -> bool:
        called = re.fullmatch(r"(\w+) calls (\w+)\.", text)
        return called is None or (called[1], called[2]) in self.facts.calls

    def _cause(self, text: str) -> bool:
        named = re.match(r"(\w+) is the most likely cause", text)
        return named is None or named[1] == self.facts.suspects[0].suspect.entity

    def _traces(self, text: str, pieces: list[Evidence]) -> bool:
        """More errors than due, a larger share of the answers, or more time than usual."""
        if text.startswith("For example in "):
            return f"For example in {pieces[0].labels['service']}, " in text
        if not text.startswith("In the traces "):
            return True
        (piece,) = pieces
        told = re.findall(r"-?\d+(?:\.\d+)?", re.sub(r"\[E\d+\]", "", text))
        value = {figure.name: figure.value for figure in piece.figures}
        if "errors begin in" in text:
            return value["errors"] > value["expected"] and len(told) == 3
        if " answers of " in text:
            seen = value["answers"] * value["all_usual_answers"]
            return seen > value["usual_answers"] * value["all_answers"] and len(told) == 4
        caller = piece.labels.get("caller")
        waits = f"In the traces {caller} waits " in text
        return value["mean"] > value["usual_mean"] and len(told) == 2 and waits == bool(caller)

    def _directions(self, text: str, pieces: list[Evidence]) -> bool:
        levels = [(self._value(p, "baseline"), self._value(p, "observed")) for p in pieces]
        ups = [after >= before for before, after in levels if None not in (before, after)]
        return not (" rose from " in text and True not in ups) and not (
            " fell from " in text and False not in ups
        )

    def _order(self, text: str, pieces: list[Evidence]) -> bool:
        if " began " not in text or not re.search(r"began .+ before (?!the alert)", text):
            return True
        first, second = (self._begun(piece) for piece in pieces)
        return first is not None and second is not None and first < second

    def _numbers(self, text: str, pieces: list[Evidence]) -> bool:
        """Every number is, rounded to two digits, a figure or a time of the evidence."""
        bare = re.sub(r"\[E\d+\]|\d\d:\d\d:\d\d UTC|\d{4}-\d\d-\d\d", " ", text)
        told = [
            float(n) for n in re.findall(r"(?<![\w.\"{])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w\"])", bare)
        ]
        known = {f.value for piece in pieces for f in piece.figures}
        for piece in pieces:
            begun = self._begun(piece)
            known |= {abs(EVENT_MS - at) / 1000 for at in (begun, piece.start_ms) if at is not None}
        if len(pieces) == 2:
            begun = [self._begun(piece) for piece in pieces]
            known |= {(begun[1] - begun[0]) / 1000} if None not in begun else set()  # type: ignore[operator]
        scaled = {v / k for v in known for k in (1, 60, 3600, 86400, 1024, 1024**2, 1024**3)}
        return all(any(abs(n - v) <= 0.05 * abs(v) + 1e-9 for v in scaled) for n in told)

    def _value(self, piece: Evidence, name: str) -> Any:
        return next((f.value for f in piece.figures if f.name == name), None)

    def _begun(self, piece: Evidence) -> int | None:
        for name in ("full", "change"):
            for side, sign in (("before", -1), ("after", 1)):
                if (seconds := self._value(piece, f"{name}_{side}_event")) is not None:
                    return EVENT_MS + sign * round(1000 * seconds)
        dated = ("alert", "anomaly", "threshold")
        return piece.start_ms if piece.kind.value in dated else None


@pytest.mark.parametrize(
    ("about", "named_for"),
    [
        ("node_cpu_utilization_ratio", "group_cpu_cores"),
        ("node_memory_utilization_ratio", "group_memory_bytes"),
        ("request_seconds", "group_memory_bytes"),
    ],
)
def test_who_used_what_is_short_is_named_for_that(about: str, named_for: str) -> None:
    """A process that is new is far outside its usual range in all that it uses."""
    pieces = tuple(
        Evidence(
            evidence_id=f"E{number}",
            kind=EvidenceKind.MOVED_SERIES,
            source="",
            title="",
            start_ms=EVENT_MS,
            end_ms=EVENT_MS,
            labels={"__name__": metric},
            figures=(Figure(name="size_sigma", value=100.0),),
        )
        for number, metric in enumerate(("group_memory_bytes", "group_cpu_cores"), 1)
    )
    reasons = tuple(Reason(text="rose", evidence_id=p.evidence_id, score=1.0) for p in pieces)
    suspect = Suspect(entity="yes", rank=1, score=1.0, confidence=0.9, reasons=reasons)
    facts = Facts(
        subject=SubjectFacts(
            ref=SubjectRef(kind=SubjectKind.ANOMALY, id="a1"),
            state="firing",
            title=about,
            severity="critical",
            labels={},
            event_ms=EVENT_MS,
            lead_ms=0,
            metric=about,
        ),
        suspects=(NamedSuspect(suspect=suspect, labels={}),),
        evidence=pieces,
        reason="",
    )
    first = facts.behind(facts.suspects[0])[0]
    assert first.labels["__name__"] == named_for


@pytest.mark.parametrize(
    "untrue",
    [
        "api is the most likely cause: cpu_percent rose from 20 to 90, since 22:11:20 UTC [E1].",
        "cpu_percent fell from 90 to 20, 120 s before the alert [E1].",
        "cpu_percent rose from 20 to 95 [E1].",
        "cpu_percent rose from 20 to 90 [E7].",
        "E2 began 60 s before E1 [E2] [E1].",
        "db calls web.",
    ],
)
def test_the_oracle_sees_what_is_untrue(untrue: str) -> None:
    figures = {"baseline": 20.0, "observed": 90.0, "change_before_event": 120.0}
    first = Evidence(
        evidence_id="E1",
        kind=EvidenceKind.MOVED_SERIES,
        source="",
        title="",
        start_ms=EVENT_MS,
        end_ms=EVENT_MS,
        labels={"__name__": "cpu_percent", "service": "db"},
        figures=tuple(Figure(name=n, value=v) for n, v in figures.items()),
    )
    later = dataclasses.replace(
        first, evidence_id="E2", figures=(Figure(name="change_before_event", value=60.0),)
    )
    suspect = Suspect(entity="db", rank=1, score=1.0, confidence=0.9)
    facts = Facts(
        subject=SubjectFacts(
            ref=SubjectRef(kind=SubjectKind.ALERT, id="a1"),
            state="firing",
            title="alert Slow",
            severity="critical",
            labels={},
            event_ms=EVENT_MS,
            lead_ms=0,
        ),
        suspects=(NamedSuspect(suspect=suspect, labels={}),),
        evidence=(first, later),
        reason="",
        calls=frozenset({("web", "db")}),
    )
    assert not Oracle(facts).agrees(untrue)
    assert Oracle(facts).agrees("cpu_percent rose from 20 to 90, 120 s before the alert [E1].")


@examples(20)
@given(st.data())
def test_every_rendered_sentence_is_true_of_the_facts(data: st.DataObject) -> None:
    facts = data.draw(cases())
    form = data.draw(forms(facts))
    oracle = Oracle(facts)
    for claim in verified(form.claims, facts):
        text = sentence(claim, facts)
        assert oracle.agrees(text), (claim, text)


@examples(15)
@given(cases())
def test_everything_in_the_default_form_is_true_and_renders(facts: Facts) -> None:
    form, oracle = default_form(facts), Oracle(facts)
    assert verified(form.claims, facts) == list(form.claims)
    said = rendered(form.claims, facts)
    assert all(oracle.agrees(each.text) for each in said)
    text = text_of(said, facts)
    assert bool(text.root_cause) <= bool(facts.suspects)
    assert text.mitigation
    assert text.summary


@examples(15)
@given(st.data())
def test_a_fact_that_changes_under_a_claim_drops_it_or_changes_its_sentence(
    data: st.DataObject,
) -> None:
    facts = data.draw(cases())
    for claim in verified(data.draw(forms(facts)).claims, facts):
        without = dataclasses.replace(
            facts,
            evidence=tuple(
                dataclasses.replace(p, figures=(), is_apart=False, kind=EvidenceKind.TOPOLOGY)
                for p in facts.evidence
            ),
            calls=frozenset(),
            suspects=(),
        )
        if getattr(claim, "action", None) is Action.COMPARE:
            continue  # says nothing of the facts
        assert not holds(claim, without) or sentence(claim, without) != sentence(claim, facts)


@examples(20)
@given(st.data())
def test_no_text_of_a_model_reaches_any_text(data: st.DataObject) -> None:
    """The words of an answer stand anywhere in it: as keys, tags, ids, values, beside the form."""
    facts = data.draw(cases())
    words = st.sampled_from([SECRET, f"E1 {SECRET}", f"S1. {SECRET}", "E1", "S1", "moved", "cpu"])
    leaf = words | st.integers() | st.none() | st.lists(words, max_size=2)
    keys = st.sampled_from(
        ["type", "evidence", "suspect", "because", "mechanism", "effect", "first", "second", SECRET]
    )
    claims = st.lists(st.dictionaries(keys, leaf, max_size=6) | leaf, max_size=6)
    answer = f"{data.draw(words)} {json.dumps({'claims': data.draw(claims), 'note': SECRET})}"
    try:
        form, _ = read(answer)
    except ProviderError as error:
        form, refused = Form(), error.reason
    else:
        refused = ""
    said = rendered(completed(verified(form.claims, facts), facts), facts)
    text = text_of(said, facts)
    assert SECRET not in f"{refused}{form}{said}{text}"


@examples(20)
@given(cases())
def test_schema_knows_the_ids_of_this_case_and_no_other(facts: Facts) -> None:
    known = {piece.evidence_id for piece in facts.evidence} | {*facts.suspect_ids, "subject", ""}
    closed = {*TAGS, *Mechanism, *Action}
    for enum in _enums(schema_of(facts)):
        assert enum
        assert set(enum) <= known or set(enum) <= closed


def _enums(schema: Any) -> list[list[str]]:
    if isinstance(schema, list):
        return [enum for each in schema for enum in _enums(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["enum"]] if isinstance(schema.get("enum"), list) else []
    return own + [e for name, each in schema.items() if name != "enum" for e in _enums(each)]


@pytest.mark.parametrize(
    "answer",
    [
        "{" * 50_000,
        '{"claims":[' * 20_000,
        '{"claims": [' + "1," * 500_000 + "1]}",
        "\0" * 2_000_000,
    ],
    ids=["braces", "nested", "long list", "two megabytes"],
)
def test_answer_of_any_size_and_depth_is_read_or_refused(answer: str) -> None:
    try:
        form, unreadable = read(answer)
    except ProviderError:
        return
    assert (form.claims, unreadable > 0) == ((), True)
