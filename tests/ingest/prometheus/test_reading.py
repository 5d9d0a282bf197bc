"""Bodies of remote write read by columns say what the same bodies say as protobuf objects."""

import math
import struct
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import InvalidInput
from services.ingest.histograms import QUANTILES
from services.ingest.model.definitions import definition
from services.ingest.model.labels import LabelsRefused, SeriesKey
from services.ingest.model.writes import Definition
from services.ingest.prometheus.remote_write import RemoteWriteBody, RemoteWriteReader
from tests.ingest.prometheus.messages import Request, TimeSeries, WriteRequest
from tests.properties import examples

NAMES = st.sampled_from(["__name__", "job", "instance", "å", "", "le"])
TEXTS = st.sampled_from(["up", "x", "ø", "", "y" * 300]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=5
)
PAIRS = st.lists(st.tuples(NAMES, TEXTS), max_size=5)
TIMES = st.integers(-(2**63), 2**63 - 1)
SAMPLES = st.lists(st.tuples(st.floats(), TIMES), max_size=3)
SERIES = st.lists(st.tuples(PAIRS, SAMPLES, st.integers(0, 2)), max_size=6)
JUNK = st.sampled_from([b"", b"\x98\x06\x05", b"\x9a\x06\x02hi", b"\x99\x06" + b"8" * 8])
"""Fields that nobody knows: 99 as varint, as bytes, as fixed64."""

Row = tuple[Definition, int, bytes]


def rows_of(found: RemoteWriteBody) -> list[tuple[Any, int, bytes]]:
    """Label set, time and bits of the value of each row."""
    batch = found.batch
    counted = zip(batch.definitions, batch.counts.tolist(), strict=True)
    owners = [shown(known) for known, count in counted for _ in range(count)]
    bits = [struct.pack("<d", value) for value in batch.values.tolist()]
    return list(zip(owners, batch.timestamps_ms.tolist(), bits, strict=True))


def shown(known: Definition) -> Any:
    """Two refusals are equal when they say the same."""
    return known if isinstance(known, SeriesKey) else str(known)


def v1_of(series: Any, junk: bytes) -> bytes:
    """A body of remote write 1.0."""
    parts = []
    for pairs, samples, exemplars in series:
        one = TimeSeries()
        for name, value in pairs:
            one.labels.add(name=name, value=value)
        for value, time in samples:
            one.samples.add(value=value, timestamp=time)
        for _ in range(exemplars):
            one.exemplars.add(value=1)
        parts.append(one.SerializeToString() + junk)
    return junk + b"".join(b"\x0a" + length(part) + part for part in parts)


def v2_of(series: Any, *, packed: bool) -> bytes:
    """A body of remote write 2.0; the refs packed, as all send them, or not, as all must read."""
    symbols = [""]
    request = Request()
    for pairs, samples, _ in series:
        one = request.timeseries.add()
        for text in (text for pair in pairs for text in pair):
            if text not in symbols:
                symbols.append(text)
            one.labels_refs.append(symbols.index(text))
        for value, time in samples:
            one.samples.add(value=value, timestamp=time, start_timestamp=5)
        one.created_timestamp = 7
    request.symbols.extend(symbols)
    if packed:
        return bytes(request.SerializeToString())
    parts = []
    for one in request.timeseries:
        refs = b"".join(b"\x08" + length_of(ref) for ref in one.labels_refs)
        one.ClearField("labels_refs")
        parts.append(one.SerializeToString() + refs)
    request.ClearField("timeseries")
    return bytes(request.SerializeToString()) + b"".join(b"\x2a" + length(p) + p for p in parts)


def length(part: bytes) -> bytes:
    return length_of(len(part))


def length_of(number: int) -> bytes:
    """A varint."""
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def expected(series: Any) -> list[tuple[Any, int, bytes]]:
    """What objects say."""
    return [
        (shown(definition(pairs)), time, struct.pack("<d", value))
        for pairs, samples, _ in series
        for value, time in samples
    ]


@examples(60)
@given(series=SERIES, junk=JUNK)
def test_v1_is_read_as_objects_are(series: Any, junk: bytes) -> None:
    reader, body = RemoteWriteReader(), v1_of(series, junk)
    assert WriteRequest.FromString(body)  # or there is nothing to be equal to
    for _ in range(2):  # the second time from memory
        found = reader.read_v1(body)
        assert rows_of(found) == expected(series)
        assert found.exemplars == sum(exemplars for _, _, exemplars in series)


@examples(60)
@given(series=SERIES, packed=st.booleans())
def test_v2_is_read_as_objects_are(series: Any, packed: bool) -> None:
    reader, body = RemoteWriteReader(), v2_of(series, packed=packed)
    assert Request.FromString(body) is not None
    for _ in range(2):
        assert rows_of(reader.read_v2(body)) == expected(series)


@examples(30)
@given(first=SERIES, second=SERIES)
def test_what_is_remembered_of_one_body_does_not_change_the_next(first: Any, second: Any) -> None:
    reader = RemoteWriteReader()
    reader.read_v1(v1_of(first, b"")), reader.read_v2(v2_of(first, packed=True))
    assert rows_of(reader.read_v1(v1_of(second, b""))) == expected(second)
    assert rows_of(reader.read_v2(v2_of(second, packed=True))) == expected(second)


