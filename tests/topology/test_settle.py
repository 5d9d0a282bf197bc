"""Traces as calls: who asked whom, where errors began, whose time it was."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.topology.model.events import CLIENT, CONSUMER, DATABASE, PRODUCER, QUEUE, SERVER
from services.topology.traces import settle as reasons
from services.topology.traces.settle import Settled, settle
from tests.properties import examples
from tests.topology.events import MS, NOW_NS, record, rows, span


def calls(settled: Settled) -> dict[int, dict[str, Any]]:
    """What is said of each call, by its operation."""
    told = {name: getattr(settled.calls, name) for name in settled.calls.__slots__}
    return {
        int(operation): {name: values[place].item() for name, values in told.items()}
        for place, operation in enumerate(settled.calls.operations)
    }


def test_an_answered_call_is_one_edge_with_the_wait_of_its_caller() -> None:
    found = calls(
        settle(
            rows(
                span(1, length_ms=100),
                span(2, 1, kind=CLIENT, start_ms=10, length_ms=50),
                span(3, 2, start_ms=20, length_ms=30),
            )
        )
    )
    assert sorted(found) == [101, 103]
    assert found[101]["connections"] == reasons.ENTRY
    assert found[103]["callers"] == 101
    assert found[103]["connections"] == reasons.CALL
    assert found[103]["waits_ns"] == 20 * MS
    assert found[101]["own_ns"] == 50 * MS


def test_work_inside_is_time_of_its_entry_and_children_at_once_count_once() -> None:
    found = calls(
        settle(
            rows(
                span(1, length_ms=100),
                span(2, 1, kind=1, start_ms=0, length_ms=60),
                span(3, 2, kind=CLIENT, start_ms=0, length_ms=30, peer=5),
                span(4, 2, kind=CLIENT, start_ms=10, length_ms=30, peer=6),
            )
        )
    )
    assert found[101]["own_ns"] == (40 + 20) * MS
    assert found[103]["callers"] == found[104]["callers"] == 101


def test_a_call_that_nobody_answers_stands_for_what_it_called() -> None:
    found = calls(
        settle(
            rows(
                span(1, length_ms=90),
                span(2, 1, kind=CLIENT, peer=7, status=2),
                span(3, 1, kind=CLIENT, peer=8, flags=DATABASE),
                span(4, 1, kind=PRODUCER, peer=9, flags=QUEUE),
            )
        )
    )
    told = {key: (each["peers"], each["connections"]) for key, each in found.items()}
    assert told == {
        101: (0, reasons.ENTRY),
        102: (7, reasons.ADDRESS),
        103: (8, reasons.DATABASE),
        104: (9, reasons.MESSAGING),
    }
    assert found[102]["reasons"] == reasons.UNREACHABLE
    assert found[102]["waits_ns"] == 10 * MS
    assert not found[101]["is_origin"]


def test_a_message_that_is_taken_is_an_edge() -> None:
    found = calls(
        settle(
            rows(
                span(1),
                span(2, 1, kind=PRODUCER, flags=QUEUE),
                span(3, 2, kind=CONSUMER, flags=QUEUE, start_ms=500),
            )
        )
    )
    assert (found[103]["callers"], found[103]["connections"]) == (101, reasons.MESSAGING)


def test_an_error_began_where_no_child_is_bad() -> None:
    """All three report it; the exception inside the innermost service is where it began."""
    settled = settle(
        rows(
            span(1, status=2, length_ms=100),
            span(2, 1, kind=CLIENT, status=2, length_ms=80),
            span(3, 2, code=500, status=2, length_ms=60),
            span(4, 3, kind=1, status=2),
            record(4, peer=33),
            record(1),
        )
    )
    found = calls(settled)
    assert {key for key, each in found.items() if each["is_origin"]} == {103}
    assert (found[103]["reasons"], found[103]["details"]) == (reasons.EXCEPTION, 33)
    assert len(settled.failed_roots) == 1


def test_reasons_are_told_apart() -> None:
    def origin(*said: dict[str, Any]) -> tuple[int, int]:
        (found,) = [each for each in calls(settle(rows(*said))).values() if each["is_origin"]]
        return found["reasons"], found["details"]

    assert origin(span(1, code=404)) == (reasons.STATUS, 404)
    assert origin(span(1, code=14, flags=1)) == (reasons.STATUS, 14 + (1 << 16))
    assert origin(span(1), record(1, parent=55)) == (reasons.LOG, 55)
    assert origin(span(1, status=2, code=500), record(1)) == (reasons.STATUS, 500)
    gave_up = (span(1), span(2, 1, kind=CLIENT, status=2), span(3, 2))
    assert origin(*gave_up) == (reasons.GAVE_UP, 0)
    refused = (span(1), span(2, 1, kind=CLIENT, peer=4, code=503, status=2))
    assert origin(*refused) == (reasons.STATUS, 503)


def test_a_warning_and_a_good_code_are_no_errors() -> None:
    settled = settle(rows(span(1, code=302), record(1, severity=13)))
    assert not settled.calls.is_origin.any()
    assert not settled.calls.is_error.any()
    assert calls(settle(rows(span(1, code=404))))[101]["is_error"] is False
    assert calls(settle(rows(span(1, kind=CLIENT, code=404))))[101]["is_error"] is True


def test_a_clock_that_is_off_takes_no_time_from_its_caller() -> None:
    found = calls(
        settle(
            rows(
                span(1, length_ms=100),
                span(2, 1, kind=CLIENT, start_ms=10, length_ms=50),
                span(3, 2, start_ms=-400, length_ms=30),
            )
        )
    )
    assert found[101]["own_ns"] == 50 * MS
    assert found[103]["waits_ns"] == 20 * MS


def test_parents_that_are_missing_their_own_or_in_a_circle_end_nothing() -> None:
    settled = settle(
        rows(
            span(1, 99),
            span(2, 2),
            span(3, 4, kind=1),
            span(4, 3, kind=1),
            span(5, 5, kind=CLIENT),
        )
    )
    found = calls(settled)
    assert sorted(found) == [101, 102, 103, 104, 105]
    assert [key for key, each in found.items() if each["is_orphan"]] == [101, 102, 105]
    assert not len(settled.roots)


def test_a_span_that_comes_twice_counts_once() -> None:
    settled = settle(rows(span(1), span(2, 1), span(2, 1), span(1)))
    assert (len(settled.calls), settled.repeats, settled.spans) == (2, 2, 2)


@st.composite
def forests(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Spans of some traces, with any parents at all, and records of some."""
    made = []
    for trace in range(draw(st.integers(1, 3))):
        count = draw(st.integers(1, 8))
        for number in range(1, count + 1):
            parent = draw(st.integers(0, count + 1))
            more = {
                "trace_lo": trace,
                "trace_hi": 1,
                "kind": draw(st.integers(0, 5)),
                "status": draw(st.sampled_from([0, 0, 2])),
                "code": draw(st.sampled_from([0, 200, 404, 500])),
                "start_ms": draw(st.integers(-20, 20)),
                "length_ms": draw(st.integers(0, 30)),
            }
            made.append(span(number, parent, **more))
        if draw(st.booleans()):
            made.append(record(draw(st.integers(1, count)), trace_lo=trace, trace_hi=1))
    return made


