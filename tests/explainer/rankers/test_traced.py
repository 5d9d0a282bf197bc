"""Who is named by what traces do other than usual."""

from dataclasses import replace

import pytest

from services.explainer.model.traces import (
    UNKNOWN,
    Call,
    CallCounts,
    CallKind,
    Durations,
    Origin,
    Reason,
    Traces,
)
from services.explainer.rankers.origins import FirstToFail
from services.explainer.rankers.router import rank
from services.explainer.rankers.systems import systems_of, within
from services.explainer.rankers.waits import LongerWaits
from tests.explainer.rankers.traced import (
    OBSERVED,
    ROUTES,
    SERVICES,
    USUAL,
    calls,
    case,
    counts,
    named,
    origin,
    took,
    traces,
)


def test_a_database_that_two_systems_use_does_not_make_them_one() -> None:
    using = [
        Call(
            caller=by, caller_operation="x", service="redis", operation="GET",
            via=CallKind.DATABASE, observed=counts(OBSERVED), usual=counts(USUAL),
        )
        for by in ("web", "mail")
    ]  # fmt: skip
    mail = Call(
        service="mail", operation="x", via=CallKind.ENTRY, observed=counts(500), usual=counts(5000)
    )
    found = traces([*calls(), mail, *using], origins=[origin("pay", 40)])
    systems = systems_of(found)
    assert "mail" not in systems["web"].services
    assert (systems["redis"].observed, systems["redis"].usual) == (OBSERVED + 500, USUAL + 5000)
    alone = traces([*calls(), using[0]], origins=[origin("pay", 40)])
    assert systems_of(alone)["redis"] == systems_of(alone)["web"]
    assert named(rank(case(found))) == "pay"


def test_what_another_system_waits_for_a_database_says_nothing_of_ours() -> None:
    """Both use it; the other one waits for it, and fails there."""

    def uses(by: str, waits: float, errors: int) -> Call:
        return Call(
            caller=by, caller_operation="GET /buy", service="redis", operation="GET",
            via=CallKind.DATABASE, observed=counts(OBSERVED, wait=waits, errors=errors),
            usual=counts(USUAL),
        )  # fmt: skip

    mail = Call(
        service="mail",
        operation="GET /buy",
        via=CallKind.ENTRY,
        observed=counts(90),
        usual=counts(900),
    )
    failed = Origin(service="redis", operation="GET", observed=90)
    found = traces([*calls(), mail, uses("web", 0.002, 0), uses("mail", 2.0, 90)], [failed])
    assert named(rank(case(found))) == "redis"
    near = within(found, {"web", "eu-west"})
    assert named(rank(case(near))) == ""
    assert {each.caller for each in near.calls} == {"", "web", "cart"}
    assert named(FirstToFail().rank(case(within(found, {"mail"})))) == "redis"
    assert within(found, {"host-7"}) == found


def test_the_same_operation_of_another_system_is_not_who_is_gone() -> None:
    found = gone(CallKind.ADDRESS, "web", "Charge")
    other = [
        Call(
            service="shop", operation="GET /",
            via=CallKind.ENTRY, observed=counts(9), usual=counts(9),
        ),
        Call(
            caller="shop", caller_operation="GET /", service="bank", operation="Charge",
            observed=counts(9), usual=counts(9),
        ),
    ]  # fmt: skip
    assert named(rank(case(replace(found, calls=(*found.calls, *other))))) == "pay"


@pytest.mark.parametrize("service", SERVICES)
def test_whose_errors_begin_is_named_however_far_they_spread(service: str) -> None:
    assert named(rank(case(traces(origins=[origin(service, 40)])))) == service


@pytest.mark.parametrize(("reason", "charged"), [(Reason.STATUS, "pay"), (Reason.GAVE_UP, "web")])
def test_calls_whose_own_begin_was_lost_do_not_make_the_caller_answer_them(
    reason: Reason, charged: str
) -> None:
    """The span around the call came too late: the call stands alone, as if `web` began with it."""
    alone = Call(
        service="web", operation="Charge", via=CallKind.ENTRY, is_outward=True,
        observed=counts(9), usual=counts(90),
    )  # fmt: skip
    failed = Origin(service="web", operation="Charge", reason=reason, observed=60)
    found = traces([*calls(), alone], origins=[failed])
    assert named(FirstToFail().rank(case(found))) == charged