@examples(80)
@given(first=SERIES, second=SERIES, data=st.data())
def test_a_broken_body_does_not_change_how_the_next_one_is_read(
    first: Any, second: Any, data: st.DataObject
) -> None:
    reader = RemoteWriteReader()
    for good, read in (
        (v1_of(first, b""), reader.read_v1),
        (v2_of(first, packed=True), reader.read_v2),
    ):
        with suppress(InvalidInput):
            read(data.draw(broken(good)))
    assert rows_of(reader.read_v1(v1_of(second, b""))) == expected(second)
    assert rows_of(reader.read_v2(v2_of(second, packed=True))) == expected(second)


@examples(150)
@given(series=SERIES, data=st.data(), version=st.sampled_from([1, 2]))
def test_a_broken_body_is_refused_where_objects_refuse_it(
    series: Any, data: st.DataObject, version: int
) -> None:
    """Cut, flipped or mixed: what we take as a message, protobuf takes too, but for bad UTF-8."""
    good = v1_of(series, b"") if version == 1 else v2_of(series, packed=True)
    body = data.draw(broken(good))
    reader = RemoteWriteReader()
    try:
        (reader.read_v1 if version == 1 else reader.read_v2)(body)
        refused = False
    except InvalidInput:
        refused = True
    try:
        (WriteRequest if version == 1 else Request).FromString(body)
    except DecodeError:
        return
    has_groups = any(byte & 7 in (3, 4) for byte in body)
    assert not refused or has_groups


@st.composite
def broken(draw: Any, good: bytes) -> bytes:
    """A body with a fault."""
    if not good:
        return draw(st.binary(max_size=20))
    at = draw(st.integers(0, len(good) - 1))
    kind = draw(st.sampled_from(["cut", "flip", "insert", "any"]))
    if kind == "cut":
        return good[:at]
    if kind == "flip":
        return good[:at] + bytes([good[at] ^ (1 << draw(st.integers(0, 7)))]) + good[at + 1 :]
    if kind == "insert":
        return good[:at] + draw(st.binary(min_size=1, max_size=4)) + good[at:]
    return draw(st.binary(max_size=60))


def native(at_ms: int, counts: list[int], **more: Any) -> WriteRequest:
    """A body with one native histogram whose buckets begin at index 1."""
    request = WriteRequest()
    one = request.timeseries.add()
    one.labels.add(name="__name__", value="latency")
    histogram = one.histograms.add(timestamp=at_ms, sum=10.0, schema=0, count_int=sum(counts))
    histogram.positive_spans.add(offset=1, length=len(counts))
    histogram.positive_deltas.extend(np.diff(counts, prepend=0).tolist())
    for name, value in more.items():
        setattr(histogram, name, value)
    return request


def read_histograms(reader: RemoteWriteReader, request: WriteRequest) -> dict[str, float]:
    """Value by name and quantile."""
    found = reader.read_v1(request.SerializeToString())
    names = []
    for known in found.batch.definitions[1:]:
        assert isinstance(known, SeriesKey)
        labels = dict(known.labels)
        names.append(labels["__name__"] + labels.get("quantile", ""))
    return dict(zip(names, found.batch.values.tolist(), strict=True))


def test_a_native_histogram_is_its_count_its_sum_and_quantiles_of_its_step() -> None:
    reader = RemoteWriteReader()
    assert read_histograms(reader, native(1000, [4, 0, 4])) == {
        "latency_count": 8,
        "latency_sum": 10,
    }
    # buckets end at 2, 4 and 8: in this step two in the first and two in the last
    found = read_histograms(reader, native(2000, [6, 0, 6]))
    assert found["latency_count"] == 12
    assert found["latency0.5"] == pytest.approx(2.0)
    assert found["latency0.95"] == pytest.approx(4 * 2**0.9)
    # the same body again says the same again: its commit may have failed
    assert read_histograms(reader, native(2000, [6, 0, 6])) == found
    # fewer than before: its process began anew
    reset = read_histograms(reader, native(3000, [0, 0, 1]))
    assert reset["latency0.5"] == pytest.approx(4 * 2**0.5)


def test_a_histogram_years_ahead_leaves_the_quantiles_of_the_next_ones_alone() -> None:
    reader = RemoteWriteReader()
    for at_ms, counts in ((1000, [4, 0, 4]), (10**12, [9, 9, 9])):
        reader.read_v1(native(at_ms, counts).SerializeToString(), latest_ms=300_000)
    found = reader.read_v1(native(2000, [6, 0, 6]).SerializeToString(), latest_ms=300_000)
    assert found.batch.values[2] == pytest.approx(2.0)


def test_a_stale_histogram_ends_its_count_and_sum() -> None:
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    found = read_histograms(RemoteWriteReader(), native(1000, [], sum=stale))
    bits = {name: struct.pack("<d", value) for name, value in found.items()}
    assert set(bits) == {"latency_count", "latency_sum"}
    assert set(bits.values()) == {struct.pack("<Q", 0x7FF0000000000002)}


