"""QuerySamples and ListSeries, over the log and over chunks."""

import random
import time
from datetime import UTC, datetime

import asyncpg
import grpc
import numpy as np
import pytest

from sensus.ingest.v1 import ingest_service_pb2 as pb
from services.ingest.model.points import merged
from tests.ingest.harness import Running, batch_request, labels, query, status_of

NOW = int(time.time() * 1000)
HOUR = 3_600_000


async def refused(service: Running, request: pb.QuerySamplesRequest) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in service.stub.QuerySamples(request):
            pass
    return status_of(caught.value)


def asked(
    selector: str, start_ms: int | None = NOW - 1000, **more: object
) -> pb.QuerySamplesRequest:
    request = pb.QuerySamplesRequest(selector=selector, **more)
    if start_ms is not None:
        request.start_time.FromMilliseconds(start_ms)
    return request


async def compact(service: Running) -> int:
    service.clock.ahead_ms += 24 * HOUR
    try:
        return await service.ingest.compactor.compact()
    finally:
        service.clock.ahead_ms -= 24 * HOUR


async def test_log_and_chunks_answer_as_one(service: Running) -> None:
    """Random batches with late, repeated and equal times, compacted now and then."""
    rng = random.Random(7)
    truth: dict[str, dict[int, float]] = {}
    for sequence in range(1, 31):
        rows = []
        for _ in range(40):
            host = rng.randrange(5)
            when = NOW - rng.randrange(30 * HOUR) // 60_000 * 60_000
            rows.append((host, when, float(rng.randrange(10**6))))
            truth.setdefault(str(host), {}).setdefault(when, rows[-1][2])
        await service.stub.WriteBatch(batch_request("p", sequence, rows))
        if sequence % 10 == 0 and sequence < 30:
            assert await compact(service) == 400
    found = await query(service.stub, "cpu", NOW - 31 * HOUR, NOW + 1)
    assert {dict(key)["host"]: points for key, points in found.items()} == {
        host: sorted(points.items()) for host, points in truth.items()
    }
    half = await query(service.stub, 'cpu{host="2"}', NOW - 5 * HOUR, NOW - 2 * HOUR)
    expected = sorted(p for p in truth["2"].items() if NOW - 5 * HOUR <= p[0] < NOW - 2 * HOUR)
    assert list(half.values()) == ([expected] if expected else [])


async def test_the_newest_samples_of_each_series(service: Running) -> None:
    rows = [(host, NOW - n * 1000, float(n)) for host in (1, 2) for n in range(20)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    found = await query(service.stub, "cpu", NOW - HOUR, NOW + 1, max_samples_per_series=3)
    assert [[value for _, value in points] for points in found.values()] == [[2, 1, 0]] * 2


async def test_a_chart_has_as_many_points_as_it_asks_for(service: Running) -> None:
    """One dip and one spike of a second are seen in 30 points of half an hour."""
    start_ms = NOW // HOUR * HOUR - HOUR
    values = np.full(1800, 5.0)
    values[700], values[1500], values[3] = -100.0, 100.0, np.nan
    rows = [(1, start_ms + n * 1000, value) for n, value in enumerate(values.tolist())]
    rows += [(2, start_ms + n * 1000, float(n)) for n in range(20)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    request = asked("cpu", start_ms, max_points=30)
    request.end_time.FromMilliseconds(start_ms + 1_800_000)
    found = [each async for part in service.stub.QuerySamples(request) for each in part.series]
    many, few = found
    assert list(many.timestamps_ms) == [start_ms + n * 60_000 for n in range(30)]
    assert (min(many.minimums), max(many.maximums)) == (-100.0, 100.0)
    assert many.values[0] == 5.0
    assert many.values[11] == pytest.approx((59 * 5 - 100) / 60)
    assert (len(few.values), len(few.minimums)) == (20, 0)


async def test_a_long_series_comes_in_parts_with_one_identity(service: Running) -> None:
    rows = [(1, NOW - n, float(n)) for n in range(45_000)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    parts = []
    async for response in service.stub.QuerySamples(asked("cpu", NOW - HOUR)):
        parts += response.series
    assert len(parts) == 3
    assert len({part.series.series_id for part in parts}) == 1
    times = [t for part in parts for t in part.timestamps_ms]
    assert times == sorted(times)
    assert len(times) == 45_000


async def test_more_series_than_allowed(service: Running) -> None:
    await service.stub.WriteBatch(batch_request("p", 1, [(n, NOW, 1.0) for n in range(5)]))
    request = asked("cpu", max_series=4)
    assert await refused(service, request) == ("RESOURCE_EXHAUSTED", "TOO_MANY_SERIES")
    assert len(await query(service.stub, "cpu", NOW - 1000, NOW + 1, max_series=5)) == 5


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asked(""), "INVALID_SELECTOR"),
        (asked("{}"), "INVALID_SELECTOR"),
        (asked('cpu{host=~"("}'), "INVALID_SELECTOR"),
        (asked("cpu", None), "INVALID_TIME_RANGE"),
        (asked("cpu", NOW - 32 * 24 * HOUR), "INVALID_TIME_RANGE"),
        (asked("cpu", NOW + HOUR), "INVALID_TIME_RANGE"),
        (asked("cpu", -1), "INVALID_TIME_RANGE"),
        (asked("cpu", max_points=10_001), "INVALID_MAX_POINTS"),
    ],
)
async def test_bad_questions(
    shared: Running, request_: pb.QuerySamplesRequest, reason: str
) -> None:
    assert await refused(shared, request_) == ("INVALID_ARGUMENT", reason)


