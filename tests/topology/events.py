"""Rows of events for tests: spans of a trace as a tree in words."""

from typing import Any

import numpy as np

from services.topology.model.events import EVENT, RECORD, Events

NOW_NS = 1_700_000_040_000_000_000
MS = 1_000_000


def span(number: int, parent: int = 0, **more: Any) -> dict[str, Any]:
    """A span of 10 ms, answered well, of trace 1 unless said otherwise."""
    start = more.pop("start_ms", 0)
    length = more.pop("length_ms", 10)
    usual = {
        "trace_lo": 1,
        "span_id": number,
        "parent": parent,
        "start_ns": NOW_NS + start * MS,
        "end_ns": NOW_NS + (start + length) * MS,
        "operation": 100 + number,
        "kind": 2,
    }
    return usual | more


def record(of: int, severity: int = 17, **more: Any) -> dict[str, Any]:
    """A record of an error in a span."""
    usual = {"trace_lo": 1, "span_id": of, "start_ns": NOW_NS, "end_ns": NOW_NS, "operation": 9}
    return usual | {"kind": RECORD, "severity": severity, "parent": 77} | more


def rows(*said: dict[str, Any]) -> Events:
    """As rows."""
    made = np.zeros(len(said), EVENT)
    for place, each in enumerate(said):
        for name, value in each.items():
            made[name][place] = value
    return made