@pytest.mark.parametrize("more", [{"schema": 9}, {"schema": -60}])
def test_a_histogram_of_an_unknown_kind_is_refused_alone(more: dict[str, Any]) -> None:
    found = RemoteWriteReader().read_v1(native(1000, [1], **more).SerializeToString())
    assert [each.records.tolist() for each in found.batch.broken] == [[0]]
    assert not len(found.batch.values)


def test_a_histogram_of_impossible_counts_is_refused_alone() -> None:
    """Nothing would be stored of a count that is none, so it must not count as written."""
    request = native(1000, [5, -3])
    series = request.timeseries[0]
    for count in (math.nan, 2.0):
        series.histograms.add(timestamp=2000, count_float=count, sum=1.0)
    found = RemoteWriteReader().read_v1(request.SerializeToString())
    assert [each.records.tolist() for each in found.batch.broken] == [[0, 1]]
    assert found.batch.records.tolist() == [2, 2]


def test_spans_that_claim_more_than_there_is_are_refused_alone() -> None:
    request = native(1000, [1, 2])
    request.timeseries[0].histograms[0].positive_spans[0].length = 2**32 - 1
    found = RemoteWriteReader().read_v1(request.SerializeToString())
    assert [each.records.tolist() for each in found.batch.broken] == [[0]]


@examples(40)
@given(
    before=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    more=st.lists(st.integers(0, 50), min_size=1, max_size=12),
    schema=st.integers(-4, 8),
    first=st.integers(-20, 20),
)
def test_quantiles_lie_where_the_observations_of_the_step_do(
    before: list[int], more: list[int], schema: int, first: int
) -> None:
    """Against the plain definition: the bucket that holds the observation of that rank."""
    size = min(len(before), len(more))
    before, more = before[:size], more[:size]
    now = [a + b for a, b in zip(before, more, strict=True)]
    reader = RemoteWriteReader()
    for at_ms, counts in ((1000, before), (2000, now)):
        request = native(at_ms, counts, schema=schema)
        request.timeseries[0].histograms[0].positive_spans[0].offset = first
        found = read_histograms(reader, request)
    if not sum(more):
        assert not any(f"latency{quantile:g}" in found for quantile in QUANTILES)
        return
    cumulative = np.cumsum(more)
    for quantile in QUANTILES:
        place = int(np.searchsorted(cumulative, quantile * sum(more)))
        factor = 2.0 ** (2.0**-schema)
        upper = factor ** (first + place)
        assert upper / factor * (1 - 1e-9) <= found[f"latency{quantile:g}"] <= upper * (1 + 1e-9)
        assert math.isfinite(found[f"latency{quantile:g}"])


@pytest.mark.parametrize("count", [100_001, 1_000_001])
def test_a_body_of_too_many_records_is_refused_before_it_is_kept(count: int) -> None:
    with pytest.raises(InvalidInput, match="in parts"):
        RemoteWriteReader().read_v1(b"\x0a\x00" * count)


def test_labels_in_several_pieces_are_one_label_set() -> None:
    label = b"\x0a\x09\x0a\x01%b\x12\x04abcd"
    name = b"\x0a\x0e\x0a\x08__name__\x12\x02up"
    sample = b"\x12\x0b\x09" + struct.pack("<d", 1) + b"\x10\x05"
    series = label % b"a" + sample + name + label % b"b"
    body = b"\x0a" + length(series) + series
    want = definition([("__name__", "up"), ("a", "abcd"), ("b", "abcd")])
    assert rows_of(RemoteWriteReader().read_v1(body)) == [(want, 5, struct.pack("<d", 1))]


def test_refs_beyond_the_symbols_refuse_their_series_alone() -> None:
    request = Request(symbols=["", "__name__", "up"])
    for refs in ([1, 2], [1, 9], [1]):
        request.timeseries.add(labels_refs=refs).samples.add(value=1, timestamp=1)
    found = RemoteWriteReader().read_v2(request.SerializeToString())
    kinds = [isinstance(known, LabelsRefused) for known in found.batch.definitions]
    assert kinds == [False, True, True]


@pytest.mark.parametrize("texts", [3, 300])
def test_refs_in_several_pieces_packed_or_not_are_one_label_set(texts: int) -> None:
    symbols = ["", *(f"x{n}" for n in range(texts)), "__name__", "up", "a", "abcd"]
    first = len(symbols) - 4
    name, value, key, of_key = (length_of(first + place) for place in range(4))
    packed = b"\x0a" + length(name + value) + name + value
    sample = b"\x12\x0b\x09" + struct.pack("<d", 1) + b"\x10\x05"
    series = packed + b"\x08" + key + sample + b"\x0a" + length(of_key) + of_key
    whole = b"\x0a" + length(name + value + key + of_key) + name + value + key + of_key + sample
    request = bytes(Request(symbols=symbols).SerializeToString())
    want = definition([("__name__", "up"), ("a", "abcd")])
    for each in (series, whole):
        body = request + b"\x2a" + length(each) + each
        assert rows_of(RemoteWriteReader().read_v2(body)) == [(want, 5, struct.pack("<d", 1))]