async def test_series_are_listed_in_pages(service: Running) -> None:
    series = {n: labels(name="cpu" if n % 2 else "mem", host=str(n)) for n in range(10)}
    rows = [(n, NOW, 1.0) for n in range(10)]
    await service.stub.WriteBatch(batch_request("p", 1, rows, series))
    names, token = [], ""
    for size in (3, 3):
        page = await service.stub.ListSeries(
            pb.ListSeriesRequest(selector="cpu", page_size=size, page_token=token)
        )
        names += [{each.name: each.value for each in s.labels}["host"] for s in page.series]
        assert all(each.series_id > 0 and each.shard < 4 for each in page.series)
        token = page.next_page_token
    assert (sorted(names), token) == (["1", "3", "5", "7", "9"], "")
    everything = await service.stub.ListSeries(pb.ListSeriesRequest())
    assert len(everything.series) == 10
    nobody = await service.stub.ListSeries(pb.ListSeriesRequest(selector='{host="nobody"}'))
    assert len(nobody.series) == 0


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (pb.ListSeriesRequest(selector="a{b}"), "INVALID_SELECTOR"),
        (pb.ListSeriesRequest(page_token="é"), "INVALID_PAGE_TOKEN"),
        (pb.ListSeriesRequest(page_size=1001), "INVALID_PAGE_SIZE"),
    ],
)
async def test_bad_series_listings(
    shared: Running, request_: pb.ListSeriesRequest, reason: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.stub.ListSeries(request_)
    assert status_of(caught.value) == ("INVALID_ARGUMENT", reason)


async def test_the_view_shows_log_and_chunks_alike(service: Running) -> None:
    values = [0.1, -2.5e300, 5e-324, float("inf"), float("-inf"), float("nan"), 0.0, 123456.789]
    rows = [(1, NOW - 10_000 + n, value) for n, value in enumerate(values)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))

    async def shown() -> list[tuple[str, str, dict, int]]:
        connection = await asyncpg.connect(service.dsn)
        try:
            found = await connection.fetch("SELECT * FROM ingest.metrics ORDER BY timestamp")
        finally:
            await connection.close()
        return [
            (r["metric_name"], repr(r["metric_value"]), r["labels"], r["timestamp"]) for r in found
        ]

    fresh = await shown()
    assert [(name, value) for name, value, _, _ in fresh] == [("cpu", repr(v)) for v in values]
    assert fresh[0][2] == '{"host": "1"}'
    assert round(fresh[0][3].timestamp() * 1000) == NOW - 10_000
    assert await compact(service) == len(values)
    assert await shown() == fresh


