"""What the template says of how sure it is."""

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.explainer.checks.check import Held, check
from services.explainer.jobs import pipeline
from services.explainer.model.case import Symptom
from services.explainer.model.evidence import Figure
from services.explainer.model.explanation import NamedSuspect, Text
from services.explainer.model.names import series_name
from services.explainer.wording.facts import Facts
from services.explainer.wording.template import worded
from tests.explainer.test_checks import facts

NAMES = ("web-1", "a-2", "b-3", "c-4")

LEVELS = (Figure(name="baseline", value=20.0), Figure(name="observed", value=20.4))
SINCE = Figure(name="change_before_event", value=120.0, unit="s")
SILENT = Figure(name="silent_before_event", value=90.0, unit="s")


def beside(*confidences: float) -> Facts:
    """The one suspect with .4, and others with these confidences."""
    alone = facts()
    (named,) = alone.suspects
    suspects = [
        NamedSuspect(
            suspect=dataclasses.replace(named.suspect, entity=entity, confidence=confidence),
            labels={},
        )
        for entity, confidence in zip(
            ("web-1", "a-2", "b-3", "c-4"), (0.4, *confidences), strict=False
        )
    ]
    return dataclasses.replace(alone, suspects=tuple(suspects))


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ((), ": "),
        ((0.1, 0.1), ": "),
        ((0.3, 0.1), ", hardly ahead of a-2: "),
        ((0.3, 0.3), ", hardly ahead of a-2 and b-3: "),
        ((0.39, 0.38, 0.3), ", hardly ahead of a-2, b-3 and others: "),
    ],
)
def test_suspects_that_cannot_be_told_apart_are_named_together(
    others: tuple[float, ...], said: str
) -> None:
    found = beside(*others)
    text = worded(found)
    assert text.root_cause.startswith(f"web-1 is the most likely cause{said}")
    assert not check(text, found, grounded=False).struck


def told(*figures: Figure, symptom: Symptom = Symptom.UNKNOWN, named: bool = False) -> Text:
    """What is said of one series of the subject with these figures; all of it checks."""
    known = facts()
    found = dataclasses.replace(
        known,
        suspects=known.suspects if named else (),
        evidence=(dataclasses.replace(known.evidence[0], figures=figures),),
        subject=dataclasses.replace(known.subject, symptom=symptom),
    )
    text = worded(found)
    assert not check(text, found, grounded=False).struck
    return text


def test_series_that_did_not_move_is_said_to_have_stayed() -> None:
    size = Figure(name="size_sigma", value=0.62, unit="1")
    said = "Of the subject, cpu_usage stayed within its usual range [E1]."
    assert said in told(*LEVELS, size).summary
    assert said in told(*LEVELS).summary


def test_series_without_a_size_is_told_without_one() -> None:
    said = "cpu_usage rose from 20 to 20.4, far outside its usual range, 120 s before the alert"
    assert said in told(*LEVELS, SINCE).summary
    assert said in told(*LEVELS, SINCE, named=True).root_cause


def test_silence_is_told_of_a_series_that_sends_no_more() -> None:
    said = "Of the subject, cpu_usage sent nothing for 90 s before the alert [E1]."
    assert said in told(*LEVELS, SILENT).summary
    assert said in told(SILENT).summary
    assert said in told(*LEVELS, SINCE, SILENT, symptom=Symptom.ABSENCE).summary
    assert said not in told(*LEVELS, SINCE, SILENT).summary


def test_cause_is_never_said_to_have_stayed_as_it_was() -> None:
    assert told(*LEVELS, named=True).root_cause == "web-1 is the most likely cause [E1]."


def test_summary_does_not_repeat_what_the_cause_tells() -> None:
    text = told(*LEVELS, SINCE, named=True)
    assert "cpu_usage rose" in text.root_cause
    assert "cpu_usage" not in text.summary


FOREIGN = (
    "Disk Read Bytes/sec", "5xx", "ALB 5XX Count", "load 1m", "latency (ms)", "7", "98 %", "a",
    "\u5fdc\u7b54\u6642\u9593", "10 s", "08:31:40", "<b>x</b>", "e.g. this. And that", "-",
)  # fmt: skip


def measuring(metric: str, **labels: str) -> Facts:
    """One suspect behind which stands a series of this metric."""
    known = facts()
    named = {"__name__": metric, **(labels or {"host": "web-1"})}
    piece = dataclasses.replace(
        known.evidence[0], labels=named, title=f"{series_name(named)} rose above its usual range"
    )
    return dataclasses.replace(known, evidence=(piece,))


@given(metric=st.sampled_from(FOREIGN) | st.text(min_size=1, max_size=200))
@example(metric="5xx")
def test_metric_of_any_name_is_told_and_stands(metric: str) -> None:
    found = measuring(metric)
    text = worded(found)
    checked = check(text, found, grounded=False)
    assert checked.struck == ()
    assert checked.text.root_cause == text.root_cause


@pytest.mark.parametrize("metric", ["Disk Read Bytes/sec", "5xx", "load 1m", "latency (ms)"])
def test_metric_with_blanks_or_digits_is_called_by_its_name(metric: str) -> None:
    assert f": {metric} rose from 20 % to 90.4 %" in worded(measuring(metric)).root_cause


def test_metric_that_reads_like_a_number_is_told_with_its_labels() -> None:
    said = ': {"98 %",host="web-1"} rose from 20 % to 90.4 %'
    assert said in worded(measuring("98 %")).root_cause


def test_cause_of_which_nothing_can_be_told_is_still_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unheard = Text(root_cause="web-1 lost 12345 packets.", mitigation="", summary="")
    monkeypatch.setattr(pipeline, "worded", lambda material: unheard)
    checked = pipeline._of_template(facts(), Held.of(facts()))
    assert checked.struck == ("web-1 lost 12345 packets.",)
    assert checked.text.root_cause == "web-1 is the most likely cause [E1]."
