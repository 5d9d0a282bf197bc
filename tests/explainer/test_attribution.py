"""True figures in the wrong place: swapped, or told of something else."""

import dataclasses

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.explainer.checks.check import check
from services.explainer.model.evidence import Figure
from services.explainer.model.explanation import Text
from services.explainer.wording.facts import Facts
from services.explainer.wording.figures import rounded
from tests.explainer.test_checks import facts

values = st.floats(0.01, 1e6, allow_nan=False).map(rounded)


def two_services(web: tuple[str, str], db: tuple[str, str]) -> Facts:
    """`web-1` went from one value to another, and so did `db`."""
    alone = facts(baseline=float(web[0]), observed=float(web[1]), unit="1")
    (piece,) = alone.evidence
    figures = tuple(
        Figure(name=name, value=float(value), unit="1")
        for name, value in zip(("baseline", "observed"), db, strict=True)
    )
    labels = {"__name__": "wait_seconds", "host": "db"}
    other = dataclasses.replace(
        piece, evidence_id="E2", title="wait_seconds of db moved", labels=labels, figures=figures
    )
    return dataclasses.replace(alone, evidence=(piece, other))


def stands(sentence: str, about: Facts) -> bool:
    """Whether a sentence of a model's summary stands."""
    text = Text(root_cause="web-1 is the cause.", mitigation="", summary=sentence)
    return not check(text, about, grounded=True).struck


@given(web=st.tuples(values, values), db=st.tuples(values, values))
def test_figures_of_another_thing_are_struck(web: tuple[str, str], db: tuple[str, str]) -> None:
    assume(len({*web, *db, "70.1", "120"}) == 6)
    found = two_services(web, db)
    assert stands(f"web-1 went from {web[0]} to {web[1]}.", found)
    assert stands(f"db went from {db[0]} to {db[1]} [E2].", found)
    assert not stands(f"web-1 went from {db[0]} to {db[1]}.", found)
    assert not stands(f"db reached {web[1]}.", found)
    assert not stands(f"It reached {web[1]} [E2].", found)


@given(web=st.tuples(values, values), way=st.sampled_from(["went", "rose", "fell", "changed"]))
def test_swapped_figures_are_struck(web: tuple[str, str], way: str) -> None:
    assume(len({*web, "70.1", "120", "1", "2"}) == 6)
    found = two_services(web, ("1", "2"))
    assert not stands(f"web-1 {way} from {web[1]} to {web[0]}.", found)


@pytest.mark.parametrize("way", ["fell", "dropped", "decreased", "went down"])
def test_a_rise_that_is_told_as_a_fall_is_struck(way: str) -> None:
    assert stands("cpu_usage rose from 20 % to 90.4 %.", facts())
    assert not stands(f"cpu_usage {way} from 20 % to 90.4 %.", facts())


@pytest.mark.parametrize(
    "sentence", ["db {} sharply [E2].", "db {} to 6.", "It {} [E2].", "db {}."]
)
@pytest.mark.parametrize(("way", "true"), [("rose", True), ("surged", True), ("fell", False)])
def test_the_way_is_checked_without_both_figures(sentence: str, way: str, true: bool) -> None:
    found = two_services(("4", "3"), ("5", "6"))
    assert stands(sentence.format(way), found) is true


def test_what_went_both_ways_may_be_told_so() -> None:
    found = two_services(("4", "3"), ("5", "6"))
    assert stands("web-1 fell as db rose [E1] [E2].", found)
    assert not stands("web-1 rose [E1].", found)


def test_advice_may_ask_for_the_other_way() -> None:
    found = two_services(("4", "3"), ("5", "6"))
    advice = Text(root_cause="", mitigation="Increase what web-1 may use.", summary="")
    assert not check(advice, found, grounded=True).struck


def test_figures_of_all_that_a_sentence_names_may_stand_in_it() -> None:
    found = two_services(("3", "4"), ("5", "6"))
    assert stands("web-1 reached 4 while db reached 6.", found)
    assert stands("web-1 reached 4 [E1], db 6 [E2].", found)
