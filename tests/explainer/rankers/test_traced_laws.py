"""Laws of the rankers that read traces: what must hold whatever was counted."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.explainer.model.traces import (
    Call,
    CallKind,
    LogLines,
    Reason,
    Traces,
    Version,
)
from services.explainer.rankers.confidence import MIDDLE
from services.explainer.rankers.deploys import NearDeploy
from services.explainer.rankers.lines import NewLogPatterns
from services.explainer.rankers.origins import FirstToFail
from services.explainer.rankers.paths import PathChanged
from services.explainer.rankers.protocol import Ranker
from services.explainer.rankers.router import rank
from services.explainer.rankers.waits import LongerWaits
from tests.explainer.rankers.traced import (
    OBSERVED,
    SERVICES,
    START_MS,
    calls,
    case,
    counts,
    named,
    origin,
    shapes,
    traces,
)
from tests.properties import examples

RANKERS: tuple[Ranker, ...] = (
    FirstToFail(), PathChanged(), LongerWaits(), NewLogPatterns(), NearDeploy(),
)  # fmt: skip

NUMBERS = st.integers(0, OBSERVED)


@st.composite
def any_traces(draw: st.DrawFn) -> Traces:
    """The shop with anything wrong in it."""
    some = st.sampled_from(SERVICES)
    times = st.floats(0.001, 5.0)
    changed = {
        (caller, callee): counts(draw(NUMBERS), own=draw(times), wait=draw(times))
        for caller, callee in draw(st.sets(st.sampled_from([("", "web"), ("cart", "stock")])))
    }
    reasons = draw(st.lists(st.tuples(some, st.sampled_from([*Reason])), unique=True, max_size=6))
    return traces(
        calls(changed),
        origins=[origin(s, draw(NUMBERS), draw(NUMBERS), why) for s, why in reasons],
        shapes=shapes(draw(NUMBERS), draw(NUMBERS)),
        lines=[
            LogLines(service=s, text="late", observed=draw(NUMBERS), usual=draw(NUMBERS))
            for s in draw(st.sets(some))
        ],
        versions=[
            Version(
                service=s, version="2", first_seen_ms=START_MS + draw(st.integers(-(10**7), 10**6))
            )
            for s in draw(st.sets(some))
        ],
    )


@examples(15)
@given(any_traces(), st.randoms())
def test_the_order_of_what_was_counted_does_not_matter(found: Traces, dice: Random) -> None:
    other = replace(
        found,
        calls=tuple(dice.sample(found.calls, len(found.calls))),
        origins=tuple(dice.sample(found.origins, len(found.origins))),
        shapes=tuple(dice.sample(found.shapes, len(found.shapes))),
        lines=tuple(dice.sample(found.lines, len(found.lines))),
        versions=tuple(dice.sample(found.versions, len(found.versions))),
    )
    for ranker in RANKERS:
        assert ranker.rank(case(other)) == ranker.rank(case(found))


@examples(15)
@given(any_traces())
def test_scores_are_finite_and_not_negative(found: Traces) -> None:
    for ranker in RANKERS:
        assert all(0 <= each.score < 10 for each in ranker.rank(case(found)).suspects)


@examples(15)
@given(any_traces(), st.integers(1, 20))
def test_what_is_as_usual_names_nobody(found: Traces, times: int) -> None:
    """Ten times the requests with ten times of everything are as usual."""
    usual = replace(
        found,
        observed=found.usual,
        calls=tuple(replace(each, observed=each.usual) for each in found.calls),
        origins=tuple(replace(each, observed=each.usual) for each in found.origins),
        shapes=tuple(
            replace(each, observed=each.usual, observed_total=each.usual_total)
            for each in found.shapes
        ),
        lines=tuple(replace(each, observed=each.usual) for each in found.lines),
        looks=times,
    )
    assert named(rank(case(usual))) == ""


@examples(15)
@given(any_traces())
def test_new_lines_and_new_versions_alone_name_nobody(found: Traces) -> None:
    quiet = replace(found, calls=calls(), origins=(), shapes=())
    ranked = rank(case(quiet))
    assert named(ranked) == ""
    assert all(each.score < MIDDLE for each in ranked.suspects)


@pytest.mark.parametrize(("after_min", "suspects"), [(-14, 1), (0, 1), (1, 1), (3, 0), (30, 0)])
def test_a_version_that_answers_the_symptom_is_no_suspect(after_min: int, suspects: int) -> None:
    """Who explains anew has looked at what came later, too: the deploy that mends the fault."""
    version = Version(service="pay", version="2", first_seen_ms=START_MS + after_min * 60_000)
    found = replace(traces(versions=[version]), end_ms=START_MS + 3_600_000)
    assert len(NearDeploy().rank(case(found)).suspects) == suspects


@examples(15)
@given(st.sampled_from(SERVICES), st.lists(NUMBERS, min_size=2, max_size=2).map(sorted), NUMBERS)
def test_more_errors_never_make_less_suspect(service: str, errors: list[int], usual: int) -> None:
    scores = [
        FirstToFail().rank(case(traces(origins=[origin(service, n, usual)]))).suspects[0].score
        for n in errors
    ]
    assert scores[0] <= scores[1]


@examples(15)
@given(st.sampled_from(SERVICES), st.integers(20, OBSERVED))
def test_another_system_of_the_company_changes_nothing(service: str, errors: int) -> None:
    """Its requests are not ours: however many there are, what fails here stays as large a part."""
    own = traces(origins=[origin(service, errors)])
    other = Call(
        service="mail",
        operation="send",
        via=CallKind.ENTRY,
        observed=counts(9000),
        usual=counts(90000),
    )
    beside = replace(own, calls=(*own.calls, other))
    assert FirstToFail().rank(case(beside)) == FirstToFail().rank(case(own))
