"""Where calls lose their time."""

import numpy as np

from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers.routes import belonging, routes_of
from services.explainer.rankers.spans import spans_of
from services.explainer.rankers.timelost import TimeLost
from tests.explainer.rankers.cases import OBSERVED, USUAL, case, series, span, window

SLOW, FINE = (10.0, 90.0), (10.0, 10.0)


def first(*parts: list[SeriesWindow]) -> str:
    """Who is blamed for these spans."""
    return TimeLost().rank(case(*(w for part in parts for w in part))).suspects[0].entity


def test_time_inside_a_service_is_its_own() -> None:
    inside = span("cart", "add", "internal", own=SLOW)
    assert first(inside, span("front", "home", "server", peer="web")) == "cart"


def test_the_wait_between_both_ends_of_a_call_is_charged_to_the_service_called() -> None:
    """The network delay of `cart` is seen by its caller only: its own spans are as usual."""
    waiting = span("cart", "add", "client", peer="front", own=SLOW)
    answering = span("cart", "add", "server", peer="front")
    assert first(waiting, answering, span("ads", "list", "client", peer="front")) == "cart"


def test_a_caller_that_waits_for_everyone_is_slow_itself() -> None:
    waits = [span(callee, "get", "client", peer="front", own=SLOW) for callee in ("ads", "cart")]
    waits.append(span("pay", "get", "client", peer="front", own=(10.0, 85.0)))
    inside = span("front", "home", "internal", own=SLOW)
    assert first(*waits, inside) == "front"


def test_a_caller_starved_of_cpu_waits_on_its_own_account() -> None:
    wait = span("db", "get", "client", peer="cart", own=SLOW)
    starved = [series("cart", "cpu_usage", observed=95.0)]
    assert first(wait) == "db"
    assert first(wait, starved) == "cart"


def test_time_that_a_callee_explains_is_not_the_callers() -> None:
    inside = span("cart", "add", "internal", own=(10.0, 95.0))
    below = span("db", "get", "server", peer="cart", own=SLOW, whole=(50.0, 130.0))
    assert first(inside, below) == "db"


def test_a_single_slow_call_names_nobody() -> None:
    """A high percentile of four calls is one call."""
    labels = {"operation": "add", "span_kind": "internal"}
    rare = [
        series("cart", "span_count", usual=0.2, labels=labels),
        series("cart", "self_time_p95", observed=400.0, labels=labels),
    ]
    request = span("front", "home", "server", peer="web", whole=(50.0, 50.0))
    assert TimeLost().rank(case(*rare, *request)).abstained


def test_time_that_no_request_would_notice_names_nobody() -> None:
    tiny = span("cart", "add", "internal", own=(0.1, 0.9))
    request = span("front", "home", "server", peer="web", whole=(500.0, 500.0))
    assert TimeLost().rank(case(*tiny, *request)).abstained


def counted(service: str, operation: str, kind: str, counts: list[float]) -> list[SeriesWindow]:
    """A span known by how often it was seen."""
    peer = {"peer": "front"} if kind == "server" else {}
    labels = {"operation": operation, "span_kind": kind, **peer}
    return [window(service, "span_count", counts, labels)]


def test_calls_of_an_unnamed_method_are_found_by_their_counts() -> None:
    dice = np.random.default_rng(0)
    cart, ads, pay = dice.integers(1, 50, (3, USUAL + OBSERVED)).astype(float)
    methods = counted("front", "HTTP GET", "client", list(cart + ads))
    methods += counted("front", "HTTP POST", "client", list(pay))
    answered = [*counted("cart", "/cart", "server", list(cart))]
    answered += counted("ads", "/ads", "server", list(ads))
    answered += counted("pay", "/pay", "server", list(pay))
    spans = spans_of(case(*methods, *answered))
    belongs = belonging(
        [s for s in spans if s.kind == "client"], [s for s in spans if s.kind == "server"]
    )
    assert np.round(belongs, 1).tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]


def test_an_unnamed_wait_is_charged_to_the_one_whose_callers_all_wait() -> None:
    """`cart` and `pay` both wait; only `db` is called by both."""
    parts = [
        *span("cart", "HTTP GET", "client", own=SLOW, calls=200.0),
        *span("pay", "HTTP GET", "client", own=SLOW, calls=200.0),
        *span("db", "/get", "server", peer="cart"),
        *span("db", "/get", "server", peer="pay"),
        *span("ads", "/list", "server", peer="cart"),
        *span("mail", "/send", "server", peer="pay"),
    ]
    assert first(parts) == "db"
    assert {route.caller for route in routes_of(spans_of(case(*parts)))} == {"cart", "pay"}
