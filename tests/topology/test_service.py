"""The service beside a real ingest: what senders tell becomes the graph, once, over any stop."""

from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from sensus.ingest.v1 import ingest_service_pb2 as ingest_pb
from sensus.topology.v1 import topology_service_pb2 as pb
from tests.databases import execute, fetch
from tests.topology.running import Running, until
from tests.topology.shop import trace

CONTENTS = "SELECT minute, shard, is_final, content FROM topology.minute ORDER BY minute, shard"
EXAMPLES = "SELECT * FROM topology.example ORDER BY operation, exception, pattern, hour, slot"
FORGET = """
UPDATE topology.shard SET cursor = 0, second = 0, final_before = 0, pending = '';
DELETE FROM topology.minute; DELETE FROM topology.pattern_lines; DELETE FROM topology.example;
"""


def edges_by_name(answer: pb.ListEdgesResponse) -> dict[tuple[str, str, int], pb.EdgeCounts]:
    """Counts by caller, called and connection."""
    return {
        (
            f"{each.edge.caller_service} {each.edge.caller_operation}".strip(),
            f"{each.edge.service} {each.edge.operation}".strip(),
            each.edge.connection_type,
        ): each.counts
        for each in answer.edges
    }


async def test_traces_become_the_graph(topology: Running) -> None:
    for number in range(1, 11):
        await topology.send(*trace(number))
    found = edges_by_name(await topology.counted(50))
    assert set(found) == {
        ("", "web GET /buy", pb.CONNECTION_TYPE_ENTRY),
        ("web GET /buy", "cart GET /cart/{id}", pb.CONNECTION_TYPE_CALL),
        ("cart GET /cart/{id}", "carts sqlite SELECT", pb.CONNECTION_TYPE_DATABASE),
        ("cart GET /cart/{id}", "bank:443 POST", pb.CONNECTION_TYPE_ADDRESS),
    }
    assert {each.spans for each in found.values()} == {10}
    call = found["web GET /buy", "cart GET /cart/{id}", pb.CONNECTION_TYPE_CALL]
    assert call.duration.p50.ToTimedelta().total_seconds() == pytest.approx(0.07, rel=0.1)
    assert call.duration.longest.ToTimedelta().total_seconds() == pytest.approx(0.07, rel=0.1)
    assert call.self_time.p50.ToTimedelta().total_seconds() == pytest.approx(0.02, rel=0.1)
    assert call.wait.p50.ToTimedelta().total_seconds() == pytest.approx(0.01, rel=0.1)
    services = edges_by_name(await topology.edges())
    assert set(services) == {
        ("", "web", pb.CONNECTION_TYPE_ENTRY),
        ("web", "cart", pb.CONNECTION_TYPE_CALL),
        ("cart", "carts", pb.CONNECTION_TYPE_DATABASE),
        ("cart", "bank:443", pb.CONNECTION_TYPE_ADDRESS),
    }
    pages: list[Any] = []
    token = ""
    while not pages or token:
        page = await topology.edges(by_operation=True, page_size=3, page_token=token)
        token = page.next_page_token
        pages.append(page)
    assert [len(page.edges) for page in pages] == [3, 1]
    assert {name for page in pages for name in edges_by_name(page)} == set(found)


