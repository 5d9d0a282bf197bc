"""Metrics are declared once, explained, used, and really served."""

import re
from collections import Counter
from pathlib import Path

import pytest

from observability.catalogue import Metric, metrics, series_names
from observability.generated import outdated
from observability.services import REPOSITORY, in_the_mesh, services

DECLARATIONS = [
    REPOSITORY / "mesh/metrics.py",
    *sorted((REPOSITORY / "services").glob("*/metrics.py")),
]
DECLARED = r"^([A-Z_]+): Final = \w*(?:Counter|Gauge|Histogram|Summary)\("


@pytest.mark.parametrize("metric", metrics(), ids=lambda metric: f"{metric.owner}-{metric.name}")
def test_metric_says_what_it_is_and_what_to_do(metric: Metric) -> None:
    sentences = re.findall(r"[.:;](?:\s|$)", metric.meaning)
    assert len(sentences) >= 2, f"say what to do when {metric.name} moves: {metric.meaning}"


def test_name_of_a_metric_is_declared_by_one_owner() -> None:
    counted = Counter(metric.name for metric in metrics())
    assert [name for name, count in counted.items() if count > 1] == []


def test_metrics_are_named_as_prometheus_advises() -> None:
    for metric in metrics():
        assert re.fullmatch(r"(sensus|rpc)_[a-z0-9_]+", metric.name), metric.name
        if metric.kind in ("histogram", "summary") and "duration" in metric.name:
            assert metric.name.endswith("_seconds")


@pytest.mark.parametrize("declarations", DECLARATIONS, ids=lambda path: path.parent.name)
def test_every_declared_metric_is_used(declarations: Path) -> None:
    names = re.findall(DECLARED, declarations.read_text(), re.MULTILINE)
    room = declarations.parent
    sources = "\n".join(path.read_text() for path in sorted(room.rglob("*.py")))
    unused = [name for name in names if len(re.findall(rf"\b{name}\b", sources)) < 2]
    assert names
    assert unused == []


def test_metrics_that_features_promise_exist() -> None:
    promised = {
        "sensus_alerts_received_total",
        "sensus_metrics_received_total",
        "sensus_processing_duration_seconds_bucket",
    }
    assert promised <= series_names()


def test_every_service_has_a_row_in_the_table() -> None:
    rooms = {path.parent.name for path in (REPOSITORY / "services").glob("*/__main__.py")}
    assert {each.name for each in services()} == rooms
    assert len({each.metrics_port for each in services()}) == len(services())
    assert {each.name for each in in_the_mesh()} == rooms - {"agent"}


def test_generated_files_are_what_the_code_says() -> None:
    assert outdated() == [], "run `make observability`"