async def test_the_function_reads_only_what_its_times_ask_for(service: Running) -> None:
    """Like the view between two times, over the log and over chunks, without the other days."""
    rows = [(1, NOW - hours * HOUR, float(hours)) for hours in range(72)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    assert await compact(service) == 72
    await service.stub.WriteBatch(
        batch_request("p", 2, [(1, NOW - 1, -1.0), (1, NOW - 1500, -2.0)])
    )
    start, end = ("to_timestamp($1::bigint / 1000.0::float8)", "to_timestamp($2::bigint / 1000.0)")
    between = f"SELECT * FROM ingest.samples({start}, {end}) ORDER BY timestamp"
    in_view = (
        f"SELECT * FROM ingest.metrics WHERE timestamp >= {start} AND timestamp < {end} "
        "ORDER BY timestamp"
    )
    connection = await asyncpg.connect(service.dsn)
    try:
        for start_ms, end_ms in ((NOW - 30 * HOUR, NOW - HOUR), (NOW - 2000, NOW), (NOW, NOW + 1)):
            found = await connection.fetch(between, start_ms, end_ms)
            assert found == await connection.fetch(in_view, start_ms, end_ms)
            wanted = [v for _, t, v in rows if start_ms <= t < end_ms]
            wanted += [-1.0, -2.0] if start_ms == NOW - 2000 else []
            assert sorted(row["metric_value"] for row in found) == sorted(wanted)
        plan = await connection.fetch(f"EXPLAIN {between}", NOW - 71 * HOUR, NOW - 70 * HOUR)
        everything = await connection.fetch("EXPLAIN SELECT * FROM ingest.metrics")
    finally:
        await connection.close()
    first_day = f"{datetime.fromtimestamp((NOW - 71 * HOUR) / 1000, UTC):%Y%m%d}"
    read = " ".join(row[0] for row in plan)
    assert f"chunk_{first_day}" in read
    assert f"chunk_{datetime.fromtimestamp(NOW / 1000, UTC):%Y%m%d}" not in read
    assert f"chunk_{datetime.fromtimestamp(NOW / 1000, UTC):%Y%m%d}" in " ".join(
        row[0] for row in everything
    )


def test_merging_keeps_the_first_write_of_each_time() -> None:
    times, values = merged(np.array([3, 1, 3, 2, 1]), np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert times.tolist() == [1, 2, 3]
    assert values.tolist() == [2.0, 4.0, 1.0]


async def test_chunks_from_before_packing_are_read_and_added_to(service: Running) -> None:
    """The older form is read beside the newer one, and a late sample turns it into that."""
    hour = (NOW - 5 * HOUR) // HOUR * HOUR
    rows = [(1, hour + n * 1000, n / 3) for n in range(10)]
    await service.stub.WriteBatch(batch_request("p", 1, rows[:5]))
    assert await compact(service) == 5
    connection = await asyncpg.connect(service.dsn)
    try:
        await connection.execute(
            "UPDATE ingest.chunk SET packed = NULL, timestamps_ms = $1, sample_values = $2",
            [at for _, at, _ in rows[:5]],
            [value for _, _, value in rows[:5]],
        )
        assert await stored(service, connection) == [rows[:5]] * 2
        await service.stub.WriteBatch(batch_request("p", 2, [(1, hour, -1.0), *rows[5:]]))
        assert await compact(service) == 6
        assert await stored(service, connection) == [rows] * 2
        assert await connection.fetchval("SELECT count(packed) FROM ingest.chunk") == 1
    finally:
        await connection.close()


async def stored(
    service: Running, connection: asyncpg.Connection
) -> list[list[tuple[int, int, float]]]:
    """Rows of the one series as the API gives them, and as SQL does."""
    [points] = (await query(service.stub, "cpu", NOW - 10 * HOUR, NOW)).values()
    shown = await connection.fetch("SELECT * FROM ingest.metrics ORDER BY timestamp")
    return [
        [(1, at, value) for at, value in points],
        [(1, round(r["timestamp"].timestamp() * 1000), r["metric_value"]) for r in shown],
    ]