async def test_a_comparison_tells_where_errors_began_and_what_was_said(topology: Running) -> None:
    for number in range(1, 9):
        await topology.send(*trace(number))
    await topology.counted(40)
    topology.go_on(180)
    now_ns = topology.clock.now_ms() * 1_000_000
    for number in range(11, 19):
        await topology.send(*trace(number, fails=True, version="1.1", now_ns=now_ns))
    await topology.counted(80)

    async def compared() -> pb.CompareTracesResponse | None:
        request = pb.CompareTracesRequest()
        request.start_time.FromMilliseconds(topology.clock.now_ms() - 120_000)
        answer: pb.CompareTracesResponse = await topology.stub.CompareTraces(request)
        return answer if len(answer.patterns) and answer.coverage.observed.spans == 40 else None

    answer = await until(compared)
    assert (answer.coverage.usual.traces, answer.coverage.observed.failed_traces) == (8, 8)
    (origin,) = answer.origins
    assert (origin.service, origin.operation) == ("cart", "GET /cart/{id}")
    assert (origin.reason, origin.detail) == (pb.ORIGIN_REASON_EXCEPTION, "BankError")
    assert (origin.observed, origin.usual, origin.observed_traces) == (8, 0, 8)
    (pattern,) = answer.patterns
    assert pattern.pattern.service == "cart"
    assert "hunter" not in pattern.pattern.text
    assert (pattern.observed, pattern.observed_first, pattern.pattern.lines) == (8, 8, 8)
    assert 1 <= len(origin.example_ids) <= 3
    assert {(each.service, each.version) for each in answer.versions} >= {
        ("web", "1.1"),
        ("cart", "1.1"),
    }
    shapes = {(each.service, len(each.calls)): each for each in answer.shapes}
    assert shapes["cart", 2].usual == 8
    assert {each.service for each in shapes["cart", 2].calls} == {"carts", "bank:443"}
    examples = (await topology.stub.ListExamples(pb.ListExamplesRequest(service="cart"))).examples
    assert {each.example_id for each in examples} >= set(origin.example_ids)
    assert all(len(each.trace_id) == 32 and "hunter" not in each.message for each in examples)
    patterns = (await topology.stub.ListLogPatterns(pb.ListLogPatternsRequest())).patterns
    assert [each.lines for each in patterns] == [8]
    only = pb.ListVersionsRequest(service="web")
    assert [each.version for each in (await topology.stub.ListVersions(only)).versions] == [
        "1.1",
        "1.0",
    ]


async def test_a_replay_gives_the_same_rows_byte_for_byte(idle: Running) -> None:
    """Stopped now and then, in other deliveries, from the begin: always the same."""
    for number in range(1, 4):
        await idle.start()
        await idle.send(*(each for n in range(10) for each in trace(number * 10 + n, fails=n > 6)))
        await idle.stop()
    idle.go_on(150)
    await idle.start()
    await idle.counted(150)
    await idle.final()
    rows = await fetch(idle.settings.postgres_dsn, CONTENTS)
    examples = await fetch(idle.settings.postgres_dsn, EXAMPLES)
    await idle.stop()
    await execute(idle.settings.postgres_dsn, FORGET)
    await idle.start()
    await idle.counted(150)
    await idle.final()
    assert await fetch(idle.settings.postgres_dsn, CONTENTS) == rows
    assert len(rows) > 1
    again = await fetch(idle.settings.postgres_dsn, EXAMPLES)
    assert again == examples


async def test_two_replicas_share_the_shards_and_count_once(idle: Running) -> None:
    await idle.start(consumer_id="one")
    await idle.start(consumer_id="two")
    for number in range(1, 31):
        await idle.send(*trace(number))
    answer = await idle.counted(150)
    assert answer.coverage.spans == 150


async def test_hours_hold_what_their_minutes_held(topology: Running) -> None:
    for number in range(1, 11):
        await topology.send(*trace(number))
    await topology.counted(50)
    topology.go_on(2 * 3600)
    await topology.final()
    before = edges_by_name(await topology.edges(by_operation=True))

    async def rolled() -> bool:
        assert topology.topology is not None
        await topology.topology.hours.roll_up()
        return bool(await fetch(topology.settings.postgres_dsn, "SELECT 1 FROM topology.hour"))

    await until(rolled)
    await execute(topology.settings.postgres_dsn, "DELETE FROM topology.minute")
    after = edges_by_name(await topology.edges(by_operation=True))
    assert {name: counts.spans for name, counts in after.items()} == {
        name: counts.spans for name, counts in before.items()
    }


