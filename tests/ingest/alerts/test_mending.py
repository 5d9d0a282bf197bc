"""What is wrong in form costs no alert: it is mended, stored and said."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert
from tests.properties import examples

FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED

_numbers = iter(range(10**9))


def now_ms() -> int:
    return int(time.time() * 1000)


def made(state: int = FIRING, *, start: Any = None, end: Any = None, **labels: str) -> Any:
    """An alert of a label set that no other test has; times are raw seconds and nanoseconds."""
    found = alert_pb2.Alert(state=state)
    pairs = {"alertname": "Mended", "number": str(next(_numbers)), **labels}
    found.labels.extend(series_pb2.Label(name=n, value=v) for n, v in pairs.items())
    for field, stamp in (("start_time", start), ("end_time", end)):
        if stamp is not None:
            getattr(found, field).seconds, getattr(found, field).nanos = stamp
    return found


async def stored(service: Running, sent: Any) -> tuple[Any, list[str]]:
    """The episode that came of an alert, and the reasons of its warnings."""
    answer = await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[sent]))
    assert not answer.errors, answer
    request = pb.GetAlertRequest(alert_id=answer.alert_ids[0])
    found = (await service.stub.GetAlert(request)).alert
    return found, [warning.reason for warning in answer.warnings]


@pytest.mark.parametrize(
    "name", ["service.name", "Runbook URL", "告警主题", "a/b", "foo[2]", "🙂", "0", "x" * 128]
)
async def test_any_text_names_a_label_and_an_annotation(shared: Running, name: str) -> None:
    sent = made(start=(now_ms() // 1000, 0), **{name: "one"})
    sent.annotations.add(name=name, value="two")
    found, warnings = await stored(shared, sent)
    assert not warnings
    assert {each.name: each.value for each in found.labels}[name] == "one"
    assert {each.name: each.value for each in found.annotations} == {name: "two"}
    number = next(each.value for each in found.labels if each.name == "number")
    asked = f'{{"{name}"="one",number="{number}"}}'
    listed = await shared.stub.ListAlerts(pb.ListAlertsRequest(selector=asked))
    assert [each.alert_id for each in listed.alerts] == [found.alert_id]


async def test_empty_names_and_values_are_no_labels(shared: Running) -> None:
    start = (now_ms() // 1000, 0)
    sent = made(start=start, host="a")
    plain, _ = await stored(shared, sent)
    sent.labels.extend([series_pb2.Label(name="team"), series_pb2.Label(value="x")])
    sent.annotations.add(name="", value="x")
    sent.annotations.add(name="summary", value="")
    answer = await shared.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[sent]))
    assert (answer.duplicates, list(answer.alert_ids)) == (1, [plain.alert_id])
    assert not answer.warnings


async def test_what_is_too_long_or_too_many_is_cut_and_still_tells_alerts_apart(
    shared: Running,
) -> None:
    def sent(last: str) -> Any:
        many = {f"label{n:03}": "x" for n in range(70)} | {"z" * 300: last, "text": "y" * 3000}
        found = made(start=(now_ms() // 1000, 0), severity="critical", **many)
        for n in range(100):
            found.annotations.add(name=f"text{n:03}", value="x")
        found.annotations.add(name="summary", value="ä" * 20_000)
        found.generator_url = "http://p/" + "x" * 3000
        return found

    one, warnings = await stored(shared, sent("a"))
    assert set(warnings) == {
        "LABEL_DROPPED",
        "ANNOTATION_CUT",
        "ANNOTATION_DROPPED",
        "URL_DROPPED",
    }
    assert (len(one.labels), len(one.annotations), one.generator_url) == (64, 64, "")
    assert one.severity == series_pb2.SEVERITY_CRITICAL
    texts = {each.name: each.value for each in one.annotations}
    assert texts["summary"].endswith("ä … (cut)")
    assert len(texts["summary"].encode()) <= 16 * 1024
    other, _ = await stored(shared, sent("b"))
    assert other.fingerprint != one.fingerprint


async def test_any_number_of_labels_is_one_warning(shared: Running) -> None:
    sent = made(start=(now_ms() // 1000, 0), severity="critical")
    for n in range(30_000):
        sent.labels.add(name=f"label{n:05}", value="x")
        sent.annotations.add(name=f"text{n:05}", value="x")
    answer = await shared.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=[sent]))
    assert answer.accepted == 1
    dropped = {each.reason: each.message for each in answer.warnings}
    assert len(answer.warnings) == len(dropped) == 2
    assert all(" and 299" in message for message in dropped.values())


async def test_nul_and_repeated_names_do_no_harm(shared: Running) -> None:
    sent = made(start=(now_ms() // 1000, 0), **{"a\0b": "c\0d"})
    sent.labels.add(name="twice", value="first")
    sent.labels.add(name="twice", value="last")
    sent.annotations.add(name="log\0", value="x\0y")
    found, _ = await stored(shared, sent)
    labels = {each.name: each.value for each in found.labels}
    assert (labels["a\ufffdb"], labels["twice"]) == ("c\ufffdd", "last")
    assert found.annotations[0].value == "x\ufffdy"


NOW_S = int(time.time())
Expected = Callable[[int, int], bool]
"""Whether a time is right, by it and by the time before the request, both in milliseconds."""


def at(at_s: float) -> Expected:
    """Exactly then."""
    return lambda found_ms, _: found_ms == round(at_s * 1000)


def back(length_s: int) -> Expected:
    """So long before the arrival."""
    return lambda found_ms, before_ms: before_ms <= found_ms + length_s * 1000 <= now_ms()


YEAR_0, YEAR_10000 = (-62_167_219_200, 0), (253_402_304_399, 0)


@pytest.mark.parametrize(
    ("start", "began", "reasons"),
    [
        (None, back(0), ["START_TIME_ASSUMED"]),
        ((0, 0), back(0), ["START_TIME_ASSUMED"]),
        ((-62_135_596_800, 0), back(0), ["START_TIME_ASSUMED"]),
        (YEAR_0, back(0), ["START_TIME_ASSUMED"]),
        ((-(2**63), -(2**31)), back(0), ["START_TIME_ASSUMED"]),
        ((1_104_537_600, 0), back(366 * 86_400), ["START_TIME_CLAMPED"]),
        ((NOW_S - 3600, 0), at(NOW_S - 3600), []),
        ((NOW_S - 3600, 2**31 - 1), at(NOW_S - 3598 + 0.147), []),
        ((NOW_S + 3900, 0), back(0), ["START_TIME_CLAMPED"]),
        (YEAR_10000, back(0), ["START_TIME_CLAMPED"]),
        ((2**63 - 1, 2**31 - 1), back(0), ["START_TIME_CLAMPED"]),
    ],
)
async def test_a_start_that_cannot_be_is_mended(
    shared: Running, start: Any, began: Expected, reasons: list[str]
) -> None:
    before_ms = now_ms()
    found, warnings = await stored(shared, made(start=start))
    assert warnings == reasons
    assert found.state == FIRING
    assert began(found.start_time.ToMilliseconds(), before_ms)


@pytest.mark.parametrize("ahead_s", [600, 10**9])
async def test_the_repeats_of_a_fast_clock_are_one_episode(shared: Running, ahead_s: int) -> None:
    sent = made(start=(now_ms() // 1000 + ahead_s, 0))
    first, _ = await stored(shared, sent)
    shared.clock.ahead_ms = 120_000
    try:
        again, warnings = await stored(shared, sent)
        sent.state = RESOLVED
        over, _ = await stored(shared, sent)
    finally:
        shared.clock.ahead_ms = 0
    assert again == first
    assert warnings == ["START_TIME_CLAMPED"]
    assert (over.alert_id, over.state) == (first.alert_id, RESOLVED)


@pytest.mark.parametrize(
    ("end", "ended", "reasons"),
    [
        (None, back(0), []),
        ((-62_135_596_800, 0), back(0), []),
        ((NOW_S - 60, 0), at(NOW_S - 60), []),
        ((NOW_S - 3601, 0), at(NOW_S - 3600), ["END_TIME_CLAMPED"]),
        ((NOW_S + 3600, 0), back(0), ["END_TIME_CLAMPED"]),
        (YEAR_10000, back(0), ["END_TIME_CLAMPED"]),
    ],
)
async def test_an_end_that_cannot_be_is_mended(
    shared: Running, end: Any, ended: Expected, reasons: list[str]
) -> None:
    before_ms = now_ms()
    found, warnings = await stored(shared, made(RESOLVED, start=(NOW_S - 3600, 0), end=end))
    assert (found.state, warnings) == (RESOLVED, reasons)
    assert found.end_reason == alert_pb2.END_REASON_RESOLVED
    assert ended(found.end_time.ToMilliseconds(), before_ms)


@pytest.mark.parametrize(("ahead_s", "state"), [(None, FIRING), (240, FIRING), (-5, RESOLVED)])
async def test_without_a_state_the_end_decides(
    shared: Running, ahead_s: int | None, state: int
) -> None:
    end = None if ahead_s is None else (now_ms() // 1000 + ahead_s, 0)
    found, warnings = await stored(shared, made(0, start=(NOW_S - 60, 0), end=end))
    assert (found.state, warnings) == (state, [])


@examples(60)
@given(
    st.builds(
        pb.WriteAlertsRequest,
        alerts=st.lists(
            st.builds(
                made,
                st.sampled_from([0, 1, 2, 3, -1, 2**31 - 1]),
                start=st.none()
                | st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)),
                end=st.none()
                | st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1)),
                severity=st.text(max_size=20),
                text=st.text(max_size=50),
            ),
            min_size=1,
            max_size=5,
        ),
    )
)
async def test_no_alert_ends_in_an_error_of_the_service(
    shared: Running, sent: pb.WriteAlertsRequest
) -> None:
    answer = await shared.stub.WriteAlerts(sent)
    taken = answer.accepted + answer.duplicates
    assert taken + len(answer.errors) == len(sent.alerts)
    for alert_id in filter(None, answer.alert_ids):
        await shared.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))


async def test_severity_is_read_and_an_unknown_word_is_said(shared: Running) -> None:
    urgent, nothing = await stored(shared, made(start=(NOW_S, 0), severity="critical "))
    assert (urgent.severity, nothing) == (series_pb2.SEVERITY_CRITICAL, [])
    odd, warnings = await stored(shared, made(start=(NOW_S, 0), severity="purple"))
    assert (odd.severity, warnings) == (series_pb2.SEVERITY_WARNING, ["SEVERITY_UNKNOWN"])
    silent = alert(start_ms=NOW_S * 1000, number=str(next(_numbers)))
    assert (await stored(shared, silent))[0].severity == series_pb2.SEVERITY_INFO
