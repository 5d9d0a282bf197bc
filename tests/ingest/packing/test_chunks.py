"""What is packed comes back bit by bit, from Python and from SQL; other bytes are refused."""

import struct
from collections.abc import Sequence

import asyncpg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.packing.chunks import BrokenChunk, packed, unpacked
from services.ingest.packing.layout import ROWS
from tests.ingest.harness import Running
from tests.properties import examples

MINUTE_MS = 60_000
START_MS = 1_764_000_000_000
EXTREMES = [0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, 2.0**53, 2.0**53 + 2, 0.1, 1e-15, 1e22]
NO_NUMBERS = [
    float("inf"),
    float("-inf"),
    float("nan"),
    struct.unpack(">d", bytes.fromhex("7ff0000000000002"))[0],
]

any_value = st.one_of(
    st.floats(width=64),
    st.floats(width=32),
    st.integers(-(2**53), 2**53).map(float),
    st.decimals(-(10**9), 10**9, places=3).map(float),
    st.sampled_from(EXTREMES + NO_NUMBERS),
)
any_series = st.lists(st.tuples(st.integers(-(2**62), 2**62), any_value), min_size=1, max_size=200)


def chunk(
    values: Sequence[float], step_ms: int = MINUTE_MS
) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A chunk of these values at equal steps, and its columns."""
    times = START_MS + step_ms * np.arange(len(values), dtype=np.int64)
    column = np.array(values, np.float64)
    [made] = packed(times, column, np.array([len(values)]))
    return made, times, column


@given(st.lists(any_series, min_size=1, max_size=4))
@examples(100)
def test_every_bit_comes_back(several: list[list[tuple[int, float]]]) -> None:
    rows = [sorted(series, key=lambda row: row[0]) for series in several]
    times = np.array([at for series in rows for at, _ in series], np.int64)
    values = np.array([value for series in rows for _, value in series], np.float64)
    ends = np.cumsum([len(series) for series in rows])
    found = unpacked(packed(times, values, ends))
    assert found.counts.tolist() == [len(series) for series in rows]
    assert found.timestamps_ms.tolist() == times.tolist()
    assert found.values.view(np.int64).tolist() == values.view(np.int64).tolist()


@pytest.mark.parametrize(
    ("kind", "values", "most_bytes"),
    [
        ("constant", [3.5] * 240, 0.4),
        ("counter", [float(47 * n + n % 7) for n in range(240)], 1.0),
        ("percent", [round(50 + 5 * np.sin(n * n), 1) for n in range(240)], 1.5),
        ("noise", np.random.default_rng(1).random(240).tolist(), 7.5),
    ],
)
def test_chunks_are_small(kind: str, values: list[float], most_bytes: float) -> None:
    made, _, _ = chunk(values, step_ms=15_000)
    assert len(made) <= most_bytes * len(values), kind


@given(st.binary(max_size=200))
@examples(200)
def test_other_bytes_are_refused_or_read_within_their_bounds(body: bytes) -> None:
    try:
        found = unpacked([b"\x01" + body])
    except BrokenChunk:
        return
    assert len(found.values) <= ROWS * (len(body) + 1)


@given(st.data())
@examples(100)
def test_a_chunk_that_is_cut_off_is_refused(data: st.DataObject) -> None:
    made, _, _ = chunk([n / 3 for n in range(100)])
    with pytest.raises(BrokenChunk):
        unpacked([made[: data.draw(st.integers(0, len(made) - 1))]])


def test_nothing_is_nothing() -> None:
    assert len(unpacked([]).values) == 0


async def test_sql_reads_the_same(shared: Running) -> None:
    random = np.random.default_rng(7)
    several = [
        EXTREMES * 13,
        [1.25],
        [float("inf"), float("-inf"), 2.5],
        random.random(200).tolist(),
        random.normal(size=130).astype(np.float32).astype(np.float64).tolist(),
        (-np.cumsum(random.poisson(50, 100))).astype(np.float64).tolist(),
        np.round(random.normal(50, 5, 240), 1).tolist(),
        [7.0] * 64,
    ]
    connection = await asyncpg.connect(shared.dsn)
    try:
        for values in several:
            made, times, column = chunk(values)
            rows = await connection.fetch("SELECT * FROM ingest.unpacked($1)", made)
            assert [row["timestamp_ms"] for row in rows] == times.tolist()
            found = np.array([row["metric_value"] for row in rows])
            assert found.view(np.int64).tolist() == column.view(np.int64).tolist()
        made, _, _ = chunk(NO_NUMBERS)
        rows = await connection.fetch("SELECT * FROM ingest.unpacked($1)", made)
        assert [str(row["metric_value"]) for row in rows] == ["inf", "-inf", "nan", "nan"]
    finally:
        await connection.close()
