"""Alerts: told twice, in any order, they end in one state."""

import asyncio
import time

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert, labels, status_of
from tests.properties import examples

NOW = int(time.time() * 1000)
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED


async def write(service: Running, *alerts: alert_pb2.Alert) -> pb.WriteAlertsResponse:
    return await service.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=alerts))


async def get(service: Running, alert_id: str) -> pb.GetAlertResponse:
    return await service.stub.GetAlert(pb.GetAlertRequest(alert_id=alert_id))


async def test_an_alert_is_stored_with_its_identity(shared: Running) -> None:
    sent = alert(FIRING, start_ms=NOW - 5000, severity="page", host="a", summary="too hot")
    sent.generator_url = "http://prometheus/graph"
    answer = await write(shared, sent)
    assert (answer.accepted, answer.duplicates, len(answer.errors)) == (1, 0, 0)
    found = await get(shared, answer.alert_ids[0])
    assert found.alert.alert_id == f"{found.alert.fingerprint}-{NOW - 5000}"
    assert len(found.alert.fingerprint) == 16
    assert found.alert.severity == series_pb2.SEVERITY_CRITICAL
    assert found.alert.state == FIRING
    assert not found.alert.HasField("end_time")
    assert [each.name for each in found.alert.labels] == ["alertname", "host", "severity"]
    assert found.alert.annotations[0].value == "too hot"
    assert found.alert.generator_url == "http://prometheus/graph"
    assert found.alert.update_time.ToMilliseconds() >= NOW
    assert [change.state for change in found.history] == [FIRING]


async def test_the_order_of_labels_does_not_matter(shared: Running) -> None:
    one = alert(start_ms=NOW, a="1", b="2")
    other = alert(start_ms=NOW, b="2", a="1")
    answer = await write(shared, one, other)
    assert (answer.accepted, answer.duplicates) == (1, 1)
    assert len(set(answer.alert_ids)) == 1


async def test_a_late_firing_does_not_reopen_an_episode(shared: Running) -> None:
    resolved = alert(RESOLVED, start_ms=NOW - 5000, host="late", end_ms=NOW - 1000)
    (alert_id,) = (await write(shared, resolved)).alert_ids
    await write(shared, alert(FIRING, start_ms=NOW - 5000, host="late"))
    found = await get(shared, alert_id)
    assert found.alert.state == RESOLVED
    assert found.alert.end_time.ToMilliseconds() == NOW - 1000
    assert [change.state for change in found.history] == [RESOLVED, FIRING]


async def test_a_resolved_without_end_time_ends_when_it_came(shared: Running) -> None:
    ended = alert(RESOLVED, start_ms=NOW - 5000, host="no end")
    (alert_id,) = (await write(shared, ended)).alert_ids
    found = await get(shared, alert_id)
    assert found.alert.end_time == found.alert.update_time
    assert not found.history[0].HasField("end_time")


async def test_only_an_alert_without_labels_is_refused(shared: Running) -> None:
    answer = await write(
        shared,
        alert(start_ms=NOW, host="good"),
        alert_pb2.Alert(state=FIRING),
        alert_pb2.Alert(state=FIRING, labels=labels(host="")),
        alert(7, start_ms=NOW),
        alert_pb2.Alert(state=FIRING, labels=labels(host="no alertname")),
    )
    assert answer.accepted == 3
    assert [(error.index, error.reason) for error in answer.errors] == [
        (1, "INVALID_LABELS"),
        (2, "INVALID_LABELS"),
    ]
    assert [bool(alert_id) for alert_id in answer.alert_ids] == [True, False, False, True, True]


async def test_a_state_that_does_not_exist_counts_as_none(shared: Running) -> None:
    answer = await write(
        shared,
        alert(7, start_ms=NOW - 5000, host="odd"),
        alert(7, start_ms=NOW - 5000, end_ms=NOW - 1000, host="odd and over"),
    )
    assert [(each.index, each.reason) for each in answer.warnings] == [
        (0, "STATE_UNKNOWN"),
        (1, "STATE_UNKNOWN"),
    ]
    found = [(await get(shared, alert_id)).alert.state for alert_id in answer.alert_ids]
    assert found == [FIRING, RESOLVED]


