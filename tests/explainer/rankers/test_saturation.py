"""What runs full is found whether it is told as free or as used."""

from dataclasses import replace

import numpy as np
import pytest

from services.explainer.model.case import Symptom
from services.explainer.model.windows import SeriesWindow
from services.explainer.rankers import rank
from services.explainer.rankers.saturation import Resource, Saturation, exhausted, uses_of
from tests.explainer.rankers.cases import (
    OBSERVED,
    START_MS,
    STEP_MS,
    USUAL,
    alert,
    case,
    series,
    window,
)

RAMP = 30
FILLING = np.concatenate([np.full(USUAL - RAMP, 0.5), np.linspace(0.5, 1.0, RAMP + OBSERVED)])
FULL = np.minimum(1.0, np.concatenate([FILLING[:USUAL], np.full(OBSERVED, 1.0)]))


@pytest.mark.parametrize(
    ("metric", "values", "size", "resource"),
    [
        ("node_filesystem_avail_bytes", 5e11 * (1 - FULL), 5e11, Resource.DISK),
        ("node_filesystem_avail_bytes", 5e11 * (1 - FULL), None, Resource.DISK),
        ("disk_used_percent", 100 * FULL, None, Resource.DISK),
        ("process_open_fds", 1024 * FULL, 1024, Resource.HANDLES),
        ("db_pool_connections_active", 50 * FULL, 50, Resource.POOL),
        ("container_memory_usage_bytes", 2e9 * FULL, 2e9, Resource.MEMORY),
        ("queue_length", 5000 * FULL, 5000, Resource.QUEUE),
        ("api_quota_remaining", 1000 * (1 - FULL), 1000, Resource.QUOTA),
    ],
)
def test_resource_that_ran_full_is_found_in_either_form(
    metric: str, values: np.ndarray, size: float | None, resource: Resource
) -> None:
    sizes = {
        "node_filesystem_avail_bytes": "node_filesystem_size_bytes",
        "process_open_fds": "process_max_fds",
        "db_pool_connections_active": "db_pool_connections_max",
        "container_memory_usage_bytes": "container_memory_limit_bytes",
        "queue_length": "queue_capacity",
        "api_quota_remaining": "api_quota_limit",
    }
    parts = [window("store", metric, values), series("web", "cpu_usage")]
    if size is not None:
        parts.append(window("store", sizes[metric], np.full(values.size, size)))
    (found,) = exhausted(parts)
    assert (found.window.metric, found.resource, found.limit) == (
        metric,
        resource,
        100.0 if "percent" in metric else size,
    )
    assert found.full_since_ms is not None
    assert START_MS - 3 * STEP_MS <= found.full_since_ms <= START_MS
    assert Saturation().rank(case(*parts)).suspects[0].entity == "store"


def test_expired_certificate_is_full_from_its_last_second_on() -> None:
    at_s = (np.arange(USUAL + OBSERVED) * STEP_MS) / 1000
    left = window("auth", "tls_cert_expiry_seconds", START_MS / 1000 - at_s)
    (found,) = exhausted([left])
    assert (found.resource, found.full_since_ms) == (Resource.CERTIFICATE, START_MS)


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_resource_that_is_as_full_as_ever_is_not_suspect(level: float) -> None:
    steady = window("store", "disk_used_percent", np.full(USUAL + OBSERVED, 100 * level))
    assert uses_of([steady])
    assert exhausted([steady]) == []


def test_cpu_in_percent_has_no_end_that_it_runs_into() -> None:
    assert uses_of([series("web", "cpu_usage_percent", observed=100.0)]) == []


def test_free_memory_that_falls_is_bad_and_free_memory_that_rises_is_not() -> None:
    falls = series("db", "memory_available_bytes", usual=1e9, observed=3e8)
    rises = series("web", "memory_available_bytes", usual=1e9, observed=3e9)
    found = rank(case(falls, rises, subject=alert("memory", Symptom.RESOURCE, service="")))
    assert found.suspects[0].entity == "db"


def counter(metric: str, level: float) -> SeriesWindow:
    """A counter of the store at a level."""
    found = window("store", metric, np.full(USUAL + OBSERVED, level))
    return replace(found, is_rate=True)


@pytest.mark.parametrize(
    "parts",
    [
        [window("store", "disk_reads_rate", 100 * FULL)],
        [window("store", "heap_usage", 100 * FULL)],
        [window("store", "queue_length", 50 * FULL), counter("queue_total", 50.0)],
        [window("store", "queue_messages_available", 50 * (1 - FULL))],
        [
            window("store", "node_memory_MemFree_bytes", 5e9 * (1 - FULL)),
            window("store", "node_memory_MemAvailable_bytes", np.full(FULL.size, 3e9)),
        ],
    ],
    ids=["rate", "usage", "counter as size", "queue that empties", "memory that caches fill"],
)
def test_what_has_no_known_end_did_not_run_full(parts: list[SeriesWindow]) -> None:
    assert exhausted(parts) == []


def test_names_in_camel_case_are_read_like_others() -> None:
    free = window("store", "node_memory_MemAvailable_bytes", 5e9 * (1 - FULL))
    size = window("store", "node_memory_MemTotal_bytes", np.full(FULL.size, 5e9))
    (found,) = exhausted([free, size])
    assert (found.window.metric, found.limit) == ("node_memory_MemAvailable_bytes", 5e9)
