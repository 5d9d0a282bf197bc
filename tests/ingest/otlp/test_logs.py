"""Log records by columns: counts of what is calm, patterns and examples of what is not."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from mesh.errors import InvalidInput
from services.ingest.model.events import LINES, RECORD
from services.ingest.otlp.logs import OtlpLogsReader
from services.ingest.otlp.patterns import pattern_text
from tests.ingest.otlp.events import NOW_NS, logs
from tests.properties import examples

LOGS = OtlpLogsReader()


def test_lines_below_warnings_are_counts_of_their_service_and_minute() -> None:
    request = logs(
        *({"body": f"loaded {number} carts"} for number in range(30)),
        {"body": "no stock for order 17", "severity_number": 13},
        {"body": "charge failed", "severity_text": "ERROR", "severity_number": 0},
        {"time_unix_nano": 0, "observed_time_unix_nano": NOW_NS, "body": "loaded 1 carts"},
        {"time_unix_nano": 0, "body": "never"},
        {"trace_id": b"x", "body": "never"},
    )
    read = LOGS.read(request.SerializeToString(), NOW_NS)
    texts = {0: "", **{number: each.text for number, each in read.names.patterns.items()}}
    told = [
        (texts[int(row["parent"])], int(row["kind"]), int(row["severity"])) for row in read.rows
    ]
    assert sorted(told) == [
        ("", LINES, 9),
        ("charge failed", RECORD, 17),
        ("no stock for order <*>", RECORD, 13),
    ]
    (count,) = (row["end_ns"] for row in read.rows if row["kind"] == LINES)
    assert (count, read.rejected) == (31, 2)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("user bob@example.com logged in from 10.0.0.1:443", "user <*> logged in from <*>"),
        ("password hunter refused", "password <*> refused"),
        ("key=abc retry=3 failed", "key=<*> retry=<*> failed"),
        ("cannot open '/etc/a b/c': no such file", "cannot open <*> no such file"),
        ('said "anything at all" twice', "said <*> twice"),
        ("order deadbeefcafe is at /var/lib/shop/x", "order <*> is at <*>"),
        ("Bearer abcdefgh is no token", "Bearer <*> is no token"),
        ("KeyError('no such cart') in add", "KeyError<*> in add"),
        ("lookup(cart, 7) gave none", "lookup<*> gave none"),
        ("close() of <Door object at gate one> failed", "close() of <*> failed"),
        ("path='/a b' is not a < b or b > a", "path=<*> is not a < b or b > a"),
        ("it isn't there, isn't it", "it isn't there isn't it"),
        ("file(s) left (quietly", "file(s) left (quietly"),
        ("   ", "(no text)"),
        ("ünïcode bleibt", "ünïcode bleibt"),
    ],
)
def test_a_pattern_keeps_the_words_that_do_not_vary(line: str, want: str) -> None:
    request = logs({"body": line, "severity_number": 13})
    read = LOGS.read(request.SerializeToString(), NOW_NS)
    assert [each.text for each in read.names.patterns.values()] == [want]


@examples(300)
@given(st.binary(max_size=80))
def test_any_bytes_make_a_pattern(left: bytes) -> None:
    text = pattern_text(left)
    assert 0 < len(text.encode()) <= 1024
    assert text.isprintable()


@examples(200)
@given(st.binary(max_size=60), st.integers(0, 9))
def test_a_broken_body_of_logs_is_never_our_fault(noise: bytes, at: int) -> None:
    body = logs({"body": "a b c", "severity_number": 17}).SerializeToString()
    body = body[:at] + noise + body[at:]
    try:
        ours = LOGS.read(body, NOW_NS)
    except InvalidInput as error:
        if error.reason not in ("BODY_BROKEN", "TOO_MANY_FIELDS"):
            raise
        return
    try:
        parsed = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        return
    records = sum(len(s.log_records) for r in parsed.resource_logs for s in r.scope_logs)
    counted = ours.rows["end_ns"][ours.rows["kind"] == LINES].sum()
    assert ours.rejected + counted + (ours.rows["kind"] == RECORD).sum() == records


def test_of_a_kind_of_error_five_an_hour_are_examples() -> None:
    reader = OtlpLogsReader()
    errors = [{"body": f"{what} {n}", "severity_number": 17} for n in range(9) for what in "ab"]
    body = logs(*errors, {"body": "c", "severity_number": 13}).SerializeToString()
    read = reader.read(body, NOW_NS)
    assert sorted(each.message[0] for each in read.examples) == ["a"] * 5 + ["b"] * 5
    assert not reader.read(body, NOW_NS).examples
    assert not OtlpLogsReader(takes_examples=False).read(body, NOW_NS).examples
