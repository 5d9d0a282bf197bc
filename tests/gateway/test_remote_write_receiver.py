"""What prometheus/compliance asks of receivers of remote write 2.0, with reading back.

Its cases restated: samples of any value and label, histograms of any shape, metadata of any type,
created timestamps at both of their places, refusals that cost nothing else. Exemplars are taken and
not kept, and the header says so.
"""

import math
import struct
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import reason_of
from tests.gateway.remote_write import (
    NAMES,
    NOW_MS,
    WRITTEN,
    stored,
    until_described,
    v1,
    v2,
    write,
)

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
VALUES = {"1.0": 1.0, "stale": STALE, "NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
LABELS = {
    "plain": {},
    "several": {"job": "testjob", "instance": "localhost:9090"},
    "newlines": {"job": "test\njob\n"},
    "dots": {"job.name": "testjob", "instance.name": "localhost:9090"},
    "spaces": {"job name": "testjob"},
    "emoji": {"region": "🌍"},
}
AGO_MS = 1000


def written(answer: httpx.Response) -> tuple[str, ...]:
    """How many samples, histograms and exemplars were written, as the headers say."""
    kinds = ("Samples", "Histograms", "Exemplars")
    return tuple(answer.headers[WRITTEN.format(kind)] for kind in kinds)


@pytest.mark.parametrize("message", [v1, v2])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_every_value_is_stored(
    to_ingest: httpx.AsyncClient, message: Any, value: float
) -> None:
    name = next(NAMES)
    answer = await write(to_ingest, message(({"__name__": name}, [(AGO_MS, value)])))
    assert answer.status_code == 204, answer.text
    ((_, ((ago_ms, found),)),) = await stored(to_ingest, name)
    assert (ago_ms, repr(float(found))) == (AGO_MS, repr(value))


@pytest.mark.parametrize("message", [v1, v2])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
async def test_every_label_set_is_stored(
    to_ingest: httpx.AsyncClient, message: Any, labels: dict[str, str]
) -> None:
    name = next(NAMES)
    answer = await write(to_ingest, message(({"__name__": name} | labels, [(AGO_MS, 1.0)])))
    assert answer.status_code == 204, answer.text
    assert await stored(to_ingest, name) == [({"__name__": name} | labels, [(AGO_MS, 1.0)])]


async def test_a_name_may_have_dots_and_spaces(to_ingest: httpx.AsyncClient) -> None:
    for name in (f"{next(NAMES)}.cpu.usage", f"{next(NAMES)} cpu usage"):
        answer = await write(to_ingest, v2(({"__name__": name}, [(AGO_MS, 1.0)])))
        assert (answer.status_code, written(answer)) == (204, ("1", "0", "0"))
        assert await stored(to_ingest, f'{{__name__="{name}"}}') == [
            ({"__name__": name}, [(AGO_MS, 1.0)])
        ]


@pytest.mark.parametrize("labels", [{}, {"job": "testjob"}, {"__name__": ""}], ids=str)
async def test_a_series_without_a_name_is_refused(
    to_ingest: httpx.AsyncClient, labels: dict[str, str]
) -> None:
    answer = await write(to_ingest, v2((labels, [(AGO_MS, 1.0)])))
    assert (answer.status_code, reason_of(answer)) == (400, "INVALID_LABELS")
    assert written(answer) == ("0", "0", "0")


async def test_one_series_without_a_name_costs_no_other(to_ingest: httpx.AsyncClient) -> None:
    name = next(NAMES)
    good = [({"__name__": name, "n": str(n)}, [(AGO_MS, float(n))]) for n in range(3)]
    answer = await write(to_ingest, v2(({"job": "testjob"}, [(AGO_MS, 1.0)]), *good))
    assert (answer.status_code, written(answer)) == (400, ("3", "0", "0"))
    assert sorted(await stored(to_ingest, name), key=str) == sorted(good, key=str)


@pytest.mark.parametrize("place", ["series (rc.3)", "sample (rc.4)"])
async def test_a_created_timestamp_costs_nothing(to_ingest: httpx.AsyncClient, place: str) -> None:
    name = next(NAMES)
    request = v2(({"__name__": f"{name}_total"}, [(AGO_MS, 100.0)]))
    if place.startswith("series"):
        request.timeseries[0].created_timestamp = NOW_MS - 3_600_000
    else:
        request.timeseries[0].samples[0].start_timestamp = NOW_MS - 3_600_000
    answer = await write(to_ingest, request)
    assert (answer.status_code, written(answer)) == (204, ("1", "0", "0"))
    assert await stored(to_ingest, f"{name}_total") == [
        ({"__name__": f"{name}_total"}, [(AGO_MS, 100.0)])
    ]


def histogram(request: Any, *, positive: bool, negative: bool, zero: bool, custom: bool) -> Any:
    """Adds one of the shapes, and its count, to the first series."""
    made = request.timeseries[0].histograms.add(timestamp=NOW_MS - AGO_MS, sum=4.5)
    made.schema = -53 if custom else 0
    count = 0
    if positive:
        made.positive_spans.add(offset=0, length=2)
        made.positive_deltas.extend([2, 1])
        count += 5
    if negative:
        made.negative_spans.add(offset=0, length=1)
        made.negative_deltas.append(3)
        count += 3
    if zero:
        made.zero_threshold, made.zero_count_int = 1e-100, 2
        count += 2
    if custom:
        made.custom_values.extend([1.0, 2.0])
    made.count_int = count
    return made


SHAPES = {
    "all": {"positive": True, "negative": True, "zero": True, "custom": False},
    "custom": {"positive": True, "negative": False, "zero": False, "custom": True},
    "positive": {"positive": True, "negative": False, "zero": True, "custom": False},
    "negative": {"positive": False, "negative": True, "zero": False, "custom": False},
    "zero": {"positive": False, "negative": False, "zero": True, "custom": False},
    "empty": {"positive": False, "negative": False, "zero": False, "custom": False},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_every_shape_of_histogram_is_stored(
    to_ingest: httpx.AsyncClient, shape: dict[str, bool]
) -> None:
    name = next(NAMES)
    request = v2(({"__name__": name}, []))
    made = histogram(request, **shape)
    request.timeseries[0].exemplars.add(value=1.0, timestamp=NOW_MS - AGO_MS)
    answer = await write(to_ingest, request)
    assert (answer.status_code, written(answer)) == (204, ("0", "1", "0"))
    for part, value in (("count", float(made.count_int)), ("sum", 4.5)):
        label_set = {"__name__": f"{name}_{part}"}
        assert await stored(to_ingest, f"{name}_{part}") == [(label_set, [(AGO_MS, value)])]


@pytest.mark.parametrize("count", [1, 6])
async def test_a_histogram_whose_count_is_not_that_of_its_buckets_is_refused(
    to_ingest: httpx.AsyncClient, count: int
) -> None:
    name = next(NAMES)
    request = v2(({"__name__": name}, [(AGO_MS, 1.0)]))
    histogram(request, positive=True, negative=False, zero=False, custom=False).count_int = count
    answer = await write(to_ingest, request)
    assert (answer.status_code, reason_of(answer)) == (400, "INVALID_HISTOGRAM")
    assert written(answer) == ("1", "0", "0")
    assert await stored(to_ingest, f"{name}_count") == []


async def test_nan_observations_are_counted_and_in_no_bucket(to_ingest: httpx.AsyncClient) -> None:
    request = v2(({"__name__": next(NAMES)}, []))
    made = histogram(request, positive=True, negative=False, zero=False, custom=False)
    made.sum, made.count_int = math.nan, 7
    assert (await write(to_ingest, request)).status_code == 204


TYPES = {
    0: "METRIC_TYPE_UNSPECIFIED",
    1: "METRIC_TYPE_COUNTER",
    2: "METRIC_TYPE_GAUGE",
    3: "METRIC_TYPE_HISTOGRAM",
    4: "METRIC_TYPE_GAUGE_HISTOGRAM",
    5: "METRIC_TYPE_SUMMARY",
    6: "METRIC_TYPE_INFO",
    7: "METRIC_TYPE_STATE_SET",
}


@pytest.mark.parametrize("number", TYPES)
async def test_every_type_of_metric_is_kept(to_ingest: httpx.AsyncClient, number: int) -> None:
    name = next(NAMES)
    request = v2(({"__name__": name}, [(AGO_MS, 1.0)]))
    help_ = 'Test metric with\nnewlines and "quotes"'
    metadata = request.timeseries[0].metadata
    metadata.type, metadata.help_ref, metadata.unit_ref = number, len(request.symbols), 0
    request.symbols.append(help_)
    assert (await write(to_ingest, request)).status_code == 204
    await until_described(to_ingest, name, (TYPES[number], "", help_))
    assert await stored(to_ingest, name) == [({"__name__": name}, [(AGO_MS, 1.0)])]


@pytest.mark.parametrize("kind", ["application/json", "image/png"])
async def test_other_types_are_415(to_ingest: httpx.AsyncClient, kind: str) -> None:
    request = v2(({"__name__": next(NAMES)}, [(AGO_MS, 1.0)]))
    answer = await write(to_ingest, request, **{"Content-Type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_other_encodings_are_415(to_ingest: httpx.AsyncClient, encoding: str) -> None:
    request = v2(({"__name__": next(NAMES)}, [(AGO_MS, 1.0)]))
    answer = await write(to_ingest, request, **{"Content-Encoding": encoding})
    assert answer.status_code == 415


async def test_a_body_that_overlaps_an_earlier_one_changes_nothing_of_it(
    to_ingest: httpx.AsyncClient,
) -> None:
    """A sender that batches anew after a lost answer: of each time the first value stays."""
    name = next(NAMES)
    labels = {"__name__": name}
    for samples in ([(3000, 1.0), (2000, 2.0)], [(3000, 9.0), (2000, 2.0), (1000, 3.0)]):
        answer = await write(to_ingest, v2((labels, samples)))
        assert (answer.status_code, written(answer)[0]) == (204, str(len(samples)))
    assert await stored(to_ingest, name) == [(labels, [(3000, 1.0), (2000, 2.0), (1000, 3.0)])]
