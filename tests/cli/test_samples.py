"""Samples are read from three formats, and every bad one is named by its place."""

import io
import time

import pytest

from cli.problem import Problem
from cli.samples import BadSample, Sample, read_samples


def read(text: str) -> list[Sample | BadSample]:
    return list(read_samples(io.StringIO(text, newline="")))


EXPECTED = Sample(
    place="line 2",
    labels=(("__name__", "cpu"), ("host", "a")),
    timestamp_ms=1_700_000_000_500,
    value=1.5,
)


@pytest.mark.parametrize(
    "text",
    [
        '\n{"metric_name":"cpu","metric_value":1.5,"labels":{"host":"a"},"timestamp":1700000000.5}',
        "metric_name,metric_value,timestamp,host\ncpu,1.5,1700000000500,a\n",
        'metric_name,metric_value,timestamp,labels\ncpu,1.5,2023-11-14T22:13:20.500Z,"{""host"":""a""}"',
        "\ufeffmetric_name,metric_value,timestamp,host\r\ncpu,1.5,2023-11-14T22:13:20.5+00:00,a\r\n",
    ],
    ids=["json lines", "csv", "csv with labels", "csv from a spreadsheet"],
)
def test_every_format_gives_the_same_sample(text: str) -> None:
    assert read(text) == [EXPECTED]


def test_an_array_may_stand_on_one_line_or_many() -> None:
    items = read('[{"metric_name":"a","metric_value":1},\n\n {"metric_name":"b","metric_value":2}]')
    assert [item.place for item in items] == ["item 1", "item 2"]
    assert [dict(item.labels)["__name__"] for item in items] == ["a", "b"]


def test_a_sample_without_a_time_is_of_now() -> None:
    (sample,) = read('{"metric_name":"a","metric_value":1}')
    assert abs(sample.timestamp_ms - time.time() * 1000) < 5000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes: line 2 column 1"),
        ("[]", "must be an object"),
        ('{"metric_value":1}', "metric_name must be a text"),
        ('{"metric_name":"a"}', "metric_value must be a number"),
        ('{"metric_name":"a","metric_value":true}', "metric_value must be a number"),
        ('{"metric_name":"a","metric_value":1,"labels":[1]}', "labels must be an object of texts"),
        ('{"metric_name":"a","metric_value":1,"timestamp":"noon"}', "Invalid isoformat string"),
        ('{"metric_name":"a","metric_value":1,"timestamp":1e999}', "cannot convert float infinity"),
    ],
)
def test_a_bad_line_is_named_and_the_rest_goes_on(line: str, message: str) -> None:
    good = '{"metric_name":"a","metric_value":1}'
    first, bad, last = read(f"{good}\n{line}\n{good}\n")
    assert (first.place, bad.place, last.place) == ("line 1", "line 2", "line 3")
    assert isinstance(bad, BadSample)
    assert bad.message.startswith(message)


def test_values_that_json_has_no_numbers_for_are_texts() -> None:
    lines = [f'{{"metric_name":"a","metric_value":"{v}"}}' for v in ("NaN", "+Inf", "-Inf")]
    assert [str(sample.value) for sample in read("\n".join(lines))] == ["nan", "inf", "-inf"]


def test_a_csv_row_that_is_too_long_is_named() -> None:
    assert read("metric_name,metric_value\na,1,2\n") == [
        BadSample(place="line 2", message="more fields than the header has columns")
    ]


def test_csv_without_the_needed_columns_is_a_problem() -> None:
    with pytest.raises(Problem, match="CSV without the column metric_value in its header"):
        read("metric_name,value\na,1\n")


def test_broken_array_is_a_problem() -> None:
    with pytest.raises(Problem, match="not a JSON array"):
        read('[{"metric_name":')


def test_an_empty_file_has_no_samples() -> None:
    assert read("\n \n") == []


def test_bytes_that_are_not_utf_8_are_a_problem() -> None:
    text = io.TextIOWrapper(io.BytesIO(b"metric_name,metric_value\ncpu\xff,1\n"), encoding="utf-8")
    with pytest.raises(Problem, match="not UTF-8 text: invalid start byte at byte 28"):
        list(read_samples(text))
