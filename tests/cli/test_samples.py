"""Samples are read from every format, and every bad one is named by its place."""

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.problem import Problem
from cli.send.sample import BadSample, Sample
from cli.send.samples import read_samples
from sensus_client import Batch


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


PROMETHEUS = [
    'cpu{host="a"} 1.5 1700000000500\n',
    '# TYPE cpu gauge\ncpu{host="a",} 1.5 1700000000.5 # {trace_id="b"} 1\n# EOF\n',
    '\ufeff{"cpu", host="a"}\t1.5 1700000000500\r\n',
    '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"cpu",'
    '"host":"a"},"values":[[1700000000.5,"1.5"]]}]}}',
    '{\n "status": "success",\n "data": {"resultType": "vector", "result": [{"metric": '
    '{"host": "a", "__name__": "cpu"}, "value": [1700000000.5, "1.5"]}]}}',
]


@pytest.mark.parametrize("text", PROMETHEUS)
def test_what_prometheus_writes_gives_the_same_sample(text: str) -> None:
    (sample,) = read(text)
    assert isinstance(sample, Sample)
    assert (sample.labels, sample.timestamp_ms, sample.value) == (
        EXPECTED.labels,
        EXPECTED.timestamp_ms,
        EXPECTED.value,
    )


def test_escapes_and_special_values_of_the_exposition_are_read() -> None:
    first, second = read('a{b="x\\"y\\\\z\\n}"} +Inf\nup NaN 1\n')
    assert dict(first.labels)["b"] == 'x"y\\z\n}'
    assert first.value == float("inf")
    assert str(second.value) == "nan"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("what is this", "not a sample: write name"),
        ('a{b="1",b="2"} 1', "the label b stands twice"),
        ("a{b=1} 1", "labels 'b=1': write label"),
        ('{b="1"} 1', "the metric has no name"),
        ("a one", "'one' is no number"),
        ("a 1 1e30", "is no time"),
    ],
)
def test_a_bad_line_of_the_exposition_is_named(line: str, message: str) -> None:
    first, bad, last = read(f"a 1\n{line}\na 2\n")
    assert (first.value, last.value) == (1, 2)
    assert isinstance(bad, BadSample)
    assert bad.place == "line 2"
    assert bad.message.startswith(message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('{"status":"error","error":"parse error"}', "is an error: parse error"),
        (
            '{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}',
            "resultType scalar",
        ),
        ('{"status":', "not JSON"),
    ],
)
def test_an_answer_that_holds_no_series_is_a_problem(data: str, message: str) -> None:
    with pytest.raises(Problem, match=message):
        read(data)


def test_a_bad_series_of_an_answer_is_named_and_the_rest_goes_on() -> None:
    result = [
        '{"metric":{},"values":[[1,"1"]]}',
        '{"metric":{"__name__":"a"},"values":[[1,"1"],[2,"x"],["3"],[4,"4"]]}',
        "5",
    ]
    items = read(
        '{"status":"success","data":{"resultType":"matrix","result":[' + ",".join(result) + "]}}"
    )
    assert [item.value for item in items if isinstance(item, Sample)] == [1, 4]
    assert [item.place for item in items if isinstance(item, BadSample)] == [
        "series 1",
        "series 2, value 2",
        "series 2, value 3",
        "series 3",
    ]


def test_an_array_may_stand_on_one_line_or_many() -> None:
    items = read('[{"metric_name":"a","metric_value":1},\n\n {"metric_name":"b","metric_value":2}]')
    assert [item.place for item in items] == ["item 1", "item 2"]
    assert [dict(item.labels)["__name__"] for item in items] == ["a", "b"]


def test_a_sample_without_a_time_is_of_now() -> None:
    before_ms = int(time.time() * 1000)
    (sample,) = read('{"metric_name":"a","metric_value":1}')
    assert before_ms <= sample.timestamp_ms <= time.time() * 1000


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
        ('{"metric_name":"a","metric_value":1,"timestamp":1e999}', "is no time: send RFC 3339"),
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


HOSTILE = [
    "[" * 200_000,
    '{"a":' * 200_000,
    '{"status":' * 200_000,
    '{"metric_name":"a\\ud800","metric_value":1}',
    '{"data":{"resultType":"matrix","result":[{"metric":{"__name__":5},"values":[[1,"1"]]}]}}',
    '{"data":{"resultType":"matrix","result":[{"metric":{"__name__":"a"},"values":5}]}}',
    '{"data":{"resultType":"vector","result":[{"metric":{"__name__":"a"},"value":[1,1e999]}]}}',
    'metric_name,metric_value,labels\na,1,"' + "[" * 100_000,
    "metric_name,metric_value\na," + "1" * 200_000,
    "a" * 100_000,
    "a{" + 'b="' * 50_000,
]
PIECES = [
    "a",
    "{",
    "}",
    '"',
    "=",
    ",",
    " ",
    "1",
    "\n",
    "\\",
    "#",
    "[",
    "]",
    ":",
    "\ud800",
    "\0",
    "é",
]


LARGE = "x" * (2 << 20)
ITEM = '{"metric_name":"%s","metric_value":1}'
SERIES = '{"metric":{"__name__":"%s"},"value":[1,"1"]}'


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("\n".join(ITEM % name for name in ("a", LARGE, "b")), "line 2"),
        ("[" + ",".join(ITEM % name for name in ("a", LARGE, "b")) + "]", "item 2"),
        (f'a 1\nc{{d="{LARGE}"}} 1\nb 1\n', "line 2"),
        (
            '{"data":{"resultType":"vector","result":['
            + ",".join(SERIES % name for name in ("a", LARGE, "b"))
            + "]}}",
            "series 2",
        ),
    ],
    ids=["json lines", "array", "exposition", "answer"],
)
def test_labels_that_cannot_be_sent_are_a_bad_sample(text: str, place: str) -> None:
    first, bad, last = read(text)
    assert isinstance(bad, BadSample)
    assert bad.place == place
    assert "bytes, send at most 1048576" in bad.message
    assert len(Batch.of([first, last])) == 2


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_hostile_text_is_a_problem_or_a_bad_line(text: str) -> None:
    try:
        found = [item for item in read(text) if isinstance(item, Sample)]
    except Problem:
        return
    assert all(item.value == float("inf") for item in found)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_text_gives_samples_bad_lines_or_a_problem(text: str) -> None:
    try:
        found = [item for item in read(text) if isinstance(item, Sample)]
    except Problem:
        return
    if found:
        Batch.of(found)  # what is read can be sent