@pytest.mark.parametrize(("count", "reason"), [(0, "ALERTS_EMPTY"), (1001, "TOO_MANY_ALERTS")])
async def test_a_request_has_a_size(shared: Running, count: int, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await write(shared, *[alert(start_ms=NOW)] * count)
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize(
    ("alert_id", "expected"),
    [
        ("0123456789abcdef-1700000000000", ("NOT_FOUND", "ALERT_NOT_FOUND")),
        ("", ("INVALID_ARGUMENT", "INVALID_ALERT_ID")),
        ("a\0b", ("INVALID_ARGUMENT", "INVALID_ALERT_ID")),
    ],
)
async def test_unknown_alerts(shared: Running, alert_id: str, expected: tuple[str, str]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(shared, alert_id)
    assert status_of(caught.value) == expected


_counter = iter(range(10**9))


@examples(10)
@given(
    st.lists(
        st.lists(st.sampled_from(["a-1", "a-2", "b-1", "b-2"]), min_size=1, max_size=4),
        min_size=1,
        max_size=6,
    )
)
async def test_any_telling_ends_in_the_same_state(
    shared: Running, requests: list[list[str]]
) -> None:
    """Changes in any order, interleaving and repetition, some requests at the same time."""
    run = str(next(_counter))

    def made(change: str) -> alert_pb2.Alert:
        host, number = change.split("-")
        if number == "1":
            return alert(FIRING, start_ms=NOW - 9000, summary="up", host=host, run=run)
        return alert(
            RESOLVED, start_ms=NOW - 9000, end_ms=NOW - 10, summary="down", host=host, run=run
        )

    answers = await asyncio.gather(*(write(shared, *map(made, changes)) for changes in requests))
    told = {change for changes in requests for change in changes}
    assert sum(answer.accepted for answer in answers) == len(told)
    listed = await shared.stub.ListAlerts(pb.ListAlertsRequest(selector=f'{{run="{run}"}}'))
    states = {
        next(each.value for each in found.labels if each.name == "host"): (
            found.state,
            found.end_time.ToMilliseconds(),
            found.annotations[0].value,
        )
        for found in listed.alerts
    }
    expected = {}
    for host in {change[0] for change in told}:
        is_resolved = f"{host}-2" in told
        expected[host] = (RESOLVED, NOW - 10, "down") if is_resolved else (FIRING, 0, "up")
    assert states == expected


async def test_alerts_are_listed_newest_first_in_pages(service: Running) -> None:
    severities = ["info", "warning", "critical"]
    await write(
        service,
        *[
            alert(start_ms=NOW - n * 1000, host=f"h{n}", severity=severities[n % 3])
            for n in range(9)
        ],
    )
    over = alert(RESOLVED, start_ms=NOW - 1000, end_ms=NOW, host="h1", severity="warning")
    await write(service, over)

    async def listed(**more: object) -> list[str]:
        hosts, token = [], ""
        while True:
            request = pb.ListAlertsRequest(page_size=2, page_token=token, **more)
            page = await service.stub.ListAlerts(request)
            assert len(page.alerts) <= 2
            hosts += [each.value for a in page.alerts for each in a.labels if each.name == "host"]
            token = page.next_page_token
            if not token:
                return hosts

    assert await listed() == [f"h{n}" for n in range(9)]
    assert await listed(selector='{host=~"h[1-4]",host!="h2"}') == ["h1", "h3", "h4"]
    assert await listed(min_severity=series_pb2.SEVERITY_CRITICAL) == ["h2", "h5", "h8"]
    assert await listed(state=RESOLVED) == ["h1"]
    end = pb.ListAlertsRequest().end_time
    end.FromMilliseconds(NOW - 6000)
    assert await listed(end_time=end) == ["h7", "h8"]
    start = pb.ListAlertsRequest().start_time
    start.FromMilliseconds(NOW + 60_000)
    assert "h1" not in await listed(start_time=start)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.ListAlertsRequest(selector="{"), "INVALID_SELECTOR"),
        (pb.ListAlertsRequest(page_token="junk"), "INVALID_PAGE_TOKEN"),
        (pb.ListAlertsRequest(page_size=1001), "INVALID_PAGE_SIZE"),
    ],
)
async def test_bad_listings(shared: Running, request_: pb.ListAlertsRequest, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.stub.ListAlerts(request_)
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)


async def test_a_time_range_must_not_be_reversed(shared: Running) -> None:
    request = pb.ListAlertsRequest()
    request.start_time.FromMilliseconds(NOW)
    request.end_time.FromMilliseconds(NOW - 1)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.stub.ListAlerts(request)
    assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_TIME_RANGE")


async def test_a_page_token_belongs_to_its_question(shared: Running) -> None:
    await write(shared, alert(start_ms=NOW, host="a"), alert(start_ms=NOW, host="b"))
    page = await shared.stub.ListAlerts(pb.ListAlertsRequest(page_size=1))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.stub.ListAlerts(
            pb.ListAlertsRequest(page_token=page.next_page_token, selector='{host="a"}')
        )
    assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
