"""WriteBatch: durable before the answer, counted once, good rest in."""

import math
import time
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.wire import OWN_CONNECTIONS
from sensus.core.v1 import series_pb2
from sensus.ingest.v1 import ingest_service_pb2 as pb
from sensus.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from tests.ingest.harness import Running, batch_request, columns, labels, query, status_of
from tests.properties import examples

NOW = int(time.time() * 1000)
REASON = "SAMPLE_ERROR_REASON_"


def reasons(ack: pb.WriteAck) -> list[tuple[int, str, bool]]:
    """Index, short reason and retryable of each error."""
    names = pb.SampleErrorReason.Name
    return [(e.index, names(e.reason).removeprefix(REASON), e.retryable) for e in ack.errors]


async def refused(service: Running, request: pb.WriteBatchRequest) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.stub.WriteBatch(request)
    return status_of(caught.value)


async def test_written_samples_can_be_read_back(service: Running) -> None:
    rows = [(1, NOW - 2000, 1.5), (2, NOW - 2000, 2.5), (1, NOW - 1000, 3.5)]
    answer = await service.stub.WriteBatch(batch_request("p", 1, rows))
    assert (answer.ack.accepted, answer.ack.rejected, answer.ack.duplicate) == (3, 0, False)
    found = await query(service.stub, 'cpu{host=~"1|2"}', NOW - 10_000, NOW)
    assert found == {
        (("__name__", "cpu"), ("host", "1")): [(NOW - 2000, 1.5), (NOW - 1000, 3.5)],
        (("__name__", "cpu"), ("host", "2")): [(NOW - 2000, 2.5)],
    }


async def test_a_repeated_batch_counts_once(service: Running) -> None:
    request = batch_request("p", 7, [(1, NOW - 1000, 1.0), (2, NOW - 1000, 2.0)])
    first = (await service.stub.WriteBatch(request)).ack
    second = (await service.stub.WriteBatch(request)).ack
    assert (first.accepted, first.duplicate) == (2, False)
    assert (second.accepted, second.duplicate, second.rejected) == (2, True, 0)
    heads = await service.ingest.heads.now()
    assert (heads.last_offset, sum(heads.totals)) == (1, 2)


async def test_a_repeat_after_midnight_still_counts_once(service: Running) -> None:
    request = batch_request("p", 7, [(1, NOW - 1000, 1.0)])
    await service.stub.WriteBatch(request)
    service.clock.ahead_ms = 23 * 3_600_000
    assert (await service.stub.WriteBatch(request)).ack.duplicate
    assert (await service.ingest.heads.now()).last_offset == 1


async def test_the_same_sequence_of_another_producer_is_another_batch(shared: Running) -> None:
    for producer in ("a", "b"):
        answer = await shared.stub.WriteBatch(batch_request(producer, 1, [(1, NOW, 1.0)]))
        assert not answer.ack.duplicate


async def test_the_largest_sequence_is_kept_exactly(shared: Running) -> None:
    request = batch_request("largest", 2**64 - 1, [(1, NOW, 1.0)])
    assert (await shared.stub.WriteBatch(request)).ack.sequence == 2**64 - 1
    assert (await shared.stub.WriteBatch(request)).ack.duplicate


async def test_all_three_forms_count_in_order(shared: Running) -> None:
    request = batch_request("forms", 1, [(1, NOW - 5000, 1.0)])
    request.batch.packed.series_refs.append(9)
    request.batch.packed.timestamps_ms.append(NOW - 4000)
    request.batch.packed.values.append(2.0)
    plain = request.batch.series.add(labels=labels(name="cpu", host="plain"))
    plain.samples.add(timestamp_ms=NOW - 3000, value=3.0)
    plain.samples.add(timestamp_ms=-5, value=4.0)
    ack = (await shared.stub.WriteBatch(request)).ack
    assert (ack.accepted, ack.rejected) == (2, 2)
    assert reasons(ack) == [(1, "UNKNOWN_SERIES", False), (3, "TOO_OLD", False)]


async def test_good_samples_go_in_beside_bad_ones(shared: Running) -> None:
    series = {
        1: labels(name="cpu", host="good"),
        2: labels(host="no name"),
        3: [*labels(name="cpu", host="a"), *labels(host="b")],
        4: labels(name="cpu", host=""),
        5: [*labels(name="cpu"), *[labels(**{f"l{n}": "x"})[0] for n in range(64)]],
        6: labels(**{"name": "cpu", "bad-name": "x"}),
        7: labels(name="cpu", host="x" * 2049),
        8: labels(name="cpu", host="a\0b"),
        10: [],
    }
    day_ms = 86_400_000
    rows = [
        (1, NOW, 1.0),
        *((ref, NOW, 1.0) for ref in (2, 3, 5, 7, 8, 10)),
        (4, NOW, 1.0),
        (6, NOW, 1.0),
        (99, NOW, 1.0),
        (1, NOW + 4_000_000, 1.0),
        (1, NOW + 200_000, 1.0),
        (1, -1, 1.0),
        (1, NOW - 31 * day_ms, 1.0),
    ]
    ack = (await shared.stub.WriteBatch(batch_request("beside", 1, rows, series))).ack
    assert (ack.accepted, ack.rejected) == (4, 10)
    bad_labels = [(index, "INVALID_LABELS", False) for index in range(1, 7)]
    assert reasons(ack) == [
        *bad_labels,
        (9, "UNKNOWN_SERIES", False),
        (10, "TOO_FAR_IN_FUTURE", True),
        (12, "TOO_OLD", False),
        (13, "TOO_OLD", False),
    ]
    assert all(error.message for error in ack.errors)


