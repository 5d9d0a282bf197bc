"""No wrong sentence can be formed: whatever form is filled, what is rendered is true of the facts.

The oracle reads a sentence back and recomputes it from the evidence.
"""

import dataclasses
import json
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
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef
from tests.explainer.drawn_facts import SLOW, cases, forms
from tests.explainer.oracle import Oracle
from tests.explainer.peers import EVENT_MS
from tests.properties import examples

SECRET = "hacked by an attacker"


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
        subject=SLOW,
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
