"""Series and comparisons: bounded whatever was counted, and both sides told."""

import numpy as np

from services.topology.minutes.table import MinuteTable
from services.topology.model.events import CLIENT, SERVER
from services.topology.model.names import Named
from services.topology.query.compare import MOST, compare
from services.topology.query.naming import Dictionary
from services.topology.query.series import MOST_OPERATIONS, MOST_SAMPLES, series_of
from services.topology.query.sides import Side
from services.topology.traces.settle import settle
from tests.topology.events import rows, span


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