async def test_nan_and_infinities_are_stored(service: Running) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    rows = [(1, NOW - 1000 + n, value) for n, value in enumerate(values)]
    await service.stub.WriteBatch(batch_request("p", 1, rows))
    (points,) = (await query(service.stub, "cpu", NOW - 10_000, NOW + 1000)).values()
    assert [repr(value) for _, value in points] == [repr(value) for value in values]


@pytest.mark.parametrize("producer", ["", "a b", "x" * 129, "é"])
async def test_a_bad_producer_id_is_refused(shared: Running, producer: str) -> None:
    request = batch_request(producer, 1, [(1, NOW, 1.0)])
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "INVALID_PRODUCER_ID")


async def test_a_batch_without_sequence_is_refused(shared: Running) -> None:
    request = batch_request("p", 0, [(1, NOW, 1.0)])
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "INVALID_SEQUENCE")


async def test_an_empty_batch_is_refused(shared: Running) -> None:
    request = batch_request("p", 1, [])
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "BATCH_EMPTY")


@pytest.mark.parametrize("column", ["series_refs", "timestamps_ms", "values"])
@pytest.mark.parametrize("cut", [1, 8])
async def test_unequal_columns_are_refused(shared: Running, column: str, cut: int) -> None:
    request = batch_request("p", 1, [(1, NOW, 1.0), (1, NOW, 2.0), (1, NOW, 3.0)])
    whole = getattr(request.batch.columns, column)
    setattr(request.batch.columns, column, whole[:-cut])
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "COLUMNS_UNEQUAL")


async def test_unequal_packed_columns_are_refused(shared: Running) -> None:
    request = batch_request("p", 1, [])
    request.batch.packed.series_refs.extend([1, 2])
    request.batch.packed.values.extend([1.0, 2.0])
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "COLUMNS_UNEQUAL")


async def test_too_many_rows_are_refused(shared: Running) -> None:
    request = batch_request("p", 1, [])
    request.batch.columns.CopyFrom(columns([(1, NOW, 1.0)] * 100_001))
    assert await refused(shared, request) == ("INVALID_ARGUMENT", "BATCH_TOO_LARGE")


async def test_errors_are_capped_but_counted(shared: Running) -> None:
    rows = [(1, NOW, 1.0), *([(9, NOW, 1.0)] * 1500)]
    series = {1: labels(name="cpu", host="1")}
    ack = (await shared.stub.WriteBatch(batch_request("capped", 1, rows, series))).ack
    assert (ack.accepted, ack.rejected, len(ack.errors)) == (1, 1500, 1000)
    assert [error.index for error in ack.errors] == list(range(1, 1001))


async def test_an_oversized_message_is_refused(shared: Running) -> None:
    request = batch_request("p", 1, [])
    request.batch.columns.values = bytes(17 * 1024 * 1024)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await shared.stub.WriteBatch(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_without_a_token_nothing_is_written(service: Running) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", OWN_CONNECTIONS) as channel:
        stub = pb_grpc.IngestServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WriteBatch(batch_request("p", 1, [(1, NOW, 1.0)]))
    assert status_of(caught.value) == ("UNAUTHENTICATED", "TOKEN_MISSING")
    assert (await service.ingest.heads.now()).last_offset == 0


INT64 = st.integers(-(2**63), 2**63 - 1)
LABELS = st.lists(
    st.builds(
        series_pb2.Label,
        name=st.sampled_from(["__name__", "a", ""]) | st.text(max_size=8),
        value=st.text(max_size=8),
    ),
    max_size=4,
)


@examples(80)
@given(
    st.lists(st.tuples(LABELS, st.lists(st.tuples(INT64, st.floats()), max_size=3)), max_size=4),
    st.integers(0, 2**64 - 1),
)
async def test_no_batch_is_an_error_of_the_service(
    shared: Running, series: list[Any], sequence: int
) -> None:
    plain = [
        pb.TimeSeries(
            labels=pairs,
            samples=[pb.Sample(timestamp_ms=at, value=value) for at, value in samples],
        )
        for pairs, samples in series
    ]
    batch = pb.SampleBatch(sequence=sequence, series=plain)
    request = pb.WriteBatchRequest(producer_id="extremes", batch=batch)
    rows = sum(len(each.samples) for each in plain)
    if sequence == 0 or rows == 0:
        assert (await refused(shared, request))[0] == "INVALID_ARGUMENT"
        return
    ack = (await shared.stub.WriteBatch(request)).ack
    assert ack.duplicate or ack.accepted + ack.rejected == rows
