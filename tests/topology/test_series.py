"""Series and comparisons: bounded whatever was counted, and both sides told."""

import numpy as np
import pytest

from services.topology.minutes.minutes import Minutes
from services.topology.minutes.table import MinuteTable
from services.topology.model.events import CLIENT, GRPC_CODE, SERVER
from services.topology.model.names import Named
from services.topology.query.compare import MOST, compare
from services.topology.query.naming import Dictionary
from services.topology.query.series import MOST_OPERATIONS, MOST_SAMPLES, series_of
from services.topology.query.sides import Side
from services.topology.traces.settle import GAVE_UP, STATUS, TOO_SLOW, settle
from tests.topology.events import NOW_NS, rows, span


def table_of(operations: range, *, calls: int = 1) -> MinuteTable:
    """Roots of some operations."""
    made = MinuteTable()
    said = [
        span(place + 1, trace_lo=place + 1, operation=operation)
        for place, operation in enumerate([each for each in operations for _ in range(calls)])
    ]
    settled = settle(rows(*said))
    count = len(settled.calls)
    roots, failed = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    made.add_calls(settled.calls, np.arange(count), roots, failed, are_late=False)
    made.add_shapes(settled.shapes, np.arange(len(settled.shapes.operations)))
    made.spans = count
    return made


def known(operations: range, services: int) -> Dictionary:
    """Names of operations, spread over services."""
    return Dictionary(
        operations={each: Named(f"s{each % services}", f"op {each}") for each in operations},
        addresses={},
        patterns={},
        exceptions={},
        behind={},
    )


def test_a_service_has_series_of_its_busiest_operations_alone() -> None:
    operations = range(100, 100 + 2 * MOST_OPERATIONS)
    table = table_of(operations)
    busy = settle(rows(*(span(n + 1, trace_lo=n + 1, operation=111) for n in range(9))))
    flags = np.ones(9, np.bool_)
    table.add_calls(busy.calls, np.arange(9), flags, ~flags, are_late=False)
    samples, left_out = series_of(table, known(operations, 1))
    counts = {each.labels["operation"]: each.value for each in samples if each.name == "span_count"}
    assert (len(counts), left_out) == (MOST_OPERATIONS, MOST_OPERATIONS)
    assert counts["op 111"] == 10


def test_a_minute_has_a_bounded_number_of_samples_and_each_service_its_share() -> None:
    operations = range(100, 6100)
    samples, left_out = series_of(table_of(operations), known(operations, 500))
    assert len(samples) <= MOST_SAMPLES
    assert left_out > 0
    assert {each.labels["service"] for each in samples} == {f"s{n}" for n in range(500)}


def test_a_comparison_is_bounded_and_begins_with_what_changed_most() -> None:
    operations = range(100, 100 + MOST + 200)
    observed, usual = table_of(operations), table_of(operations)
    more = settle(rows(*(span(n + 1, trace_lo=n + 1, operation=777) for n in range(50))))
    flags = np.zeros(50, np.bool_)
    observed.add_calls(more.calls, np.arange(50), ~flags, flags, are_late=False)
    observed.spans += 50
    sides = [Side(table=each, minutes=1, provisional=0) for each in (observed, usual)]
    found = compare(*sides, known(operations, 3), set())
    assert len(found.edges) == len(found.shapes) == MOST
    first = found.edges[0]
    assert first.name.called.name == "op 777"
    assert first.observed is not None
    assert first.usual is not None
    assert (first.observed.spans, first.usual.spans) == (51, 1)
    only = compare(*sides, known(operations, 3), {"s1"})
    assert {each.name.called.service for each in only.edges} == {"s1"}


def test_what_nobody_answered_stands_for_its_address_or_who_usually_is_there() -> None:
    names = Dictionary(
        operations={7: Named("web", "GET /"), 8: Named("web", "POST")},
        addresses={5: Named("", "pay:80")},
        patterns={},
        exceptions={},
        behind={},
    )
    edge = names.edge((7, 8, 5, CLIENT, 4))
    assert (edge.caller, edge.called) == (Named("web", "GET /"), Named("pay:80", "POST"))
    answered = names.edge((7, 7, 0, SERVER, 1))
    assert answered.called == Named("web", "GET /")
    behind = Dictionary(
        operations=names.operations,
        addresses=names.addresses,
        patterns={},
        exceptions={},
        behind={5: "pay"},
    )
    assert behind.edge((7, 8, 5, CLIENT, 4)).called == Named("pay", "POST")


@pytest.mark.parametrize(("slow_ms", "reason", "charged"), [(90, TOO_SLOW, 2), (24, GAVE_UP, 1)])
def test_what_was_given_up_is_charged_to_who_was_asked_if_that_was_slow(
    slow_ms: int, reason: int, charged: int
) -> None:
    """A caller gives up after 15 ms; the answer comes after 10 ms, as usual, or later."""

    def side(answer_ms: int, *, gives_up: bool) -> Side:
        minutes = Minutes()
        for number in range(1, 21):
            seen = {"trace_lo": number}
            asking = span(1, operation=1001, length_ms=20, **seen)
            call = span(2, 1, kind=CLIENT, status=2 * gives_up, length_ms=15, **seen)
            answer = span(3, 2, operation=1002, length_ms=answer_ms, **seen)
            minutes.add(settle(rows(asking, call, answer)), NOW_NS // 10**9)
        (table,) = minutes.open.values()
        return Side(table=table, minutes=1, provisional=0)

    found = compare(
        side(slow_ms, gives_up=True), side(10, gives_up=False), known(range(1001, 1003), 9), ()
    )
    (origin,) = found.origins
    assert (origin.reason, origin.place) == (
        reason,
        Named(f"s{(1000 + charged) % 9}", f"op {1000 + charged}"),
    )
    assert (origin.observed, origin.usual, origin.traces) == (20, 0, 20)


@pytest.mark.parametrize(
    ("waited_ms", "reason", "charged"), [(4, GAVE_UP, "op 1001"), (900, STATUS, "op 1003")]
)
def test_a_deadline_that_leaves_less_time_than_answers_take_is_the_callers_doing(
    waited_ms: int, reason: int, charged: str
) -> None:
    """Answers usually take 10 ms. Nobody has answered when the caller gives up."""

    def side(*, gives_up: bool) -> Side:
        minutes = Minutes()
        for number in range(1, 21):
            seen = {"trace_lo": number}
            out_of_time = {"status": 2, "code": 4, "flags": GRPC_CODE, "length_ms": waited_ms}
            told = out_of_time if gives_up else {"length_ms": 12}
            spans = [
                span(1, operation=1001, length_ms=2000, **seen),
                span(2, 1, kind=CLIENT, operation=1003, **seen, **told),
            ]
            spans += [] if gives_up else [span(3, 2, operation=1002, length_ms=10, **seen)]
            minutes.add(settle(rows(*spans)), NOW_NS // 10**9)
        (table,) = minutes.open.values()
        return Side(table=table, minutes=1, provisional=0)

    named = {
        1001: Named("box", "op 1001"),
        1002: Named("bank", "op 1003"),
        1003: Named("box", "op 1003"),
    }
    names = Dictionary(operations=named, addresses={}, patterns={}, exceptions={}, behind={})
    (origin,) = compare(side(gives_up=True), side(gives_up=False), names, ()).origins
    assert (origin.reason, origin.place) == (reason, Named("box", charged))
    assert (origin.observed, origin.usual, origin.detail) == (20, 0, "grpc 4")
