"""Objectives: read, checked against counts, and shown."""

import math
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from cli.commands.slo import slo
from cli.problem import Problem
from cli.slo import compliance, load_objectives, overall, read_exposition

OBJECTIVES = load_objectives()


def exposition(observed: list[tuple[str, str, float, int]]) -> str:
    """What a gateway tells after requests of (route, status, seconds, how many)."""
    registry = CollectorRegistry()
    histogram = Histogram(
        "sensus_http_request_duration_seconds",
        "Time of a request.",
        ["method", "route", "status"],
        buckets=(0.1, 0.5, 1, 10),
        registry=registry,
    )
    for route, status, took_s, count in observed:
        for _ in range(count):
            histogram.labels("GET", route, status).observe(took_s)
    return generate_latest(registry).decode()


def test_fast_route_without_errors_keeps_every_objective() -> None:
    (each,) = compliance(read_exposition(exposition([("/a", "200", 0.05, 1000)])), OBJECTIVES)
    assert (each.route, each.requests, each.availability, each.error_rate) == ("/a", 1000, 1, 0)
    assert each.latency_s == {0.95: 0.1, 0.99: 0.1}
    assert each.budget_remaining == pytest.approx(
        {"availability": 1, "errors": 1, "latency_p95": 1, "latency_p99": 1}
    )
    assert each.is_met


@pytest.mark.parametrize(
    ("status", "broken"), [("503", ["availability"]), ("500", ["errors"]), ("429", [])]
)
def test_status_breaks_the_objective_that_it_belongs_to(status: str, broken: list[str]) -> None:
    counted = read_exposition(exposition([("/a", "200", 0.05, 990), ("/a", status, 0.05, 10)]))
    (each,) = compliance(counted, OBJECTIVES)
    assert each.broken == broken
    if broken:
        assert each.budget_remaining[broken[0]] == pytest.approx(-9)


def test_slow_requests_break_the_quantile_that_they_exceed() -> None:
    counted = read_exposition(exposition([("/a", "200", 0.05, 970), ("/a", "200", 5, 30)]))
    (each,) = compliance(counted, OBJECTIVES)
    assert each.broken == ["latency_p99"]
    assert each.latency_s == {0.95: 0.1, 0.99: 10}


def test_quantile_beyond_the_last_bucket_is_infinite() -> None:
    (each,) = compliance(read_exposition(exposition([("/a", "200", 50, 10)])), OBJECTIVES)
    assert math.isinf(each.latency_s[0.95])


def test_half_a_budget_is_left_when_half_as_many_as_allowed_fail() -> None:
    counted = read_exposition(exposition([("/a", "200", 0.05, 1999), ("/b", "503", 0.05, 1)]))
    total = overall(counted, OBJECTIVES)
    assert total is not None
    assert total.requests == 2000
    assert total.budget_remaining["availability"] == pytest.approx(0.5)


def test_streams_and_probes_are_promised_nothing() -> None:
    counted = read_exposition(
        exposition([("/readyz", "503", 5, 9), ("/api/v1/anomalies:watch", "200", 600, 1)])
    )
    assert compliance(counted, OBJECTIVES) == []
    assert overall(counted, OBJECTIVES) is None


def test_broken_file_of_objectives_names_the_place(tmp_path: Path) -> None:
    broken = tmp_path / "objectives.toml"
    text = Path("cli/slo/objectives.toml").read_text().replace("ratio = 0.999", "ratio = 99.9")
    broken.write_text(text)
    with pytest.raises(ValueError, match=r"ratio|availability"):
        load_objectives(broken)


def test_command_prints_a_row_per_route_and_fails_when_an_objective_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = exposition([("/a", "200", 0.05, 990), ("/b", "503", 0.05, 10)])

    def answer(url: str, **_: object) -> httpx.Response:
        return httpx.Response(200, text=text, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", answer)
    with pytest.raises(Problem, match="not kept: availability"):
        slo(url="http://gateway.example", prometheus="", window="")
    shown = capsys.readouterr().out
    assert "all routes" in shown
    assert "99.000%" in shown
