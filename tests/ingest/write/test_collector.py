"""OTLP metrics by gRPC."""

import math
import time

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as pb
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as pb_grpc

from tests.ingest.harness import Running, query, status_of

NOW_MS = int(time.time() * 1000)


def request_of(
    name: str, value: float, *, temporality: int = 2, ago_ms: int = 1000
) -> pb.ExportMetricsServiceRequest:
    """One counter."""
    request = pb.ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, True
    metric.sum.data_points.add(time_unix_nano=(NOW_MS - ago_ms) * 10**6, as_double=value)
    return request


async def test_metrics_are_stored_before_the_answer(shared: Running) -> None:
    stub = pb_grpc.MetricsServiceStub(shared.channel)
    answer = await stub.Export(request_of("by_grpc", 4.0))
    assert not answer.HasField("partial_success")
    found = await query(shared.stub, "by_grpc_total", NOW_MS - 5000, NOW_MS)
    assert found == {(("__name__", "by_grpc_total"),): [(NOW_MS - 1000, 4.0)]}


async def test_differences_are_added_up_once(shared: Running) -> None:
    stub = pb_grpc.MetricsServiceStub(shared.channel)
    for ago_ms, value in ((4000, 1.0), (3000, 2.0), (3000, 2.0), (2000, 4.0)):
        await stub.Export(request_of("differences", value, temporality=1, ago_ms=ago_ms))
    found = await query(shared.stub, "differences_total", NOW_MS - 5000, NOW_MS)
    ((_, samples),) = found.items()
    assert [value for _, value in samples] == [1.0, 3.0, 7.0]


async def test_a_total_is_never_poisoned(shared: Running) -> None:
    """Infinite differences are refused; one too large and the end of a series leave it alone."""
    stub = pb_grpc.MetricsServiceStub(shared.channel)
    ended = request_of("poisoned", 0.0, temporality=1, ago_ms=3000)
    point = ended.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    point.ClearField("as_double")
    point.flags = 1
    inf, nan = float("inf"), float("nan")
    values = [(9000, 1e308), (8000, inf), (7000, nan), (6000, 1e308), (2000, -1e308)]
    sent = [request_of("poisoned", value, temporality=1, ago_ms=ago) for ago, value in values]
    answers = [await stub.Export(request) for request in [*sent[:-1], ended, sent[-1]]]
    rejected = [answer.partial_success.rejected_data_points for answer in answers]
    assert rejected == [0, 1, 1, 1, 0, 0]
    found = await query(shared.stub, "poisoned_total", NOW_MS - 10_000, NOW_MS)
    ((_, samples),) = found.items()
    finite = [(NOW_MS - at_ms, value) for at_ms, value in samples if not math.isnan(value)]
    assert finite == [(9000, 1e308), (2000, 0.0)]


async def test_a_repeat_writes_what_was_refused_and_nothing_twice(
    shared: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows of our own beside a body differ from time to time; that is no reason to write."""
    stub = pb_grpc.MetricsServiceStub(shared.channel)
    request = request_of("repeated", 1.0)
    attribute = request.resource_metrics[0].resource.attributes.add(key="service.name")
    attribute.value.string_value = "repeated"
    metric = request.resource_metrics[0].scope_metrics[0].metrics[0]
    metric.sum.data_points.add(
        time_unix_nano=(NOW_MS + 1_800_000) * 10**6, as_double=2.0
    ).attributes.add(key="k").value.string_value = "ahead"
    before = sum((await shared.ingest.heads.now()).totals)
    rejected, totals = [], []
    for ahead_ms in (0, 0, 3_600_000, 3_600_000):
        monkeypatch.setattr(shared.clock, "ahead_ms", ahead_ms)
        answer = await stub.Export(request)
        rejected.append(answer.partial_success.rejected_data_points)
        totals.append(sum((await shared.ingest.heads.now()).totals) - before)
    assert rejected == [1, 1, 0, 0]
    assert [total - totals[0] for total in totals] == [0, 0, 1, 1]


async def test_what_is_no_request_is_its_senders_fault(shared: Running) -> None:
    export = shared.channel.unary_unary("/" + SERVICE + "/Export")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await export(b"\x0a\x7f")
    assert status_of(caught.value) == ("INVALID_ARGUMENT", "BODY_BROKEN")


SERVICE = pb.DESCRIPTOR.services_by_name["MetricsService"].full_name
