"""CountAlerts counts what ListAlerts lists, whatever the filter is."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from sensus.core.v1 import alert_pb2, series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from tests.ingest.harness import Running, alert, status_of
from tests.properties import examples

NOW = int(time.time() * 1000)
FIRING, RESOLVED = alert_pb2.ALERT_STATE_FIRING, alert_pb2.ALERT_STATE_RESOLVED
CRITICAL, WARNING, INFO = (
    series_pb2.SEVERITY_CRITICAL,
    series_pb2.SEVERITY_WARNING,
    series_pb2.SEVERITY_INFO,
)
SELECTORS = (
    "",
    '{team="count"}',
    '{team="count",service="web"}',
    '{team="count",service!="web"}',
    '{team="count",service=~"w.*|db"}',
    '{team="count",service!~"w.*",severity!="info"}',
    '{team="count",service=""}',
    '{team="count",service="web",service="db"}',
    '{team="count",rack!=""}',
    '{team="count",severity=~"crit.*"}',
    '{team="nobody"}',
)


def at(time_ms: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(time_ms)
    return stamp


def _episodes() -> Iterator[alert_pb2.Alert]:
    for number in range(60):
        labels = {
            "team": "count",
            "alertname": f"A{number}",
            "severity": ("critical", "warning", "info")[number % 3],
        }
        if number % 4:
            labels["service"] = ("web", "db", "w-2")[number % 4 - 1]
        start_ms = NOW - 60_000 * (number + 1)
        ended = {"end_ms": start_ms + 30_000} if number % 5 == 0 else {}
        yield alert(RESOLVED if ended else FIRING, start_ms=start_ms, **labels, **ended)


@pytest.fixture(scope="module")
async def filled(shared: Running) -> Running:
    """An ingest with sixty episodes."""
    await shared.stub.WriteAlerts(pb.WriteAlertsRequest(alerts=list(_episodes())))
    return shared


async def counted(service: Running, **asked: Any) -> list[tuple[int, int, int]]:
    answer = await service.stub.CountAlerts(pb.CountAlertsRequest(**asked))
    return [(each.state, each.severity, each.count) for each in answer.counts]


async def listed(service: Running, **asked: Any) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    request = pb.ListAlertsRequest(page_size=7, **asked)
    while True:
        page = await service.stub.ListAlerts(request)
        found.update((each.state, each.severity) for each in page.alerts)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@examples(40)
@given(
    selector=st.sampled_from(SELECTORS),
    state=st.sampled_from((0, FIRING, RESOLVED)),
    min_severity=st.sampled_from((0, INFO, WARNING, CRITICAL)),
    start=st.none() | st.integers(0, 70),
    length=st.none() | st.integers(0, 70),
)
async def test_it_counts_what_is_listed(
    filled: Running,
    selector: str,
    state: int,
    min_severity: int,
    start: int | None,
    length: int | None,
) -> None:
    asked: dict[str, Any] = {"selector": selector, "state": state, "min_severity": min_severity}
    if start is not None:
        asked["start_time"] = at(NOW - 60_000 * start)
    if length is not None:
        asked["end_time"] = at(NOW - 60_000 * ((start or 0) - length))
    found = await counted(filled, **asked)
    assert {(one, other): count for one, other, count in found} == await listed(filled, **asked)
    assert found == sorted(found, key=lambda each: (each[0], -each[1]))


async def test_each_state_and_severity_is_counted_once(filled: Running) -> None:
    assert await counted(filled, selector='{team="count"}') == [
        (FIRING, CRITICAL, 16),
        (FIRING, WARNING, 16),
        (FIRING, INFO, 16),
        (RESOLVED, CRITICAL, 4),
        (RESOLVED, WARNING, 4),
        (RESOLVED, INFO, 4),
    ]
    assert await counted(filled, changed_since=at(NOW + 3_600_000)) == []


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"selector": "{"}, "INVALID_SELECTOR"),
        ({"selector": '{a="\0"}'}, "INVALID_SELECTOR"),
        ({"state": 9}, "INVALID_STATE"),
        ({"min_severity": 9}, "INVALID_SEVERITY"),
        ({"start_time": at(NOW), "end_time": at(NOW - 1)}, "INVALID_TIME_RANGE"),
        ({"start_time": Timestamp(seconds=-1)}, "INVALID_TIME_RANGE"),
    ],
)
async def test_what_is_wrong_is_named(filled: Running, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await counted(filled, **asked)
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)