async def test_series_of_final_minutes_reach_ingest_once(idle: Running) -> None:
    """Two replicas hand on the same minute: the second batch is a duplicate."""
    await idle.start(consumer_id="one")
    await idle.start(consumer_id="two")
    for number in range(1, 11):
        await idle.send(*trace(number, fails=number > 8))
    await idle.counted(50)
    idle.go_on(150)

    async def published() -> dict[tuple[str, ...], float] | None:
        request = ingest_pb.QuerySamplesRequest(selector='{service=~".+"}', max_series=200)
        request.start_time.FromMilliseconds(idle.clock.now_ms() - 3_600_000)
        request.end_time.FromMilliseconds(idle.clock.now_ms())
        found: dict[tuple[str, ...], float] = {}
        async for answer in idle.ingest.stub.QuerySamples(request):
            for each in answer.series:
                labels = sorted((label.name, label.value) for label in each.series.labels)
                key = tuple(f"{name}={value}" for name, value in labels)
                found[key] = found.get(key, 0) + sum(each.values)
        return found or None

    def value(found: dict[tuple[str, ...], float], *labels: str) -> float:
        return sum(each for key, each in found.items() if set(labels) <= set(key))

    async def complete() -> dict[tuple[str, ...], float] | None:
        found = await published() or {}
        return found if value(found, "__name__=trace_requests") == 10 else None

    await until(complete)
    # once more: series that began with the last batch may be new to the first answer
    found = await published() or {}
    assert value(found, "__name__=span_count", "service=cart", "peer=web") == 10
    assert value(found, "__name__=span_errors", "service=cart", "span_kind=server") == 2
    assert value(found, "__name__=span_origin_errors", "service=cart", "reason=exception") == 2
    assert value(found, "__name__=trace_failures", "service=web") == 2
    assert value(found, "__name__=log_errors", "service=cart") == 2
    assert value(found, "__name__=log_lines", "severity=error") == 2
    assert value(found, "__name__=service_info", "version=1.0") > 0
    assert any("__name__=span_self_time_seconds" in key for key in found)
    assert any("__name__=span_client_wait_seconds" in key for key in found)


async def test_what_is_asked_badly_says_what_to_change(topology: Running) -> None:
    now_s = topology.clock.now_ms() // 1000

    def compare(start_s: int, **more: Any) -> pb.CompareTracesRequest:
        request = pb.CompareTracesRequest(**more)
        request.start_time.FromSeconds(start_s)
        return request

    usual = pb.TimeSpan()
    usual.start_time.FromSeconds(now_s - 100_000)
    usual.end_time.FromSeconds(now_s)
    stub = topology.stub
    for call, request, reason in (
        (stub.CompareTraces, pb.CompareTracesRequest(), "INVALID_TIME_RANGE"),
        (stub.CompareTraces, compare(now_s + 60), "INVALID_TIME_RANGE"),
        (stub.CompareTraces, compare(now_s - 7 * 3600), "INVALID_TIME_RANGE"),
        (stub.CompareTraces, compare(now_s - 60, usual=[usual]), "INVALID_TIME_RANGE"),
        (stub.CompareTraces, compare(now_s - 60, usual=[usual] * 5), "INVALID_TIME_RANGE"),
        (stub.CompareTraces, compare(now_s - 60, services=["a"] * 101), "TOO_MANY_SERVICES"),
        (stub.ListEdges, pb.ListEdgesRequest(page_size=1001), "INVALID_PAGE_SIZE"),
        (stub.ListEdges, pb.ListEdgesRequest(page_token="made up"), "INVALID_PAGE_TOKEN"),
        (stub.ListLogPatterns, pb.ListLogPatternsRequest(page_token="ab"), "INVALID_PAGE_TOKEN"),
        (stub.ListExamples, pb.ListExamplesRequest(page_token="gA"), "INVALID_PAGE_TOKEN"),
        (stub.ListVersions, pb.ListVersionsRequest(page_size=5000), "INVALID_PAGE_SIZE"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request
        status = rpc_status.from_call(refused.value)
        info = next(each for each in status.details if each.Is(ErrorInfo.DESCRIPTOR))
        told = ErrorInfo()
        info.Unpack(told)
        assert told.reason == reason, request


async def test_who_is_down_is_told_by_the_name_that_it_had(topology: Running) -> None:
    """Its address stands for it until somebody is known to answer there."""
    for number in range(1, 9):
        await topology.send(*trace(number))
    await topology.counted(40)
    topology.go_on(180)
    now_ns = topology.clock.now_ms() * 1_000_000
    for number in range(11, 19):
        asking, _ = trace(number, now_ns=now_ns)
        asking.resource_spans[0].scope_spans[1].spans[0].status.code = 2
        await topology.send(asking)
    await topology.counted(56)
    request = pb.CompareTracesRequest()
    request.start_time.FromMilliseconds(topology.clock.now_ms() - 120_000)

    async def compared() -> pb.CompareTracesResponse | None:
        answer: pb.CompareTracesResponse = await topology.stub.CompareTraces(request)
        return answer if answer.coverage.observed.spans == 16 else None

    answer = await until(compared)
    (origin,) = answer.origins
    assert (origin.service, origin.operation) == ("cart", "")
    assert (origin.reason, origin.observed) == (pb.ORIGIN_REASON_UNREACHABLE, 8)
