"""The series of one minute: bounded for each service, whatever its senders do. Pure."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from math import isnan
from typing import Any, Final, TypeVar

from services.topology.minutes.edges import COUNTS
from services.topology.minutes.table import MinuteTable
from services.topology.model.names import Named
from services.topology.model.series import Sample
from services.topology.query.naming import Dictionary, EdgeName
from services.topology.query.sides import Counts, Durations, edges_by_name

MOST_OPERATIONS: Final = 50
"""Of a service with one caller and kind of spans: the busiest ones."""
MOST_PATTERNS: Final = 50
"""Of a service: those with most lines."""
MOST_SAMPLES: Final = 20_000
"""Of a minute: if there were more, each service has fewer."""

_ERROR: Final = 17
_PATTERN: Final = 80
_KINDS: Final = ("internal", "internal", "server", "client", "producer", "consumer")
_REASONS: Final = ("", "exception", "status", "log", "unreachable", "too_slow", "gave_up")
_SEVERITIES: Final = ((17, "error"), (13, "warning"), (0, "info"))
_QUANTILES: Final = (("0.5", "p50_s"), ("0.95", "p95_s"))
_ROOTS: Final = COUNTS.index("roots")
_FAILED: Final = COUNTS.index("failed")

K = TypeVar("K", bound=Hashable)


def series_of(table: MinuteTable, known: Dictionary) -> tuple[list[Sample], int]:
    """Samples of a minute, and how many rows were left out for want of room."""
    operations, patterns = MOST_OPERATIONS, MOST_PATTERNS
    while True:
        samples, left_out = _samples(table, known, operations, patterns)
        if len(samples) <= MOST_SAMPLES or operations == 1:
            return samples[:MOST_SAMPLES], left_out + max(0, len(samples) - MOST_SAMPLES)
        operations, patterns = max(1, operations // 2), max(1, patterns // 2)


def _samples(
    table: MinuteTable, known: Dictionary, operations: int, patterns: int
) -> tuple[list[Sample], int]:
    edges = edges_by_name(table, known, _of_peer)
    kept = _busiest(
        {name: counts.spans for name, counts in edges.items()},
        lambda name: name.called.service,
        operations,
    )
    samples = [each for name in kept for each in _of_edge(name, edges[name])]
    pairs = edges_by_name(table, known, lambda name: _of_peer(name).between_services())
    for name, counts in pairs.items():
        if name.caller.service and counts.wait.count:
            samples += _quantiles("span_client_wait_seconds", _pair(name), counts.wait)
    lines, dropped = _lines(table, known, patterns)
    samples += [*_origins(table, known, operations), *_entries(table, known, operations), *lines]
    return samples, len(edges) - len(kept) + dropped


def _of_peer(name: EdgeName) -> EdgeName:
    """Callers are named as services, and however they call."""
    return EdgeName(Named(name.caller.service, ""), name.called, name.kind, 0)


def _of_edge(name: EdgeName, counts: Counts) -> Iterator[Sample]:
    labels = {
        "service": name.called.service,
        "operation": name.called.name,
        "span_kind": _KINDS[name.kind],
        **({"peer": name.caller.service} if name.caller.service else {}),
    }
    yield Sample(name="span_count", labels=labels, value=counts.spans)
    yield Sample(name="span_errors", labels=labels, value=counts.errors)
    yield from _quantiles("span_duration_seconds", labels, counts.duration)
    yield from _quantiles("span_self_time_seconds", labels, counts.own)


def _quantiles(name: str, labels: Mapping[str, str], known: Durations) -> Iterator[Sample]:
    for quantile, field in _QUANTILES:
        value: float = getattr(known, field)
        if not isnan(value):
            yield Sample(name=name, labels={**labels, "quantile": quantile}, value=value)


def _pair(name: EdgeName) -> dict[str, str]:
    return {"service": name.called.service, "peer": name.caller.service}


def _origins(table: MinuteTable, known: Dictionary, most: int) -> Iterator[Sample]:
    errors: dict[tuple[Named, int], int] = {}
    for (operation, peer, reason, _), (count, _) in table.origins.items():
        key = (known.place(operation, peer, reason), reason)
        errors[key] = errors.get(key, 0) + count
    for place, reason in _busiest(errors, lambda key: key[0].service, most):
        labels = {"service": place.service, "operation": place.name, "reason": _REASONS[reason]}
        yield Sample(name="span_origin_errors", labels=labels, value=errors[place, reason])


def _entries(table: MinuteTable, known: Dictionary, most: int) -> Iterator[Sample]:
    requests: dict[Named, int] = {}
    failures: dict[Named, int] = {}
    for key, row in table.edges.items():
        roots = int(table.edges.counts[row, _ROOTS])
        if roots:
            entry = known.operation(key[1])
            requests[entry] = requests.get(entry, 0) + roots
            failures[entry] = failures.get(entry, 0) + int(table.edges.counts[row, _FAILED])
    for entry in _busiest(requests, lambda entry: entry.service, most):
        labels = {"service": entry.service, "operation": entry.name}
        yield Sample(name="trace_requests", labels=labels, value=requests[entry])
        yield Sample(name="trace_failures", labels=labels, value=failures[entry])


def _lines(table: MinuteTable, known: Dictionary, most: int) -> tuple[list[Sample], int]:
    by_severity: dict[tuple[str, str], int] = {}
    errors: dict[Named, int] = {}
    for (operation, pattern, severity), count in table.patterns.items():
        named = known.patterns.get(pattern) if pattern else known.operation(operation)
        if named is None:
            continue
        level = next(word for least, word in _SEVERITIES if severity >= least)
        key = (named.service, level)
        by_severity[key] = by_severity.get(key, 0) + count
        if pattern and severity >= _ERROR:
            cut = Named(named.service, named.name[:_PATTERN])
            errors[cut] = errors.get(cut, 0) + count
    kept = _busiest(errors, lambda named: named.service, most)
    samples = [
        Sample(name="log_lines", labels={"service": service, "severity": level}, value=count)
        for (service, level), count in by_severity.items()
    ]
    samples += [
        Sample(
            name="log_errors",
            labels={"service": named.service, "pattern": named.name},
            value=errors[named],
        )
        for named in kept
    ]
    return samples, len(errors) - len(kept)


def _busiest(counts: Mapping[K, int], service_of: Any, most: int) -> Sequence[K]:
    """The `most` keys of each service with the highest counts."""
    by_service: dict[str, list[K]] = {}
    for key in sorted(counts, key=lambda key: (-counts[key], str(key))):
        by_service.setdefault(service_of(key), []).append(key)
    return [key for keys in by_service.values() for key in keys[:most]]