@examples(150)
@given(forests(), st.randoms())
def test_the_order_of_rows_does_not_matter(said: list[dict[str, Any]], random: Any) -> None:
    mixed = [*said]
    random.shuffle(mixed)
    one, other = settle(rows(*said)), settle(rows(*mixed))
    for name in one.calls.__slots__:
        first, second = getattr(one.calls, name), getattr(other.calls, name)
        assert Counter(first.tolist()) == Counter(second.tolist()), name


@examples(200)
@given(forests())
def test_laws_of_settled_traces(said: list[dict[str, Any]]) -> None:
    """Of any spans whatever: nothing is lost, no time is made, errors begin somewhere."""
    events = rows(*said)
    settled = settle(events)
    spans = events[events["kind"] < 16]
    found = settled.calls
    must = np.isin(spans["kind"], (SERVER, CONSUMER)).sum()
    assert must <= len(found) <= len(spans) == settled.spans
    assert (found.own_ns >= 0).all()
    assert (found.durations_ns >= 0).all()
    lengths = (spans["end_ns"] - spans["start_ns"]).astype(np.int64)
    assert found.own_ns.sum() <= lengths.sum()
    bad = {int(s["trace_lo"]) for s in spans if s["status"] == 2 or s["code"] >= 400}
    assert not bad or found.is_origin.any() or _is_circular(spans)
    assert (found.reasons > 0).tolist() == found.is_origin.tolist()
    assert set(settled.failed_roots) <= set(settled.roots)
    assert (found.ends_ns >= NOW_NS - 20 * MS).all()


def _is_circular(spans: Any) -> bool:
    parents = {(int(s["trace_lo"]), int(s["span_id"])): int(s["parent"]) for s in spans}
    for trace, number in parents:
        at, seen = number, set()
        while (trace, at) in parents and at not in seen:
            seen.add(at)
            at = parents[trace, at]
        if at in seen:
            return True
    return False