def test_few_of_many_requests_name_nobody() -> None:
    assert named(rank(case(traces(origins=[origin("pay", 2)])))) == ""


def slow(*, own: float = 0.02, wait: float = 0.002, spans: int = OBSERVED) -> CallCounts:
    """Calls that take longer, all of them."""
    return counts(spans, own=own, wait=wait)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({("cart", "stock"): slow(own=0.8)}, "stock"),
        ({("cart", "stock"): slow(wait=0.8)}, "stock"),
        ({("", "web"): slow(own=0.8)}, "web"),
        (
            {("cart", "stock"): replace(counts(OBSERVED), own=took(OBSERVED, 0.02, 0.2, 1.0))},
            "stock",
        ),
        ({("cart", "stock"): slow(own=0.021)}, ""),
        ({("cart", "stock"): slow(own=0.8, spans=1)}, ""),
    ],
    ids=["own time", "wait", "entry", "one in five", "a little", "a single one"],
)
def test_time_is_charged_where_it_is_lost(
    changed: dict[tuple[str, str], CallCounts], expected: str
) -> None:
    assert named(rank(case(traces(calls(changed))))) == expected


@pytest.mark.parametrize(
    ("middle", "spans", "expected"),
    [(0.38, 40, "stock"), (0.38, 2, ""), (0.19, 40, "")],
    ids=["beyond the slowest", "too few", "as slow as some were"],
)
def test_what_takes_longer_than_the_slowest_did_is_named_though_slow_traces_were_kept(
    middle: float, spans: int, expected: str
) -> None:
    """Of the usual traces the slow ones were kept, and a tenth of all others."""
    changed = counts(spans, own=middle)
    usual = replace(counts(80), own=took(80, 0.05, 0.06, 0.25))
    found = [
        replace(each, observed=changed, usual=usual) if each.service == "stock" else each
        for each in calls()
    ]
    assert named(LongerWaits().rank(case(traces(found)))) == expected


@pytest.mark.parametrize(("slow", "expected"), [(1, ""), (12, "stock")])
def test_time_that_a_single_call_can_have_lost_names_nobody(slow: int, expected: str) -> None:
    """A slow trace was kept, and a tenth of all others: the mean tells of it ten times."""
    spans, usual = 40, counts(40)
    own = Durations(
        count=spans,
        p50=0.02,
        p95=0.3 if slow == 1 else 0.8,
        longest=0.8,
        sum=usual.own.mean * (spans - slow - 1) + 0.3 + 0.8 * slow,
    )
    found = [
        replace(each, observed=replace(usual, own=own) if each.service == "stock" else usual)
        for each in calls()
    ]
    assert named(LongerWaits().rank(case(traces(found)))) == expected


@pytest.mark.parametrize("times", [1.5, 4.0, 30.0])
def test_what_slows_all_alike_is_the_fault_of_none(times: float) -> None:
    """A machine that is short of time; then one service beside it that is slow on top."""
    all_slow = {
        (caller, callee): counts(OBSERVED, own=0.02 * times, wait=0.002 * times)
        for caller, _, callee, _ in ROUTES
    }
    assert named(rank(case(traces(calls(all_slow))))) == ""
    one_more = all_slow | {("web", "pay"): counts(OBSERVED, own=0.4 * times, wait=0.002 * times)}
    assert named(rank(case(traces(calls(one_more))))) == "pay"


@pytest.mark.parametrize(("seconds", "expected"), [(0.3, "pay"), (0.03, "")])
def test_who_is_slow_is_named_though_the_machine_stalls_at_times(
    seconds: float, expected: str
) -> None:
    """Stalls of 0.4 s make the mean of what takes 2 ms ten times as long, half of it not at all."""

    def stalled(own: float) -> CallCounts:
        stalls = [took(OBSERVED, middle, 0.06, 0.4) for middle in (own, 0.002)]
        return replace(counts(OBSERVED), own=stalls[0], wait=stalls[1])

    found = [
        replace(
            each,
            observed=stalled(seconds if each.service == "pay" else 0.002),
            usual=counts(USUAL, own=0.03 if each.service == "pay" else 0.002),
        )
        for each in calls()
    ]
    assert named(rank(case(traces(found)))) == expected


