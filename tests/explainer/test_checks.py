"""What the checks let pass and what they strike; any change of a figure is caught."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.explainer.checks.check import check
from services.explainer.checks.lexicon import lexicon_of
from services.explainer.model.evidence import Evidence, EvidenceKind, Figure
from services.explainer.model.explanation import NamedSuspect, Text
from services.explainer.model.names import entity_of
from services.explainer.model.ranking import Reason, Suspect
from services.explainer.model.subjects import SubjectFacts, SubjectKind, SubjectRef
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import number_and_unit, rounded, shown
from services.explainer.wording.partial import StringValues
from services.explainer.wording.template import worded


def facts(
    *, baseline: float = 20.04, observed: float = 90.42, entity: str = "web-1", unit: str = "%"
) -> Facts:
    """One suspect behind which stands one series."""
    subject = SubjectFacts(
        ref=SubjectRef(kind=SubjectKind.ALERT, id="a1"),
        state="firing",
        title="alert HighCPU",
        severity="critical",
        labels={"alertname": "HighCPU", "host": entity},
        event_ms=1_700_000_000_000,
        lead_ms=600_000,
    )
    labels = {"__name__": "cpu_usage", "host": entity, "core": "7"}
    piece = Evidence(
        evidence_id="E1",
        kind=EvidenceKind.SUBJECT_SERIES,
        source="ingest",
        title=f'cpu_usage{{core="7",host="{entity}"}} rose above its usual range',
        start_ms=1_699_996_400_000,
        end_ms=1_700_000_300_000,
        labels=labels,
        figures=(
            Figure(name="baseline", value=baseline, unit=unit),
            Figure(name="observed", value=observed, unit=unit),
            Figure(name="size_sigma", value=70.1, unit="1"),
            Figure(name="change_before_event", value=120.0, unit="s"),
        ),
    )
    suspect = Suspect(
        entity=entity,
        rank=1,
        score=4.0,
        confidence=0.9,
        reasons=(Reason(text="moved", evidence_id="E1", score=4.0),),
    )
    named = NamedSuspect(suspect=suspect, labels={"host": entity})
    return Facts(subject=subject, suspects=(named,), evidence=(piece,), reason="decided by walk")


def holds(sentence: str) -> bool:
    """Whether a sentence of a summary stands."""
    text = Text(root_cause="web-1 is the cause.", mitigation="", summary=sentence)
    return not check(text, facts(), grounded=True).struck


@pytest.mark.parametrize(
    "sentence",
    [
        "cpu_usage rose from 20 % to 90.4 %.",
        "cpu_usage rose to 90.4 percent [E1].",
        "On web-1 it was 70.1 times the usual spread.",
        "It moved 120 s before the alert HighCPU.",
        "It moved 120 seconds before.",
        "The alert began at 2023-11-14 22:13:20 UTC.",
        "The host web-1 is out of CPU.",
        "See [E1].",
    ],
)
def test_sentence_that_the_evidence_holds_stands(sentence: str) -> None:
    assert holds(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "cpu_usage rose to 90.5 %.",
        "cpu_usage rose from 90.4 % to 20 %.",
        "cpu_usage fell from 20 % to 90.4 %.",
        "cpu_usage dropped down from about 90.4 to around 20.",
        "cpu_usage went from 120 to 20 %.",
        "cpu_usage rose to 90.4 ms.",
        "cpu_usage rose to 90.4ms.",
        "cpu_usage rose to -90.4 %.",
        "cpu_usage rose to 1,90.4 %.",
        "cpu_usage rose to 90.4 million.",
        "cpu_usage rose to minus 20 %.",
        "cpu_usage rose to 90.4e3.",
        "cpu_usage rose to \uff19\uff10.\uff14 %.",
        "cpu_usage rose to ½.",
        "cpu_usage doubled.",
        "cpu_usage is at twenty.",
        "It moved 120 minutes before.",
        "The alert began at 2023-11-14 22:13:21 UTC.",
        "The alert began on 2024-11-14.",
        "Core 7 of web-1 is busy.",
        "See [E2].",
        "E1E2 web-1",
        "The web-2 host is slow.",
        "web-1 waits for payments_db.",
        "web-1 waits for db.internal.",
        "web-1 waits for the payments service.",
        "web-1 waits for service payments.",
        "web-1 was killed by Kafka.",
        "web-1 was killed by checkoutService.",
        "All is well.",
        "Look at www.evil.test for web-1.",
        "Look at http://evil.test/web-1 now.",
        "web-1 <img src=x>",
        "web-1 [click](here)",
        "sudo reboot web-1",
        "web-1 | tee",
        "web-1 `id`",
    ],
)
def test_sentence_that_the_evidence_does_not_hold_is_struck(sentence: str) -> None:
    assert not holds(sentence)


def test_numeric_label_vouches_for_no_figure() -> None:
    assert "7" not in lexicon_of(facts()).units_by_number
    assert not holds("web-1 was 7 times slower.")


def test_cause_that_does_not_name_the_first_suspect_is_struck() -> None:
    text = Text(root_cause="cpu_usage rose to 90.4 % [E1].", mitigation="", summary="")
    checked = check(text, facts(), grounded=True)
    assert checked.text.root_cause == ""
    assert checked.struck == ("cpu_usage rose to 90.4 % [E1].",)


def test_only_the_bad_sentence_of_several_is_struck() -> None:
    text = Text(
        root_cause="web-1 is the cause.",
        mitigation="Stop it. Pay 500 euros.",
        summary="web-1 is busy. It burns at 451 degrees. See [E1].",
    )
    checked = check(text, facts(), grounded=True)
    assert checked.text.mitigation == "Stop it."
    assert checked.text.summary == "web-1 is busy. See [E1]."
    assert checked.struck == ("Pay 500 euros.", "It burns at 451 degrees.")


def test_long_text_is_shortened_at_a_sentence() -> None:
    text = Text(root_cause="web-1 is it.", mitigation="", summary="web-1 is busy. " * 500)
    summary = check(text, facts(), grounded=True).text.summary
    assert len(summary) <= 2000
    assert summary.endswith("web-1 is busy.")


DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
SIGNS = [*DASHES, *(f"{dash} " for dash in DASHES), "minus ", "negative ", "\u00b1", "~", "$"]
MULTIPLIERS = [
    " millions", " gigabytes", " \u2030", " \u00d7", "\u00d7", " thousand", "-fold", " kilo",
    " (million)",
    " [E1] billion", "\u00a0millions", "  mega", "\nmillion", "e6", " E6", "k", " 000", "\u00b3",
    " dozen",
    " % of a million", " % per second", " \u043c\u0441", " squared", "/1000", " percentage points",
]  # fmt: skip
"""What makes another number of one, before it and behind it."""


def mutations(number: str) -> st.SearchStrategy[str]:
    """One edit of a number as a person or a model might make it."""
    places = st.integers(0, len(number))
    chars = st.sampled_from("0123456789.,-\uff11\u0663\u00bd\u2013\u2014\u2212\u2010\uff0d")
    inserted = st.builds(lambda at, char: number[:at] + char + number[at:], places, chars)
    deleted = st.builds(lambda at: number[:at] + number[at + 1 :], places)
    replaced = st.builds(lambda at, char: number[:at] + char + number[at + 1 :], places, chars)
    scaled = st.sampled_from(["{}0", "{}e3", "{} million", "-{}", "1{}", "{}.5", "{},5"])
    scaled |= st.builds("{}{{}}".format, st.sampled_from(SIGNS))
    scaled |= st.builds("{{}}{}".format, st.sampled_from(MULTIPLIERS))
    return inserted | deleted | replaced | scaled.map(lambda form: form.format(number))


finite = st.floats(min_value=-1e15, max_value=1e15, allow_nan=False)
names = st.text(min_size=1, max_size=40)


@given(baseline=finite, observed=finite, entity=names, unit=st.sampled_from(["", "%", "s", "By"]))
def test_every_figure_of_the_template_checks(
    baseline: float, observed: float, entity: str, unit: str
) -> None:
    """Whatever the figures and however odd the names, the template says nothing unfounded."""
    named = entity_of({"host": entity})
    given_facts = facts(baseline=baseline, observed=observed, entity=named, unit=unit)
    checked = check(worded(given_facts), given_facts, grounded=False)
    assert checked.struck == ()


@given(st.data())
def test_any_changed_digit_of_a_figure_is_caught(data: st.DataObject) -> None:
    known = facts(
        baseline=data.draw(st.floats(0.001, 1e6)), observed=data.draw(st.floats(0.001, 1e6))
    )
    figures = {number_and_unit(f)[0] for f in known.evidence[0].figures}
    text = worded(known)
    number = data.draw(st.sampled_from(sorted(figures)))
    assume(number in text.root_cause)
    places = [place for place, char in enumerate(number) if char.isdigit()]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from("0123456789"))
    changed = number[:place] + digit + number[place + 1 :]
    assume(changed not in figures)
    lie = Text(
        root_cause=text.root_cause.replace(f" {number}", f" {changed}"),
        mitigation=text.mitigation,
        summary="",
    )
    assume(lie.root_cause != text.root_cause)
    assert check(lie, known, grounded=True).text.root_cause == ""


@given(st.data())
def test_any_mutation_of_a_figure_is_caught(data: st.DataObject) -> None:
    known = facts(
        baseline=data.draw(st.floats(0.001, 1e6)), observed=data.draw(st.floats(0.001, 1e6))
    )
    figures = {number_and_unit(f)[0] for f in known.evidence[0].figures}
    cause = worded(known).root_cause
    number = data.draw(st.sampled_from(sorted(figures)))
    assume(f" {number} " in cause)
    changed = data.draw(mutations(number))
    said = [part for part in re.split(r"[^\w.,-]+", changed) if part]
    assume(any(char.isnumeric() for char in changed))
    assume(not any(part.lstrip(".,").rstrip(".,-") in figures for part in said))
    lie = Text(
        root_cause=cause.replace(f" {number} ", f" {changed} ", 1), mitigation="", summary=""
    )
    assert check(lie, known, grounded=True).text.root_cause == ""


@given(
    st.sampled_from(["20", "90.4", "70.1", "120"]),
    st.sampled_from(SIGNS) | st.just(""),
    st.sampled_from(MULTIPLIERS) | st.just(""),
    st.sampled_from(["web-1 reached {}.", "It was {} on web-1.", "At {} web-1 is busy [E1]."]),
)
def test_figure_with_another_sign_or_multiplier_is_caught(
    number: str, sign: str, multiplier: str, sentence: str
) -> None:
    assert holds(sentence.format(number))
    if sign or multiplier:
        assert not holds(sentence.format(f"{sign}{number}{multiplier}"))


@pytest.mark.parametrize("unit", ["s", "ms", "GiB", "million", "x", "degrees", "minutes", "kB"])
def test_figure_with_another_unit_is_caught(unit: str) -> None:
    lie = Text(root_cause=f"web-1 rose to 90.4 {unit} [E1].", mitigation="", summary="")
    assert check(lie, facts(), grounded=True).text.root_cause == ""


@given(st.floats(-1e300, 1e300))
def test_rounding_keeps_three_digits(value: float) -> None:
    if abs(value) > 1e-300:
        assert float(rounded(value)) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (1536.0, "By", "1.5 KiB"),
        (5.0 * 1024**4, "By", "5 TiB"),
        (0.25, "s", "0.25 s"),
        (99.95, "%", "100 %"),
        (float("nan"), "", "no number"),
        (-0.0, "", "0"),
    ],
)
def test_figures_are_shown_with_their_unit(value: float, unit: str, said: str) -> None:
    assert shown(Figure(name="x", value=value, unit=unit)) == said


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=20), min_size=1, max_size=3),
    st.lists(st.integers(1, 7), min_size=1, max_size=20),
)
def test_string_values_are_the_same_however_the_json_is_cut(
    document: dict[str, str], cuts: list[int]
) -> None:
    import json

    text = json.dumps(document)
    whole = StringValues().feed(text)
    values, rest, got = StringValues(), text, ""
    while rest:
        size = cuts[len(rest) % len(cuts)]
        got += values.feed(rest[:size])
        rest = rest[size:]
    assert got == whole
