"""Who is named for answers that make other calls than usual."""

from dataclasses import replace
from itertools import product

import pytest

from services.explainer.model.traces import (
    Call,
    CallKind,
    DirectCall,
    Origin,
    Reason,
    Shape,
)
from services.explainer.rankers.paths import PathChanged, changed_shapes
from services.explainer.rankers.router import rank
from tests.explainer.rankers.traced import (
    OBSERVED,
    REDIS,
    USUAL,
    calls,
    case,
    counts,
    named,
    shapes,
    took,
    traces,
)


def test_answers_that_nobody_waited_for_are_no_change_of_path() -> None:
    gave_up = Origin(
        service="cart", operation="Add", reason=Reason.GAVE_UP, observed=40, evidence_id="o"
    )
    found = traces(origins=[gave_up], shapes=shapes(early=40))
    assert PathChanged().rank(case(found)).suspects == ()
    assert named(rank(case(found))) == "cart"


def test_early_returns_are_named_and_told_by_the_calls_they_lack() -> None:
    found = traces(shapes=shapes(early=40))
    assert named(rank(case(found))) == "stock"
    first = changed_shapes(found)[0]
    assert (first.lacks, first.adds) == (("redis GET", "redis SET"), ())


def test_short_answers_are_not_charged_where_the_call_failed() -> None:
    """A caller that goes on without what failed makes fewer calls: that is not its doing."""
    failing = Call(
        caller="stock",
        caller_operation="Reserve",
        service="redis",
        operation="redis GET",
        via=CallKind.DATABASE,
        observed=counts(OBSERVED, errors=40),
        usual=counts(USUAL),
    )
    found = traces([*calls(), failing], shapes=shapes(early=40))
    assert PathChanged().rank(case(found)).suspects == ()
    assert named(PathChanged().rank(case(traces(shapes=shapes(early=40))))) == "stock"


@pytest.mark.parametrize(("seconds", "expected"), [(0.02, "stock"), (9.0, "")])
def test_answers_that_take_several_times_as_long_do_not_return_early(
    seconds: float, expected: str
) -> None:
    """Whoever asked, and is not seen, does not wait that long: it cuts them short."""
    slow = replace(counts(OBSERVED), duration=took(OBSERVED, seconds))
    found = traces(calls({("cart", "stock"): slow}), shapes=shapes(early=40))
    assert named(PathChanged().rank(case(found))) == expected


@pytest.mark.parametrize(("lost", "expected"), [(0, "web"), (40, "")])
def test_calls_that_were_seen_without_their_caller_lack_in_no_answer(
    lost: int, expected: str
) -> None:
    """Spans of `web` are lost on the way: what it called stands alone."""
    both = frozenset(
        {
            DirectCall(service="cart", operation="Add"),
            DirectCall(service="pay", operation="Charge"),
        }
    )
    made = [
        Shape(
            evidence_id=f"s{len(called)}", service="web", operation="GET /buy", calls=called,
            observed=observed, usual=usual, observed_total=OBSERVED, usual_total=USUAL,
        )
        for called, observed, usual in ((both, OBSERVED - 40, USUAL), (frozenset(), 40, 0))
    ]  # fmt: skip
    alone = Call(service="pay", operation="Charge", via=CallKind.ENTRY, observed=counts(lost))
    found = traces([*calls(), alone], shapes=made)
    assert named(PathChanged().rank(case(found))) == expected


def test_answers_that_came_too_late_are_no_change_of_path() -> None:
    late = Origin(service="stock", operation="Reserve", reason=Reason.TOO_SLOW, observed=40)
    found = traces(origins=[late], shapes=shapes(early=40))
    assert PathChanged().rank(case(found)).suspects == ()


def lossy_shapes(times: int) -> list[Shape]:
    """Answers of `web` that call `cart` so many times and four others once; half are not seen.

    Each way to lose them is a shape. Of those beyond a limit only what is called several times is
    known.
    """
    others = [DirectCall(service=f"other{n}", operation="Get") for n in range(4)]
    found = []
    for seen in product((False, True), repeat=5):
        rest = frozenset(each for each, kept in zip(others, seen, strict=False) if kept)
        for often, usual, observed in ((1, USUAL // 32, 0), (times, 0, OBSERVED // 32)):
            cart = {DirectCall(service="cart", operation="Add", times=often)} if seen[4] else set()
            found.append(
                Shape(
                    evidence_id=f"s{len(found)}", service="web", operation="GET /buy",
                    calls=rest | cart, observed=observed, usual=usual,
                    observed_total=OBSERVED, usual_total=USUAL,
                )
            )  # fmt: skip
    unknown = {DirectCall(service="cart", operation="Add", times=times)} if times > 1 else set()
    coarse = Shape(
        service="web", operation="GET /buy", calls=frozenset(unknown), is_coarse=True,
        usual=0, observed=OBSERVED // 10, observed_total=OBSERVED, usual_total=USUAL,
    )  # fmt: skip
    return [*found, coarse]


@pytest.mark.parametrize(("times", "expected"), [(8, "web"), (1, "")])
def test_a_call_in_a_loop_is_seen_though_half_of_the_spans_are_lost(
    times: int, expected: str
) -> None:
    found = traces(shapes=lossy_shapes(times))
    assert named(rank(case(found))) == expected
    for change in changed_shapes(found)[:1]:
        assert (change.lacks, change.adds) == ((), ("cart Add",))
        assert change.observed == 16 * (OBSERVED // 32) + OBSERVED // 10


def test_shapes_of_a_new_operation_have_no_past_to_differ_from() -> None:
    new = replace(shapes(early=0)[0], operation="Release", usual=0, usual_total=0, calls=REDIS)
    assert changed_shapes(traces(shapes=[new])) == []
