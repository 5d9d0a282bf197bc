"""The same line again and again."""

import logging

import pytest

from mesh.telemetry.logs import configure_logs
from mesh.telemetry.sampling import Sampling, kind_of, left_out

NAME = "sensus.test"


def record(text: str, **details: str) -> logging.LogRecord:
    made = logging.LogRecord(NAME, logging.INFO, __file__, 1, text, (), None)
    made.__dict__.update(details)
    return made


def test_first_lines_of_a_kind_pass_in_each_minute_and_the_rest_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    sampling = Sampling(3, clock=lambda: now_s)
    assert sum(sampling.filter(record("refused", code="X")) for _ in range(1000)) == 3
    assert sampling.filter(record("refused", code="Y"))
    assert sampling.filter(record("another"))
    sampling.report()
    assert caplog.records == []
    now_s = 61.0
    sampling.report()
    assert [(r.getMessage(), r.count, r.kind) for r in caplog.records] == [  # type: ignore[attr-defined]
        ("lines left out", 997, [NAME, "INFO", "refused", "X"])
    ]
    assert sampling.filter(record("refused", code="X"))


def test_line_that_would_only_be_counted_is_not_even_made(caplog: pytest.LogCaptureFixture) -> None:
    kind = kind_of(NAME, "INFO", "request", {"route": "/a", "status": 200})
    handler = logging.NullHandler()
    handler.addFilter(sampling := Sampling(3))
    root = logging.getLogger()
    before, root.handlers[:] = root.handlers[:], [handler]
    try:
        for _ in range(3):
            assert not left_out(kind)
            assert sampling.filter(record("request", route="/a", status="200"))
        assert all(left_out(kind) for _ in range(7))
    finally:
        root.handlers[:] = before
    assert not left_out(kind), "another handler may want it"
    sampling.report(now=True)
    assert [r.count for r in caplog.records] == [7]  # type: ignore[attr-defined]


def test_texts_that_always_differ_are_one_kind_in_the_end() -> None:
    sampling = Sampling(3)
    assert sum(sampling.filter(record(f"text {i}")) for i in range(5000)) < 300


def test_bytes_and_traceback_of_metadata_that_is_not_utf8_are_not_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        configure_logs("test", "INFO", "json")
        try:
            b"Bearer secret\xff".decode()
        except UnicodeDecodeError:
            logging.getLogger("grpc._cython.cygrpc").exception(
                "Invalid encoding on %s", b"Bearer secret\xff"
            )
    finally:
        root.handlers[:], root.level = before
    written = capsys.readouterr().err
    assert "metadata of a caller is not UTF-8" in written
    assert "secret" not in written
    assert "Traceback" not in written
    assert len(written) < 300