@pytest.mark.parametrize(("times", "expected"), [(1, "web"), (8, "")])
def test_time_that_is_lost_is_a_share_of_the_request_as_all_of_it_is_slowed(
    times: float, expected: str
) -> None:
    """Ten milliseconds are a third of a request, but a twentieth once all take eight times."""

    def all_slowed(each: Call) -> Call:
        if each.service == "web":
            own = took(OBSERVED, 0.002 * times, 0.05, 0.2)
            usual = replace(counts(USUAL, own=0.002), duration=took(USUAL, 0.03))
            return replace(each, observed=replace(counts(OBSERVED), own=own), usual=usual)
        return replace(each, observed=counts(OBSERVED, own=0.02 * times, wait=0.002 * times))

    found = traces([all_slowed(each) for each in calls()])
    assert named(rank(case(found))) == expected


def gone(via: CallKind, service: str, operation: str) -> Traces:
    """Pay answers nobody any more; its caller's spans name an address, or what it asked for."""
    unanswered = Call(
        caller="web",
        caller_operation="GET /buy",
        service=service,
        operation=operation,
        via=via,
        observed=counts(OBSERVED, errors=OBSERVED),
    )
    made = [*calls({("web", "pay"): CallCounts()}), unanswered]
    failed = Origin(
        evidence_id="origin|gone",
        service=service,
        operation=operation,
        reason=Reason.UNREACHABLE,
        observed=OBSERVED,
    )
    return traces(made, origins=[failed])


@pytest.mark.parametrize(
    ("service", "operation"), [("10.0.0.9:7070", "POST"), ("web", "Charge"), ("pay:7070", "Charge")]
)
def test_a_service_that_is_gone_is_named_and_not_its_address(service: str, operation: str) -> None:
    assert named(rank(case(gone(CallKind.ADDRESS, service, operation)))) == "pay"


def test_an_address_that_was_always_one_keeps_its_name() -> None:
    found = gone(CallKind.ADDRESS, "bank.example:443", "POST")
    usual = tuple(
        replace(each, usual=counts(USUAL)) if each.via is CallKind.ADDRESS else each
        for each in (*calls(), found.calls[-1])
    )
    assert named(rank(case(replace(found, calls=usual)))) == "bank.example:443"


def test_whom_nobody_names_is_no_suspect_and_ties_no_systems_together() -> None:
    """Many senders do not say whom they call: that is not one service that all of them call."""
    nameless = [
        Call(caller=by, caller_operation="x", service=UNKNOWN, operation="POST",
             via=CallKind.ADDRESS, observed=counts(OBSERVED, wait=3.0), usual=counts(USUAL))
        for by in ("web", "mail")
    ]  # fmt: skip
    failed = Origin(service=UNKNOWN, reason=Reason.UNREACHABLE, observed=OBSERVED)
    found = traces([*calls(), *nameless], origins=[failed])
    assert UNKNOWN not in [each.entity for each in rank(case(found)).suspects]
    assert systems_of(found)["mail"].services == {"mail"}


@pytest.mark.parametrize(("reason", "charged"), [(Reason.TOO_SLOW, "pay"), (Reason.GAVE_UP, "web")])
def test_who_is_charged_with_what_was_given_up_is_to_blame(reason: Reason, charged: str) -> None:
    found = traces(origins=[origin(charged, 60, reason=reason)])
    assert named(FirstToFail().rank(case(found))) == charged


@pytest.mark.parametrize("looks", [1, 3])
def test_more_looks_make_the_same_count_less_telling(looks: int) -> None:
    found = replace(traces(origins=[origin("pay", 3)]), looks=looks)
    once = traces(origins=[origin("pay", 3)])
    scores = [FirstToFail().rank(case(each)).suspects[0].score for each in (found, once)]
    assert (scores[0] < scores[1]) == (looks > 1)


@pytest.mark.parametrize("is_outward", [True, False])
def test_what_a_call_takes_whose_caller_was_lost_is_not_the_time_of_who_made_it(
    is_outward: bool,
) -> None:
    """Spans of `web` are lost: what it calls seems to come in, and takes what `pay` takes."""
    alone = Call(
        service="web", operation="Charge", via=CallKind.ENTRY, is_outward=is_outward,
        observed=counts(40, own=0.8), usual=counts(400),
    )  # fmt: skip
    ranking = LongerWaits().rank(case(traces([*calls(), alone])))
    assert named(ranking) == ("" if is_outward else "web")
