"""Odd characters are stored exactly or refused with their field; none breaks the database."""

import time
from typing import Any

import grpc
import msgspec
import pytest

from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.convert.page_tokens import _mark
from tests.ingest.consumers import alerts_open, samples_open
from tests.ingest.harness import (
    Running,
    batch_request,
    labels,
    opened,
    query,
    status_of,
)

NOW = int(time.time() * 1000)
NUL_VALUE, NUL_NAME = '{host="a\\x00"}', '{"a\\x00b"="c"}'
NUL_METRIC, NUL_PATTERN, RAW_NUL = '{"a\\x00"}', 'm{host=~"a\\x00"}', "cpu\0"


async def refusal(call: Any) -> tuple[str, str, str]:
    """Code, reason and message of a call that is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call.read() if hasattr(call, "read") else call)
    return (*status_of(caught.value), caught.value.details())


@pytest.mark.parametrize("selector", [NUL_VALUE, NUL_NAME, NUL_METRIC, NUL_PATTERN, RAW_NUL])
async def test_a_selector_with_nul_is_refused_everywhere(shared: Running, selector: str) -> None:
    asked = pb.QuerySamplesRequest(selector=selector)
    asked.start_time.FromMilliseconds(NOW - 1000)
    stub = shared.stub
    for call in (
        stub.QuerySamples(asked),
        stub.ListSeries(pb.ListSeriesRequest(selector=selector)),
        stub.ListAlerts(pb.ListAlertsRequest(selector=selector)),
    ):
        code, reason, message = await refusal(call)
        assert (code, reason) == ("INVALID_ARGUMENT", "INVALID_SELECTOR")
        assert message.startswith("selector: ")
    for frame in (samples_open(selector=selector), alerts_open(selector=selector)):
        async with opened(stub.Subscribe, frame) as stream:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.next("opened")
        assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_SELECTOR")


async def test_ids_with_nul_are_refused(shared: Running) -> None:
    stub = shared.stub
    dead = pb.ListDeadLettersRequest(subscription="a\0")
    redrive = pb.RedriveDeadLettersRequest(subscription="a\0", delivery_ids=["1"])
    calls = {
        "INVALID_PRODUCER_ID": stub.WriteBatch(batch_request("p\0", 1, [(1, NOW, 1.0)])),
        "INVALID_ALERT_ID": stub.GetAlert(pb.GetAlertRequest(alert_id="0123456789abcdef-1\0")),
        "INVALID_SUBSCRIPTION": stub.ListDeadLetters(dead),
        "INVALID_PAGE_TOKEN": stub.ListAlerts(pb.ListAlertsRequest(page_token="a\0")),
    }
    for reason, call in calls.items():
        assert (await refusal(call))[:2] == ("INVALID_ARGUMENT", reason)
    assert (await refusal(stub.RedriveDeadLetters(redrive)))[1] == "INVALID_SUBSCRIPTION"
    for change in ({"subscription": "a\0"}, {"consumer": "a\0"}):
        async with opened(stub.Subscribe, samples_open(**change)) as stream:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.next("opened")
        assert status_of(caught.value) == ("INVALID_ARGUMENT", "INVALID_SUBSCRIPTION")


async def test_unknown_delivery_ids_with_nul_are_skipped(shared: Running) -> None:
    ids = ["1\0", "\0", "9" * 40]
    request = pb.RedriveDeadLettersRequest(subscription="a", delivery_ids=ids)
    assert (await shared.stub.RedriveDeadLetters(request)).redriven == 0


@pytest.mark.parametrize(
    "bad", [labels(name="a\0"), labels(name="cpu", host="\0"), labels(name="cpu", **{"h\0": "x"})]
)
async def test_a_series_with_nul_is_refused(shared: Running, bad: list[series_pb2.Label]) -> None:
    ack = (await shared.stub.WriteBatch(batch_request("nul", 1, [(1, NOW, 1.0)], {1: bad}))).ack
    (error,) = ack.errors
    assert error.reason == pb.SAMPLE_ERROR_REASON_INVALID_LABELS


async def test_a_traceparent_with_nul_is_none(shared: Running) -> None:
    request = batch_request("trace", 1, [(1, NOW, 1.0)])
    request.batch.traceparent = "00-\0"
    assert (await shared.stub.WriteBatch(request)).ack.accepted == 1


@pytest.mark.parametrize("name", ["http requests", "Größe/s", "a.b-c", 'with "quotes"', "1st"])
async def test_a_metric_name_is_free_text(service: Running, name: str) -> None:
    """UTF-8 names as in Prometheus 3: stored exactly, found by a quoted selector."""
    series = {1: labels(name=name, job="api")}
    ack = (await service.stub.WriteBatch(batch_request("p", 1, [(1, NOW, 4.0)], series))).ack
    assert (ack.accepted, ack.rejected) == (1, 0)
    quoted = name.replace('"', '\\"')
    found = await query(service.stub, f'{{"{quoted}", job="api"}}', NOW - 1000, NOW + 1)
    assert found == {(("__name__", name), ("job", "api")): [(NOW, 4.0)]}


def token(question: object, position: object) -> str:
    """A page token as only an attacker would make it."""
    from base64 import urlsafe_b64encode

    return urlsafe_b64encode(msgspec.msgpack.encode((_mark(question), position))).decode()


@pytest.mark.parametrize("position", [2**63, 2**64 - 1, -1, "1"])
async def test_a_made_up_page_number_is_refused(shared: Running, position: object) -> None:
    series = pb.ListSeriesRequest(page_token=token(("series", ""), position))
    letters = pb.ListDeadLettersRequest(
        subscription="a", page_token=token(("dead letters", "a"), position)
    )
    for call in (shared.stub.ListSeries(series), shared.stub.ListDeadLetters(letters)):
        assert (await refusal(call))[:2] == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize(
    "position",
    [
        (NOW, "a\0"),
        (NOW, "0123456789abcdef-1\0"),
        (2**62, "0123456789abcdef-1"),
        (-(2**62), "0123456789abcdef-1"),
    ],
)
async def test_a_made_up_place_among_alerts_is_refused(
    shared: Running, position: tuple[int, str]
) -> None:
    question = pb.ListAlertsRequest().SerializeToString()
    request = pb.ListAlertsRequest(page_token=token(question, position))
    refused = await refusal(shared.stub.ListAlerts(request))
    assert refused[:2] == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize("number", [-1, 9, 2**31 - 1])
async def test_unknown_enumerators_are_refused(shared: Running, number: int) -> None:
    for change, reason in (({"state": number}, "STATE"), ({"min_severity": number}, "SEVERITY")):
        refused = await refusal(shared.stub.ListAlerts(pb.ListAlertsRequest(**change)))
        assert refused[:2] == ("INVALID_ARGUMENT", f"INVALID_{reason}")
